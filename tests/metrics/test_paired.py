import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from equipoise.errors import InvalidTable
from equipoise.metrics import Answers, Minimum, paired

SMALL = Minimum(positives=2, negatives=2, patients=2)


def two(
    rng: np.random.Generator,
    *,
    patients: int = 200,
    images: int = 2,
    strength: tuple[float, float] = (1.0, 1.4),
    runs: int = 1,
) -> tuple[Answers, Answers, np.ndarray, np.ndarray]:
    """Return answers of two ways that share what is hard about a patient."""
    label = np.repeat(rng.random(patients) < 0.4, images)
    hard = np.repeat(rng.standard_normal(patients), images)
    n = patients * images
    answers = []
    for way in strength:
        score = way * label + 0.7 * hard + 0.7 * rng.standard_normal((runs, n))
        answers.append(Answers(score, score > 0.8))
    return answers[0], answers[1], label, np.repeat(np.arange(patients), images)


def row(found: pl.DataFrame, metric: str, group: str = "all", against: str | None = None) -> dict:
    rows = found.filter(
        pl.col("metric") == metric,
        pl.col("group") == group,
        pl.col("against").eq_missing(pl.lit(against, pl.String)),
    )
    return rows.row(0, named=True)


def everybody(label: np.ndarray) -> dict[str, np.ndarray]:
    return {"all": np.ones(len(label), dtype=bool)}


def test_the_difference_is_that_of_scikit_learn_and_of_counting() -> None:
    first, second, label, who = two(np.random.default_rng(0))
    found = paired(first, second, label=label, patient=who, groups=everybody(label))
    aurocs = [roc_auc_score(label, one.score[0]) for one in (first, second)]
    assert row(found, "auroc")["difference"] == pytest.approx(aurocs[1] - aurocs[0], abs=1e-12)
    called = [one.called[0] for one in (first, second)]
    sensitivity = called[1][label].mean() - called[0][label].mean()
    specificity = called[0][~label].mean() - called[1][~label].mean()
    assert row(found, "sensitivity")["difference"] == pytest.approx(sensitivity, abs=1e-12)
    assert row(found, "specificity")["difference"] == pytest.approx(specificity, abs=1e-12)


def test_the_width_is_that_of_a_bootstrap_of_patients_and_less_than_of_unpaired_samples() -> None:
    rng = np.random.default_rng(1)
    first, second, label, who = two(rng, patients=300)
    found = paired(first, second, label=label, patient=who, groups=everybody(label))
    drawn = {"auroc": [], "sensitivity": []}
    for _ in range(400):
        people = rng.integers(0, 300, 300)
        at = (people[:, None] * 2 + np.arange(2)).ravel()
        drawn["auroc"].append(
            roc_auc_score(label[at], second.score[0, at])
            - roc_auc_score(label[at], first.score[0, at])
        )
        ill = at[label[at]]
        drawn["sensitivity"].append(second.called[0, ill].mean() - first.called[0, ill].mean())
    for metric, values in drawn.items():
        told = row(found, metric)
        error = np.std(values, ddof=1)
        assert (told["high"] - told["low"]) / (2 * 1.96) == pytest.approx(error, rel=0.15)
    stranger = Answers(second.score[:, ::-1], second.called[:, ::-1])
    apart = paired(first, stranger, label=label, patient=who, groups=everybody(label))
    width = [row(f, "auroc")["high"] - row(f, "auroc")["low"] for f in (found, apart)]
    assert width[0] < 0.8 * width[1]


@pytest.mark.slow
def test_the_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(2)
    truth = float(np.diff(ndtr(np.array([1.0, 1.4]) / np.sqrt(2 * 0.98)))[0])
    hits = {"auroc": 0, "sensitivity": 0}
    sensitivity = float(np.diff(1 - ndtr((0.8 - np.array([1.0, 1.4])) / np.sqrt(0.98)))[0])
    for _ in range(300):
        first, second, label, who = two(rng, patients=150)
        found = paired(first, second, label=label, patient=who, groups=everybody(label))
        for metric, true in (("auroc", truth), ("sensitivity", sensitivity)):
            told = row(found, metric)
            hits[metric] += told["low"] <= true <= told["high"]
    assert min(hits.values()) >= 276  # 0.92: three standard errors below 0.95 is 0.912


