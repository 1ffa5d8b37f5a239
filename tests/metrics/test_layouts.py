"""Tables as they come: other toolkits' columns, other libraries' frames, one set of estimates."""

import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise import audit, metrics
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable
from equipoise.metrics.points import check_apart, operating_points, rule, threshold
from equipoise.metrics.reading import table_of, with_metadata
from equipoise.metrics.reading.bands import bands, cut
from tests.metrics.made import SMALL, people

AB = {"group": ["A", "B"]}
AGES = ["0-39", "40-64", "65+"]


def plain(n: int = 160, seed: int = 0) -> pl.DataFrame:
    """Return our own layout of one finding, with an image that was not assessed."""
    rows = people(np.random.default_rng(seed), patients=n).rename(
        {"label:x": "label", "score:x": "score"}
    )
    ids = [f"i{i:04d}" for i in range(n)]
    label = pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("label").alias("label")
    return rows.with_columns(pl.Series("image_id", ids), label.cast(pl.Int64))


def estimates(rows: object, **told: object) -> pl.DataFrame:
    options = audit.Options(minimum=SMALL, **told)
    return audit.estimates(rows, by=AB, operating_points={"half": 0.5}, options=options)


LAYOUTS = {
    "fairmedfm": {"label": "gt", "score": "prob"},
    "fairmedfm, other names": {"label": "target", "score": "probability"},
    "capitals and spaces": {"label": "Ground Truth", "score": "Pred-Prob"},
    "Fairlearn": {"label": "y_true", "score": "y_score"},
    "Fairlearn, prob": {"label": "y_true", "score": "y_prob"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_names_for_label_and_score_give_the_same_estimates(
    layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = plain()
    with caplog.at_level(logging.WARNING):
        found = estimates(rows.rename(LAYOUTS[layout]))
    assert found.equals(estimates(rows))
    name = layout.partition(",")[0] if layout.startswith("Fair") else "fairmedfm"
    assert f"read in the layout of {name}: " in caplog.text
    assert f"{LAYOUTS[layout]['score']} as score" in caplog.text


def test_of_two_numbered_columns_the_second_is_the_score() -> None:
    rows = plain()
    both = rows.with_columns(prob_0=1 - pl.col("score"), prob_1="score").drop("score")
    assert estimates(both).equals(estimates(rows).select(pl.all()))


def test_a_score_goes_before_a_decision_that_stands_beside_it() -> None:
    rows = plain().rename({"label": "y_true", "score": "y_score"})
    decided = rows.with_columns(y_pred=(pl.col("y_score") > 0.9).cast(pl.Int64))
    assert estimates(decided).equals(estimates(rows))


def test_medfair_decisions_are_read_and_said_to_be_tuned_on_the_audited_images(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = plain()
    decided = rows.select(
        "group",
        "patient_id",
        "label",
        index=pl.int_range(pl.len()),
        pred=(pl.col("score") >= 0.5).cast(pl.Int64),
    )
    with caplog.at_level(logging.WARNING):
        found = estimates(decided, metrics=["sensitivity"])
    assert "thresholds tuned on the audited set" in caplog.text
    assert "holds only 0 and 1: decisions" in caplog.text
    assert found["value"].equals(estimates(rows, metrics=["sensitivity"])["value"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("y_true", "target", "score"), "several columns could be the label: y_true, target"),
        (("y_true", "prob", "y_score"), "several columns could be the score: prob, y_score"),
        (("y_true", "prob_a", "prob_b", "logit_a", "logit_b"), "several groups of score columns"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(names: tuple[str, ...], message: str) -> None:
    rows = pl.DataFrame({name: [0, 1] for name in names}).with_columns(extra=pl.lit("A"))
    with pytest.raises(InvalidTable, match=message):
        audit.estimates(rows, by={"extra": ["A"]}, patient=None)


def test_a_long_table_gives_the_estimates_of_the_wide_one() -> None:
    wide = people(np.random.default_rng(1), patients=150).with_columns(
        pl.Series("image_id", [f"i{i}" for i in range(150)]),
        pl.Series("label:y", np.random.default_rng(2).random(150) < 0.5),
        pl.Series("score:y", np.random.default_rng(3).random(150)),
    )
    parts = [
        wide.select(
            "image_id",
            "group",
            "patient_id",
            finding=pl.lit(name),
            label=f"label:{name}",
            score=f"score:{name}",
        )
        for name in ("x", "y")
    ]
    long = pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=0).sort("image_id", "finding")
    key = ["finding", "metric", "group", "contrast", "against", "level", "interval"]
    one, two = (estimates(rows).sort(key, maintain_order=True) for rows in (wide, long))
    for name in ("value", "low", "high", "standard_error", "n_images"):
        np.testing.assert_allclose(one[name].to_numpy(), two[name].to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "arrow", "feather"])
def test_every_kind_of_file_gives_the_estimates_of_the_table(ending: str, tmp_path: Path) -> None:
    rows, path = plain(), tmp_path / f"predictions.{ending}"
    if ending in {"csv", "tsv"}:
        rows.write_csv(path, separator="," if ending == "csv" else "\t")
    elif ending == "parquet":
        rows.write_parquet(path)
    else:
        rows.write_ipc(path)
    assert estimates(path).equals(estimates(rows))
    assert estimates(str(path)).equals(estimates(rows.lazy()))


def test_a_pyarrow_table_gives_the_estimates_of_the_polars_one() -> None:
    pytest.importorskip("pyarrow")
    rows = plain()
    assert estimates(rows.to_arrow()).equals(estimates(rows))


def test_a_pandas_table_gives_the_estimates_of_the_polars_one() -> None:
    pandas = pytest.importorskip("pandas")
    rows = plain()
    frame = pandas.DataFrame(rows.to_dict(as_series=False))
    # A gap makes the labels real numbers in pandas.
    assert str(frame["label"].dtype) == "float64"
    assert estimates(frame).equals(estimates(rows))
    assert estimates(frame.set_index("image_id")).equals(estimates(rows))
    frame["group"] = frame["group"].astype("category")
    assert estimates(frame).equals(estimates(rows))
    frame.loc[0, "score"] = float("nan")
    with pytest.raises(InvalidTable, match="1 values are NaN"):
        estimates(frame)


def test_an_age_is_in_the_band_of_its_completed_years() -> None:
    ages = pl.Series("age", [0.0, 39.0, 39.5, 39.99, 40.0, 64.9, 65.0, 101.0, None])
    expected = ["0-39"] * 4 + ["40-64"] * 2 + ["65+"] * 2 + [None]
    assert cut(ages, bands(AGES)).to_list() == expected


@pytest.mark.parametrize(
    ("value", "shown"), [(-1.0, "-1.0"), (70.0, "70.0"), (42.0, "42.0"), (float("nan"), "nan")]
)
def test_a_number_in_no_band_is_counted_and_shown(value: float, shown: str) -> None:
    rows = plain(4).with_columns(age=pl.Series([20.0, value, 50.0, value]))
    with pytest.raises(InvalidTable, match=f"'age': 2 values are in no band, as {shown} in row 1"):
        audit.estimates(rows, by={"age": ["0-39", "45-64"]})


def test_an_age_that_is_null_is_unknown_and_must_be_declared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = plain(8).with_columns(age=pl.Series([20.0, None, 50.0, 70.0] * 2))
    with caplog.at_level(logging.WARNING):
        found = audit.audited(rows, by={"age": [*AGES, "unknown"]}).counts
    assert "column 'age': 2 nulls of 8 rows are read as 'unknown'" in caplog.text
    counted = found.filter(pl.col("age") == "unknown")
    assert counted["n_images"].to_list() == [2]
    with pytest.raises(
        InvalidTable, match=r"2 rows in undeclared subgroups, as {'age': 'unknown'}"
    ):
        audit.estimates(rows, by={"age": AGES})


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (["0-39", "39-64"], "bands '0-39' and '39-64' overlap"),
        (["40-64", "0-39"], "are not in rising order"),
        (["40-20", "50+"], "band '40-20' holds no number"),
        (["0-39", "old"], "level 'old' is no band"),
    ],
)
def test_bands_that_cannot_be_are_refused(levels: list[str], message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        bands(levels)


def test_sets_are_crossed_as_said_and_no_further() -> None:
    declared = {"sex": ["F", "M"], "age": ["young", "old"], "site": ["s", "t"]}
    made = metrics.subgroups(declared, sets=[["age", "sex"], ["site"]])
    said = {metrics.restricted(row) for row in made.drop("exploratory").iter_rows(named=True)}
    assert said == {(), ("sex",), ("age",), ("site",), ("sex", "age")}
    assert made.height == 1 + 2 + 2 + 2 + 4


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([["sex", "agee"]], "a set names 'agee', which is not declared"),
        ([["sex", "age"], ["age", "sex"]], "empty or said twice"),
        ([["sex", "sex"]], "empty or said twice"),
        ([[]], "empty or said twice"),
    ],
)
def test_sets_that_cannot_be_are_refused(sets: list[list[str]], message: str) -> None:
    with pytest.raises(InvalidTable, match=message):
        metrics.subgroups({"sex": ["F"], "age": ["young"]}, sets=sets)


def test_macro_is_the_mean_over_the_classes_each_against_the_rest() -> None:
    rng = np.random.default_rng(4)
    n, names = 300, ["bcc", "mel", "nv"]
    truth = rng.integers(0, 3, n)
    raw = rng.random((n, 3)) + 0.8 * np.eye(3)[truth]
    share = raw / raw.sum(axis=1, keepdims=True)
    rows = pl.DataFrame(
        {
            "patient_id": [str(i) for i in range(n)],
            "group": rng.choice(["A", "B"], n),
            "label": np.array(names)[truth],
            **{f"score:{name}": share[:, i] for i, name in enumerate(names)},
        }
    )
    found = audit.estimates(rows, by=AB, options=audit.Options(metrics=["auroc"], minimum=SMALL))
    mine = found.filter(
        pl.col("contrast").is_null(),
        pl.col("adjustment") == "crude",
        level=0.95,
        interval="pointwise",
    )
    for group in (None, "A", "B"):
        here = mine.filter(pl.col("group").eq_missing(pl.lit(group, dtype=pl.String)))
        value = dict(zip(here["finding"], here["value"], strict=True))
        assert set(value) == {*names, "macro average"}
        assert value["macro average"] == pytest.approx(np.mean([value[name] for name in names]))


@pytest.mark.parametrize("kind", ["max_f1", "youden"])
@pytest.mark.parametrize("seed", range(4))
def test_a_threshold_chosen_by_a_maximum_is_that_of_a_search(kind: str, seed: int) -> None:
    rows = people(np.random.default_rng(seed), patients=80, decimals=2)
    score, label = rows["score:x"].to_numpy(), rows["label:x"].to_numpy()

    def worth(at: float) -> float:
        called = score >= at
        tp, fp = (called & label).sum(), (called & ~label).sum()
        if kind == "max_f1":
            return float(2 * tp / (called.sum() + label.sum()))
        return float(tp / label.sum() - fp / (~label).sum())

    found = threshold(score, label, rule=kind)
    best = max(worth(at) for at in np.unique(score))
    assert worth(found) == pytest.approx(best)
    assert found == max(at for at in np.unique(score) if worth(at) >= best - 1e-9)


@pytest.mark.parametrize("said", ["specificity=0.9", "sensitivity=0.8", "youden", "max_f1"])
def test_the_audit_is_held_at_the_threshold_of_the_other_table(said: str) -> None:
    tested, tune = (people(np.random.default_rng(seed), patients=200) for seed in (5, 6))
    tune = tune.with_columns(("t" + pl.col("patient_id")).alias("patient_id"))
    point = {"p": said}
    chosen = operating_points(tune, [rule(said)], chosen_on="tuning table")["threshold"][0]
    score, label = tune["score:x"].to_numpy(), tune["label:x"].to_numpy()
    if said.startswith("specificity"):
        assert chosen == min(t for t in np.unique(score) if (score[~label] < t).mean() >= 0.9)
    if said.startswith("sensitivity"):
        assert chosen == max(t for t in np.unique(score) if (score[label] >= t).mean() >= 0.8)
    options = audit.Options(metrics=["sensitivity"], minimum=SMALL)
    one = audit.audited(tested, by=AB, operating_points=point, tune=tune, options=options)
    two = audit.audited(tested, by=AB, operating_points={"p": chosen}, options=options)
    assert one.counts.equals(two.counts)
    called = tested.filter(pl.col("label:x"), pl.col("score:x") >= chosen).height
    assert one.counts["tp"][0] == called


def test_net_benefit_states_its_threshold_and_asks_no_row() -> None:
    rows = people(np.random.default_rng(7), patients=60)
    options = audit.Options(metrics=["sensitivity"], minimum=SMALL)
    one, two = (
        audit.audited(rows, by=AB, operating_points={"p": at}, options=options).counts
        for at in ("net_benefit=0.3", 0.3)
    )
    assert one.equals(two)
    score, label = rows["score:x"].to_numpy(), rows["label:x"].to_numpy()
    assert threshold(score, label, rule="net_benefit", at=0.3) == 0.3


def test_rows_are_apart_if_neither_image_nor_patient_nor_every_number_is_shared() -> None:
    one, two = (
        people(np.random.default_rng(seed), patients=20).drop("patient_id") for seed in (8, 9)
    )
    check_apart(one, two)
    for same in (one, one.reverse(), one.with_columns(pl.lit("C").alias("group"))):
        with pytest.raises(InvalidTable, match="the 20 validation rows have the audited labels"):
            check_apart(one, same)
    numbered = one.with_columns(image_id=pl.int_range(20))
    with pytest.raises(InvalidTable, match="20 images are audited too"):
        check_apart(numbered, two.with_columns(image_id=pl.int_range(20).cast(pl.String)))
    check_apart(numbered, two.with_columns(image_id=pl.int_range(20, 40)))


ROWS = pl.DataFrame({"image_id": ["a", "b", "c"], "score": [0.1, 0.2, 0.3]})


def test_every_prediction_stays_and_what_metadata_lacks_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = pl.DataFrame({"image_id": ["c", "a", "z"], "sex": ["M", "F", "F"]})
    unnamed = ROWS.with_columns(pl.Series("image_id", ["a", None, "c"]))
    for rows in (ROWS, unnamed):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = with_metadata(rows, known)
        assert found["sex"].to_list() == ["F", None, "M"]
        assert found["image_id"].to_list() == rows["image_id"].to_list()
        assert "metadata: 1 of 3 predictions have no row there" in caplog.text


def test_the_row_of_the_metadata_may_be_what_image_id_names() -> None:
    rows = ROWS.with_columns(pl.Series("image_id", [2, 0, 1]))
    known = pl.DataFrame({"sex": ["F", "M", "X"]})
    assert with_metadata(rows, known, on="row")["sex"].to_list() == ["X", "F", "M"]


@pytest.mark.parametrize(
    ("known", "on", "message"),
    [
        ({"image_id": ["a", "a"], "sex": ["F", "M"]}, None, "has 1 keys twice and 0 nulls"),
        ({"image_id": ["a", None], "sex": ["F", "M"]}, None, "has 0 keys twice and 1 nulls"),
        ({"image_id": ["a"], "score": [1.0]}, None, "'score' stands in the predictions too"),
        ({"name": ["a"], "sex": ["F"]}, None, "shares no identifier with the predictions"),
        ({"name": ["a"], "sex": ["F"]}, "image_id", "metadata: no column 'image_id'"),
        ({"name": ["a"], "sex": ["F"]}, "name", "predictions: no column 'name'"),
        ({"image_id": ["x"], "sex": ["F"]}, None, "no 'image_id' of the predictions is there"),
        ({"image_id": ["x"], "sex": ["F"]}, "row", "has a column 'image_id' of its own"),
    ],
)
def test_metadata_that_cannot_be_joined_is_an_error(
    known: dict[str, list[object]], on: str | None, message: str
) -> None:
    with pytest.raises(InvalidTable, match=message):
        with_metadata(ROWS, pl.DataFrame(known), on=on)


def test_the_table_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidTable, match=r"metadata: no file nowhere\.csv"):
        table_of("nowhere.csv", "metadata")


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("group", "no attribute to audit by in 'group'"),
        ({"group": "AB"}, "'group' has the levels 'AB'; expected a list of texts"),
        ({"group": ["A", "B", None]}, "expected a list of texts"),
        ({"group": [0, 1]}, "expected a list of texts"),
    ],
)
def test_attributes_and_levels_are_lists_of_words(by: object, message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        audit.estimates(plain(), by=by)


@pytest.mark.parametrize(
    ("told", "points", "message"),
    [
        (
            {"metrics": ["ppv", "sensitivity"]},
            None,
            "needs an operating point, and there is none: ppv, sens",
        ),
        ({"findings": ["finding", "finding"]}, None, "finding 'finding' is asked for twice"),
        ({}, {"p": None}, "the threshold of 'p' is None; expected a number"),
        ({}, {"p": True}, "the threshold of 'p' is True; expected a number"),
    ],
)
def test_what_cannot_be_asked_is_said(told: dict, points: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        audit.estimates(plain(), by=AB, operating_points=points, options=audit.Options(**told))


def test_a_threshold_may_be_a_number_of_numpy_and_needs_a_name_in_a_table() -> None:
    found = audit.estimates(plain(), by=AB, operating_points={"p": np.float32(0.5)})
    assert found.filter(metric="ppv").height
    point = {"finding": ["finding"], "operating_point": [None], "threshold": [0.5]}
    table = pl.DataFrame(point, schema_overrides={"operating_point": pl.String})
    with pytest.raises(InvalidTable, match="'operating_point': 1 nulls"):
        audit.estimates(plain(), by=AB, operating_points=table)


@pytest.mark.parametrize("who", [["p", "", "q", ""], [1.0, float("nan"), 2.0, float("nan")]])
def test_images_of_nobody_are_not_those_of_one_patient(who: list[object]) -> None:
    with pytest.raises(InvalidTable, match="'patient_id': 2 nulls; expected none"):
        audit.estimates(plain(4).with_columns(patient_id=pl.Series(who)), by=AB)


def test_columns_of_another_type_are_named_not_a_failure_of_polars() -> None:
    with pytest.raises(InvalidTable, match="no row is of the split 'test'; splits: 1"):
        audit.estimates(plain().with_columns(split=pl.lit(1)), by=AB)
    rows = plain().with_columns(seen=pl.concat_list(pl.lit(1), pl.lit(2)))
    with pytest.raises(InvalidTable, match="column 'seen' is List"):
        audit.estimates(rows, by=["seen"])
