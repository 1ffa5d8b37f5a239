import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import metrics
from equipoise.metrics.tipping import METRICS, tipping

FEW = metrics.Minimum(positives=2, negatives=2, patients=2)
POINT = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})


def rows_of(groups: dict[str, dict[str, tuple[int, int, int, int]]]) -> pl.DataFrame:
    """Return images of cells tp, fp, tn, fn per level of each attribute."""
    frames = []
    for attribute, levels in groups.items():
        for level, cells in levels.items():
            kinds = ((True, 0.75), (False, 0.75), (False, 0.25), (True, 0.25))
            for n, (label, score) in zip(cells, kinds, strict=True):
                frames.append(
                    pl.DataFrame({attribute: [level] * n, "label:x": [label] * n}).with_columns(
                        pl.lit(score).alias("score:x")
                    )
                )
    return pl.concat(frames)


def scored(n: int, seed: int, better: float = 1.0) -> pl.DataFrame:
    """Return images with scores on the bins of the histograms; F ranks worse than M."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n)
    label = rng.random(n) < 0.4
    real = rng.standard_normal(n) + label * np.where(sex == "F", 1.0, 1.0 + better)
    score = np.floor(256 / (1 + np.exp(0.8 - real))) / 256
    return pl.DataFrame({"sex": sex, "label:x": label, "score:x": score})


def audited(rows: pl.DataFrame, *, reference: str | None = "M", names=METRICS, minimum=FEW):
    table = metrics.subgroups({"sex": sorted(set(rows["sex"]))})
    people = metrics.population(rows, table, patient=None, points=POINT)
    references = {} if reference is None else {"sex": reference}
    plan = metrics.Plan(references, names, minimum, "probe", draws=1_000, describe=False)
    return metrics.estimate(people, table, plan)


def shaken(rows: pl.DataFrame, margin: float | None = None, **more: object) -> pl.DataFrame:
    found = audited(rows, **more)
    return tipping(found.estimates, found.counts, margin=margin)


def value(rows: pl.DataFrame, metric: str) -> float:
    """Return a metric of some images from its definition."""
    label, score = rows["label:x"].to_numpy(), rows["score:x"].to_numpy()
    called = score >= 0.5
    if metric == "auroc":
        above = score[label][:, None] - score[~label]
        return float(((above > 0) + (above == 0) / 2).mean())
    return {
        "sensitivity": called[label].mean(),
        "specificity": (~called)[~label].mean(),
        "ppv": label[called].mean(),
    }[metric]


def turned(rows: pl.DataFrame, found: dict[str, object], n: int) -> pl.DataFrame:
    """Return a group's images with n labels turned, of those that are named."""
    label, score = rows["label:x"].to_numpy().copy(), rows["score:x"].to_numpy()
    mine = np.flatnonzero(label == (found["direction"] == "positives"))
    mine = mine[np.argsort(score[mine], kind="stable")]
    lowest = found["among"] in {"the missed", "those not called", "the lowest scores"}
    chosen = mine[:n] if lowest else mine[::-1][:n]
    label[chosen] = ~label[chosen]
    return rows.with_columns(pl.Series("label:x", label))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("better", [0.6, -0.6])
def test_the_worst_case_is_what_turning_labels_one_by_one_finds(metric, better) -> None:
    rows = scored(400, 3, better)
    group, other = (rows.filter(sex=sex) for sex in ("F", "M"))
    found = shaken(rows).filter(metric=metric, model="worst case")
    reached = found.filter(pl.col("share").is_not_null())
    assert reached.height
    gap = value(group, metric) - value(other, metric)
    for row in reached.iter_rows(named=True):
        after = [
            (value(turned(group, row, n), metric) - value(other, metric)) * np.sign(gap)
            for n in (row["label_errors"] - 1, row["label_errors"])
        ]
        assert after[0] > 0.0 >= after[1] - 1e-12


def test_the_share_under_independent_errors_is_what_was_put_in() -> None:
    # In truth both have sensitivity 0.8, false positive rate 0.2; of F's 500 labelled positives
    # a tenth is without the finding, called as often as other negatives are.
    fine = (800, 200, 800, 200)
    noisy = (360 + 10, 190, 760, 90 + 40)
    found = shaken(rows_of({"sex": {"F": noisy, "M": fine}}), names=("sensitivity", "auroc"))
    mine = found.filter(model="independent", direction="positives")
    for row in mine.iter_rows(named=True):
        assert row["share"] == pytest.approx(0.1)
        assert row["label_errors"] == 50