@given(seed=st.integers(0, 1000))
def test_turning_the_two_round_turns_the_signs_and_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second, label, who = two(rng, patients=40)
    groups = {"F": who % 2 == 0, "M": who % 2 == 1}
    told = {"groups": groups, "references": {"F": "M"}, "minimum": SMALL}
    there = paired(first, second, label=label, patient=who, **told)
    back = paired(second, first, label=label, patient=who, **told)
    order = rng.permutation(len(label))
    mixed = paired(
        *(Answers(one.score[:, order], one.called[:, order]) for one in (first, second)),
        label=label[order],
        patient=who[order],
        groups={name: inside[order] for name, inside in groups.items()},
        references={"F": "M"},
        minimum=SMALL,
    )
    for one, other, shuffled in zip(
        there.to_dicts(), back.to_dicts(), mixed.to_dicts(), strict=True
    ):
        if one["difference"] is None:
            assert other["difference"] is None
            continue
        for name, sign in (("difference", "difference"), ("low", "high"), ("high", "low")):
            assert one[name] == pytest.approx(-other[sign], abs=1e-9)
            assert one[name] == pytest.approx(shuffled[name], abs=1e-9)


def test_two_that_say_the_same_differ_by_nothing_with_little_doubt() -> None:
    first, _, label, who = two(np.random.default_rng(3))
    found = paired(first, first, label=label, patient=who, groups=everybody(label))
    for metric in ("auroc", "sensitivity", "specificity"):
        told = row(found, metric)
        assert told["difference"] == 0
        # Limits of a share lean to the middle, so the two halves do not cancel to the last bit.
        assert -0.02 < told["low"] <= 0 <= told["high"] < 0.02


def test_a_contrast_is_what_becomes_of_the_gap_between_two_groups() -> None:
    first, second, label, who = two(np.random.default_rng(4))
    groups = {"F": who % 2 == 0, "M": who % 2 == 1}
    found = paired(first, second, label=label, patient=who, groups=groups, references={"F": "M"})
    women, men = row(found, "auroc", "F"), row(found, "auroc", "M")
    gap = row(found, "auroc", "F", "M")
    assert gap["difference"] == pytest.approx(women["difference"] - men["difference"])
    assert gap["first"] == pytest.approx(women["first"] - men["first"])
    apart = np.hypot(women["difference"] - women["low"], men["high"] - men["difference"])
    assert gap["difference"] - gap["low"] == pytest.approx(apart)  # nobody is in both


def test_seeds_that_disagree_widen_the_interval_and_are_averaged() -> None:
    rng = np.random.default_rng(5)
    first, second, label, who = two(rng, runs=3)
    spoilt = Answers(np.stack([second.score[0], second.score[1], -second.score[2]]), second.called)
    calm = row(paired(first, second, label=label, patient=who, groups=everybody(label)), "auroc")
    torn = row(paired(first, spoilt, label=label, patient=who, groups=everybody(label)), "auroc")
    each = [
        roc_auc_score(label, b) - roc_auc_score(label, a)
        for a, b in zip(first.score, second.score, strict=True)
    ]
    assert calm["difference"] == pytest.approx(np.mean(each))
    assert calm["runs"] == 3
    assert torn["high"] - torn["low"] > 3 * (calm["high"] - calm["low"])


def test_a_group_too_small_is_not_assessed_and_says_why() -> None:
    first, second, label, who = two(np.random.default_rng(6))
    groups = {"all": who >= 0, "few": who < 10, "none": who < 0}
    found = paired(
        first, second, label=label, patient=who, groups=groups, references={"few": "all"}
    )
    for name in ("few", "none"):
        told = row(found, "auroc", name)
        assert told["status"] == "not assessable"
        assert told["difference"] is None
        assert "needs 30" in told["reason"]
    assert row(found, "auroc", "few", "all")["difference"] is None


def test_answers_for_other_images_are_an_error() -> None:
    first, second, label, who = two(np.random.default_rng(7))
    short = Answers(second.score[:, 1:], second.called[:, 1:])
    with pytest.raises(InvalidTable, match=r"scores of the second are of \(1, 399\)"):
        paired(first, short, label=label, patient=who, groups=everybody(label))


@pytest.mark.slow
def test_the_gap_covers_though_seeds_trade_one_group_for_the_other() -> None:
    rng, hits, runs, n = np.random.default_rng(8), 0, 4, 1500
    for _ in range(150):
        who, label, women = np.arange(n), rng.random(n) < 0.4, rng.random(n) < 0.5
        hard, answers = 0.7 * rng.standard_normal(n), []
        for _ in range(2):
            # A seed that helps women hurts men: the gap moves twice as much as either.
            luck = 0.4 * rng.standard_normal((runs, 1)) * np.where(women, 1.0, -1.0)
            score = (1.3 + luck) * label + hard + 0.7 * rng.standard_normal((runs, n))
            answers.append(Answers(score, score > 0.8))
        groups = {"F": women, "M": ~women}
        found = paired(*answers, label=label, patient=who, groups=groups, references={"F": "M"})
        told = row(found, "auroc", "F", "M")
        hits += told["low"] <= 0 <= told["high"]
    assert hits >= 135  # 0.90: three standard errors below 0.95