def test_specificity_and_ppv_under_independent_errors_are_restored_too() -> None:
    # Of F's 1000 labelled negatives a tenth has the finding, called in four of five.
    fine = (800, 200, 800, 200)
    noisy = (480, 180 + 80, 720 + 20, 120)
    found = shaken(rows_of({"sex": {"F": noisy, "M": fine}}))
    mine = found.filter(model="independent", direction="negatives")
    by = dict(mine["metric", "share"].rows())
    assert by["specificity"] == pytest.approx(0.1)
    assert by["auroc"] == pytest.approx(0.1)
    # PPV of M is 0.8; with k more positives called F's is (480 + 0.8 k) / 740.
    assert by["ppv"] == pytest.approx((0.8 * 740 - 480) / 800)
    assert by["sensitivity"] is None


def test_no_gap_needs_no_errors() -> None:
    same = (80, 20, 180, 20)
    found = shaken(rows_of({"sex": {"F": same, "M": same}}), margin=0.2)
    gap = found.filter(pl.col("share").is_not_null(), overturned="gap")
    assert gap.height
    assert gap["share"].max() == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20))
def test_a_larger_gap_needs_more_errors(first: int, more: int) -> None:
    def share(missed: int) -> float:
        group = (100 - missed, 20, 180, missed)
        table = rows_of({"sex": {"F": group, "M": (100, 20, 180, 0)}})
        found = shaken(table, names=("sensitivity",))
        return found.filter(model="worst case", direction="positives")["share"].item()

    small, large = share(first), share(first + more)
    assert small == pytest.approx(first / 100)
    assert small < large


def test_names_of_groups_do_not_matter() -> None:
    rows = scored(400, 5)
    other = rows.with_columns(pl.col("sex").replace({"F": "a", "M": "b"}))
    columns = ["metric", "model", "direction", "share", "label_errors"]
    assert shaken(rows)[columns].equals(shaken(other, reference="b")[columns])


def test_a_failed_verdict_turns_where_the_shifted_interval_meets_the_margin() -> None:
    rows = rows_of({"sex": {"F": (300, 100, 900, 100), "M": (390, 100, 900, 10)}})
    made = audited(rows, names=("sensitivity",))
    row = made.estimates.filter(
        pl.col("contrast").is_not_null(), interval="simultaneous", metric="sensitivity"
    ).row(0, named=True)
    found = tipping(made.estimates, made.counts, margin=0.1)
    mine = found.filter(overturned="verdict", model="worst case", direction="positives")
    shift = -0.1 - row["high"]
    # With k of the missed gone, 300 / (400 - k) is higher by the shift.
    wanted = 400 - 300 / (0.75 + shift)
    assert mine["share"].item() == pytest.approx(wanted / 400)
    assert "no longer be fail at a margin of 0.1" in mine["reads"].item()
    gap = found.filter(overturned="gap", model="worst case", direction="positives")
    assert mine["share"].item() < gap["share"].item()


def test_a_passed_verdict_turns_as_soon_as_either_limit_leaves_the_margin() -> None:
    rows = rows_of({"sex": {"F": (900, 100, 900, 100), "M": (900, 100, 900, 100)}})
    found = shaken(rows, margin=0.1, names=("sensitivity",))
    mine = found.filter(overturned="verdict", model="worst case", direction="positives")
    assert 0.0 < mine["share"].item() < 0.1
    assert "no longer be pass" in mine["reads"].item()


def test_an_inconclusive_verdict_has_nothing_to_overturn() -> None:
    found = shaken(scored(60, 1), margin=0.01).filter(overturned="verdict")
    assert found["share"].null_count() == found.height
    assert set(found["reads"]) == {
        "the verdict is inconclusive as it is: there is none to overturn"
    }


def test_what_is_not_assessable_has_no_share_and_the_reason() -> None:
    found = shaken(scored(100, 0), minimum=metrics.Minimum(), names=("sensitivity",), margin=0.1)
    assert found.height
    assert found["share"].null_count() == found["label_errors"].null_count() == found.height
    assert found["reads"].str.contains("sex=F has .* positives").all()


@pytest.mark.parametrize("label", [True, False])
def test_one_class_alone_has_no_share_and_says_why(label: bool) -> None:
    rows = scored(100, 0).with_columns(pl.lit(label).alias("label:x"))
    found = shaken(rows, names=("sensitivity", "specificity", "auroc"))
    lacking = found.filter(metric="auroc")
    assert lacking["share"].null_count() == lacking.height
    assert found.filter(pl.col("share").is_null())["reads"].null_count() == 0


def test_the_words_name_group_class_and_place() -> None:
    rows = rows_of({"sex": {"F": (80, 20, 180, 20), "M": (100, 20, 180, 0)}})
    found = shaken(rows, names=("sensitivity",))
    mine = found.filter(model="worst case", direction="positives").row(0, named=True)
    assert mine["reads"] == (
        "if 20.0 % of sex=F's labelled positives were in truth without the finding, and those "
        "among the missed, the gap would vanish"
    )
    assert mine["label_errors"] == 20


def test_nothing_estimated_is_nothing_to_overturn() -> None:
    made = audited(scored(100, 0), names=("brier",))
    assert tipping(made.estimates, made.counts).height == 0
