"""One test for each defect that published fairness code was seen to have, on our own engine.

Most of them are invisible in use: a number comes out, and it is wrong.
"""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

import equipoise
from equipoise import adapt, audit, curate, errors, metrics
from equipoise.cli import main
from equipoise.document.leakage import leakage
from equipoise.errors import InvalidConfiguration, InvalidTable
from tests.adapt.made import cohort, embeddings
from tests.metrics.made import people

AB = {"group": ["A", "B"]}
FEW = metrics.Minimum(positives=2, negatives=2, patients=2)
SOURCE = Path(equipoise.__file__).parent


def audited(rows: pl.DataFrame, *names: str, by: object = None, **told: object) -> pl.DataFrame:
    """Return pointwise 95 % rows of estimates, and descriptions."""
    options = audit.Options(metrics=list(names) or ["auroc"], minimum=FEW, **told)
    points = {"half": 0.5}
    found = audit.estimates(rows, by=by or AB, operating_points=points, options=options)
    return found.filter(
        (pl.col("status") == "description")
        | ((pl.col("level") == 0.95) & (pl.col("interval") == "pointwise"))
    )


def own(found: pl.DataFrame, group: str | None) -> dict[str, object]:
    """Return the row of a group's own value."""
    mine = pl.col("group").eq_missing(pl.lit(group, dtype=pl.String))
    crude = pl.col("adjustment") == "crude"
    return found.filter(pl.col("contrast").is_null(), mine, crude).row(0, named=True)


@pytest.mark.parametrize("change", ["same", "shuffled", "patients", "images"])
def test_thresholds_are_not_tuned_on_the_audited_set(change: str) -> None:
    """MEDFAIR, FairMedFM and fairmedfm choose the threshold on the test set that they report."""
    rows = people(np.random.default_rng(0), patients=200).with_row_index("image_id")
    tune, patient = rows, None
    if change in {"same", "shuffled"}:
        rows = tune = rows.drop("image_id", "patient_id")
    if change == "shuffled":
        tune = tune.sample(fraction=1.0, shuffle=True, seed=1)
    if change == "patients":
        rows, tune, patient = (
            rows.head(120),
            rows.tail(81).drop("image_id"),
            "patient_id",
        )
    if change == "images":
        tune = tune.tail(1)
    with pytest.raises(InvalidTable, match="thresholds tuned on the audited set"):
        audit.estimates(
            rows, by=AB, patient=patient, operating_points={"best": "max_f1"}, tune=tune
        )


def test_a_table_of_thresholds_says_on_which_split_they_were_chosen() -> None:
    """MEDFAIR again, with the threshold handed over in a file."""
    rows = people(np.random.default_rng(0), patients=60).with_columns(split=pl.lit("test"))
    point = {"finding": "x", "operating_point": "p", "threshold": 0.5, "chosen_on": "test"}
    with pytest.raises(InvalidTable, match="1 were chosen on the split 'test', which is audited"):
        audit.estimates(rows, by=AB, operating_points=pl.DataFrame([point]))


def test_the_model_is_not_selected_on_the_test_split() -> None:
    """FairMedFM and FairCLIP evaluate the test set during training; FairCLIP reports its best."""
    frame, x = cohort()
    splits = curate.splits(frame)
    tested = frame["image_id"].is_in(splits.filter(pl.col("split") == "test")["image_id"].implode())
    flipped = frame.with_columns(
        pl.when(tested).then(~pl.col("label:edema")).otherwise("label:edema").alias("label:edema")
    )
    options = adapt.Options(evaluation="split", penalties=(0.01, 1.0), minimum=5)
    one, other = (
        adapt.predictions(
            adapt.rows(table, splits, embeddings(frame, x), findings=None, group_by=["sex"]),
            options,
        )
        for table in (frame, flipped)
    )
    assert not frame.equals(flipped)
    assert one.selection == other.selection
    assert one.operating_points.equals(other.operating_points)


@pytest.mark.parametrize("split", ["train", "validation", "all"])
def test_what_the_model_was_fitted_or_chosen_on_is_exploratory(split: str) -> None:
    """FairVision keeps a validation-selected file and a best-on-test file side by side."""
    rows = people(np.random.default_rng(1), patients=150)
    place = pl.Series("split", ["train", "validation", "test"] * 50)
    rows = rows.with_columns(place)
    assert audited(rows, split=split)["exploratory"].all()
    assert not audited(rows)["exploratory"].any()
    assert not audited(rows.with_columns(split=pl.lit("test")), split="all")["exploratory"].any()


@pytest.mark.parametrize("split", ["train", "all", "test", None])
def test_a_stream_of_what_the_model_was_fitted_on_is_exploratory_too(
    split: str | None, tmp_path: Path
) -> None:
    """The same, where the table is larger than memory."""
    pytest.importorskip("pyarrow")
    rows = people(np.random.default_rng(1), patients=150).with_columns(
        pl.Series("split", ["train", "validation", "test"] * 50)
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    options = audit.Options(metrics=["auroc"], minimum=FEW, split=split)
    found = audit.streamed(tmp_path / "rows.parquet", by=AB, options=options)
    assert getattr(found, "estimates", found)["exploratory"].all() == (split in {"train", "all"})


def test_more_replicates_make_no_difference_more_significant() -> None:
    """FairVision's bootstrap_t_test.py: a t-test over replicates, whose p falls to 0 with them."""
    rows = people(np.random.default_rng(2), patients=300)
    options = audit.Options(metrics=["auroc"], minimum=FEW)
    few, many = (
        audit.bootstrapped(rows, by=AB, options=options, replicates=n).filter(
            pl.col("status") == "assessed", level=0.95
        )
        for n in (200, 3_200)
    )
    ratio = many["standard_error"] / few["standard_error"]
    # A standard error of the mean over replicates would be a quarter.
    assert ratio.min() > 0.8
    assert ratio.max() < 1.25
    width = (many["high"] - many["low"]) / (few["high"] - few["low"])
    assert width.min() > 0.75


def test_more_draws_make_no_p_value_smaller() -> None:
    """FairVision's t-test again: the draws behind simultaneous intervals are not data."""
    rows = people(np.random.default_rng(3), patients=300)
    table = metrics.subgroups(AB)
    found = metrics.population(rows, table, patient="patient_id")
    few, many = (
        metrics.estimate(
            found, table, metrics.Plan({}, ("auroc",), FEW, "made", draws=draws)
        ).estimates.filter(pl.col("contrast") == "rest")
        for draws in (2_000, 32_000)
    )
    for name in ("p_value", "standard_error"):
        assert few[name].drop_nulls().len()
        assert few[name].equals(many[name])


@pytest.mark.parametrize("method", ["influence", "bootstrap"])
def test_a_patient_with_three_like_images_is_one_patient(method: str) -> None:
    """Image-level resampling: standard errors 2.2 times too small on NIH."""
    rows = people(np.random.default_rng(4), patients=300, images=3, agreement=0.999)
    options = audit.Options(metrics=["auroc"], minimum=FEW)
    clustered, naive = (
        audit.estimates(rows, by=AB, patient=patient, options=options)
        if method == "influence"
        else audit.bootstrapped(rows, by=AB, patient=patient, options=options, replicates=800)
        for patient in ("patient_id", None)
    )
    for group in ("A", "B", None):
        mine = pl.col("group").eq_missing(pl.lit(group, dtype=pl.String))
        one, other = (
            found.filter(mine, pl.col("contrast").is_null())["standard_error"][0]
            for found in (clustered, naive)
        )
        assert other / one == pytest.approx(1 / np.sqrt(3), rel=0.12)


def test_every_group_has_the_same_bins_of_calibration() -> None:
    """MEDFAIR and FairMedFM cut each group's own range of scores, so that its bins differ."""
    rng = np.random.default_rng(5)
    rows = people(rng, patients=400)
    narrow = 0.4 + 0.2 * pl.col("score:x")
    rows = rows.with_columns(
        pl.when(pl.col("group") == "A").then(narrow).otherwise("score:x").alias("score:x")
    )
    mine = rows.filter(pl.col("group") == "A")
    score, label = mine["score:x"].to_numpy(), mine["label:x"].to_numpy().astype(float)

    def error(edges: np.ndarray) -> float:
        place = np.searchsorted(edges[1:-1], score, side="left")
        off = np.bincount(place, score - label, minlength=len(edges) - 1)
        return float(np.abs(off).sum() / len(score))

    fixed = own(audited(rows, "ece_equal_width"), "A")["value"]
    ranged = own(audited(rows, "ece_data_range"), "A")["value"]
    assert fixed == pytest.approx(error(np.linspace(0, 1, 16)))
    assert ranged == pytest.approx(error(np.linspace(score.min(), score.max(), 11)))
    assert abs(fixed - ranged) > 1e-3
    # What is called ece shares its edges too: the other group's scores move its bins.
    moved = rows.with_columns(
        pl.when(pl.col("group") == "B").then(0.001).otherwise("score:x").alias("score:x")
    )
    assert own(audited(rows, "ece"), "A")["value"] != own(audited(moved, "ece"), "A")["value"]


def test_a_range_over_many_small_groups_stands_beside_what_chance_makes_of_it() -> None:
    """max - min grows with more and smaller groups and no toolkit corrects it."""
    levels = list("ABCDEFGH")
    ranges, expected, corrected = [], [], []
    for seed in range(12):
        rows = people(np.random.default_rng(seed), patients=400, groups=levels)
        found = audited(rows, "sensitivity", by={"group": levels})
        row = found.filter(pl.col("contrast") == "range").row(0, named=True)
        assert row["status"] == "description"
        assert row["p_value"] is None
        ranges.append(row["value"])
        expected.append(row["chance"])
        corrected.append(row["corrected"])
    assert min(ranges) > 0.05
    assert np.mean(expected) == pytest.approx(np.mean(ranges), rel=0.25)
    assert np.mean(corrected) < 0.5 * np.mean(ranges)


@pytest.mark.parametrize(
    ("metric", "label", "lacking"),
    [
        ("sensitivity", False, "group=A has 0 positives"),
        ("specificity", True, "0 negatives"),
        ("false_positive_rate", True, "0 negatives"),
        ("auroc", False, "0 positives"),
    ],
)
def test_an_empty_class_has_no_rate(metric: str, label: bool, lacking: str) -> None:
    """SubpopBench sets TPR to 0 and FPR to 1 where a class is empty, CXR_Fairness to -1."""
    rows = people(np.random.default_rng(6), patients=200).with_columns(
        pl.when(pl.col("group") == "A").then(label).otherwise("label:x").alias("label:x")
    )
    found = audited(rows, metric)
    row = own(found, "A")
    assert (row["value"], row["low"], row["high"]) == (None, None, None)
    assert row["status"] == "not assessable"
    assert lacking in row["reason"]
    assert "needed" in row["reason"]
    spread = found.filter(pl.col("contrast") == "range")
    assert spread["value"].to_list() == [None] * spread.height
    assert own(found, "B")["value"] is not None


def test_a_predictive_value_of_nobody_called_is_not_zero() -> None:
    """AIF360's performance_measures gives PPV 0.0 where nobody was called positive."""
    rows = people(np.random.default_rng(7), patients=200).with_columns(
        pl.when(pl.col("group") == "A").then(0.1).otherwise("score:x").alias("score:x")
    )
    row = own(audited(rows, "ppv"), "A")
    assert (row["value"], row["status"]) == (None, "not assessable")
    assert row["reason"]


def test_no_patient_is_put_together_from_several_images() -> None:
    """torchxrayvision keeps pandas' groupby().first(): image a with the label of image b."""
    rows = pl.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "patient_id": ["p", "p", "q"],
            "group": ["A", "A", "B"],
            "finding": ["x", "x", "x"],
            "label": [None, 1, 0],
            "score": [0.3, 0.8, 0.1],
        }
    )
    read = audit.read_predictions(rows).sort("image_id")
    assert read.select("image_id", "label:x", "score:x").rows() == [
        ("a", None, 0.3),
        ("b", True, 0.8),
        ("c", False, 0.1),
    ]
    frame, _ = cohort()
    kept = curate.splits(frame)
    assert sorted(kept["image_id"]) == sorted(frame["image_id"])
    split = frame.join(kept.select("image_id", "split"), on="image_id")
    assert leakage(split, "split")["sentence"].startswith("no patient")


def test_counts_are_merged_by_name_whatever_groups_a_part_lacks() -> None:
    """torchmetrics adds counts by position: a batch without group 0 gives it those of group 1."""
    levels = {"group": ["A", "B", "C"]}
    table = metrics.subgroups(levels)
    rows = people(np.random.default_rng(8), patients=300, groups=["A", "B", "C"])
    points = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})

    def counted(part: pl.DataFrame) -> pl.DataFrame:
        found = metrics.population(part, table, patient="patient_id", points=points)
        return metrics.count(found, table, candidate="made")

    one = counted(rows.filter(pl.col("group") == "A"))
    others = counted(rows.filter(pl.col("group") != "A"))
    # Rows of nobody may be left out of a part, and stand in another order.
    others = others.filter(pl.col("group").ne_missing(pl.lit("A"))).reverse()
    whole = counted(rows)
    merged = metrics.merge([others, one], disjoint_patients=True)
    key = ["group", "operating_point"]
    assert merged.sort(key).equals(whole.sort(key))
    with pytest.raises(InvalidTable, match="parts differ in columns"):
        metrics.merge([one, others.rename({"group": "sex"})], disjoint_patients=True)


def test_renaming_a_group_renames_its_rows_and_nothing_else() -> None:
    """Counts by position again: the order of the names must not matter."""
    rows = people(np.random.default_rng(9), patients=300)
    other = rows.with_columns(pl.col("group").replace({"A": "Z", "B": "Y"}))
    one, two = audited(rows), audited(other, by={"group": ["Y", "Z"]})
    for name, renamed in (("A", "Z"), ("B", "Y"), (None, None)):
        for column in ("value", "standard_error", "n_images", "n_positive"):
            assert own(one, name)[column] == pytest.approx(own(two, renamed)[column])


def test_a_declared_group_that_is_absent_stays_and_is_not_fair() -> None:
    """A group-by reports who is present: an absent group gave a difference of 0 in [0, 0]."""
    rows = people(np.random.default_rng(10), patients=200, groups=["A"])
    found = audit.audited(rows, by=AB, options=audit.Options(minimum=FEW))
    counts = found.counts.filter(pl.col("group") == "B").row(0, named=True)
    assert (counts["n_images"], counts["n_patients"], counts["n_positive"]) == (0, 0, 0)
    mine = found.estimates.filter(pl.col("group") == "B")
    assert set(mine["status"]) == {"not assessable"}
    assert mine["value"].null_count() == mine.height
    spread = found.estimates.filter(pl.col("status") == "description")
    assert spread["value"].null_count() == spread.height


def test_a_group_that_nobody_declared_is_refused_by_name() -> None:
    """The subgroup that vanishes, the other way round: its patients would be in no number."""
    rows = people(np.random.default_rng(11), patients=60, groups=["A", "B", "C"])
    n = rows.filter(pl.col("group") == "C").height
    with pytest.raises(InvalidTable, match=rf"{n} rows in undeclared subgroups.*'group': 'C'"):
        audit.estimates(rows, by=AB)


@pytest.mark.parametrize("value", [0, 4, -1, 1.5, "two", None])
def test_a_number_of_attributes_that_cannot_be_is_refused(value: object) -> None:
    """torchmetrics: ``not isinstance(n, int) and n < 2`` never refuses a whole number."""
    with pytest.raises(ValidationError, match="intersections"):
        audit.Options.model_validate({"intersections": value})


def test_bad_declarations_are_refused_wherever_they_enter() -> None:
    """torchmetrics' check that cannot fire again: each check here is seen to fire."""
    rows = people(np.random.default_rng(12), patients=60)
    for order in (0, -1):
        with pytest.raises(InvalidTable, match=f"order {order}; expected 1"):
            metrics.subgroups(AB, order=order)
    with pytest.raises(InvalidTable, match="has no levels"):
        audit.estimates(rows, by={"group": []})
    with pytest.raises(InvalidTable, match="declares 'A' twice"):
        audit.estimates(rows, by={"group": ["A", "A"]})
    with pytest.raises(InvalidConfiguration, match="no attribute to audit by"):
        audit.estimates(rows, by={})
    with pytest.raises(ValidationError, match="positives"):
        metrics.Minimum(positives=1)


def test_the_edges_of_levels_thresholds_and_scores_are_on_the_stated_side() -> None:
    """torchmetrics lets a group id equal to num_groups pass: one more than there are."""
    rows = pl.DataFrame(
        {
            "group": ["A", "A", "B", "B"] * 2,
            "label": [1, 0, 1, 0] * 2,
            "score": [0.5, 0.5, 1.0, 0.0] * 2,
        }
    )
    options = audit.Options(metrics=["sensitivity", "specificity"], minimum=FEW)
    found = audit.audited(
        rows, by=AB, patient=None, operating_points={"half": 0.5}, options=options
    ).counts.filter(pl.col("group") == "A")
    assert found.select("tp", "fp", "fn", "tn").row(0) == (2, 2, 0, 0)
    ages = rows.with_columns(group=pl.Series([39, 40, 64, 65] * 2))
    bands = {"group": ["0-39", "40-64", "65+"]}
    counts = audit.audited(ages, by=bands, patient=None).counts.drop_nulls("group")
    assert dict(zip(counts["group"], counts["n_images"], strict=True)) == {
        "0-39": 2,
        "40-64": 4,
        "65+": 2,
    }


def test_no_error_is_raised_with_a_tuple_for_a_message() -> None:
    """torchmetrics and einops have a comma between two texts: the user reads a tuple."""
    ours = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.EquipoiseError)
    }
    seen = 0
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
                continue
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            where = f"{path.relative_to(SOURCE)}:{node.lineno}"
            assert not any(isinstance(a, ast.Tuple) for a in node.exc.args), where
            if name in ours:
                seen += 1
                assert len(node.exc.args) <= 1, where
    assert seen > 100
    for kind in ours.values():
        with pytest.raises(TypeError):
            kind("one", "two")
        assert str(kind("a sentence", hint="do this")) == "a sentence"


def test_a_score_is_taken_as_it_is_or_refused_never_squashed() -> None:
    """torchmetrics takes the sigmoid of a batch in which any score lies outside [0, 1]."""
    rows = people(np.random.default_rng(13), patients=60)
    assert audit.read_predictions(rows)["score:x"].equals(rows["score:x"])
    logits = rows.with_columns((pl.col("score:x") * 6 - 3).alias("score:x"))
    one = rows.with_columns(pl.Series("score:x", [1.0001, *rows["score:x"][1:]]))
    for bad in (logits, one):
        with pytest.raises(InvalidTable, match=r"outside \[0, 1\]"):
            audit.estimates(bad, by=AB)


@pytest.mark.parametrize("level", ["A_B", "A,B", "x=y", "A × B", "a|b", "everybody", "B, sex=F"])
def test_a_level_is_a_cell_whatever_it_is_called(level: str) -> None:
    """torchmetrics returns the key DP_0_1: group names live in a text that cannot be parted."""
    rows = people(np.random.default_rng(14), patients=200, groups=["A", level]).with_columns(
        sex=pl.Series(["F", "M"] * 100)
    )
    found = audited(rows, by={"group": ["A", level], "sex": ["F", "M"]})
    mine = found.filter(pl.col("group") == level, pl.col("contrast").is_null())
    assert mine.filter(pl.col("sex").is_null())["n_images"][0] == (rows["group"] == level).sum()
    assert set(mine["sex"].drop_nulls()) == {"F", "M"}
    assert set(found["group"].drop_nulls()) == {"A", level}


def test_a_flag_said_to_be_false_is_not_true(capsys: pytest.CaptureFixture[str]) -> None:
    """MEDFAIR has seven options of ``type=bool``: ``--flag False`` switches them on."""
    assert audit.Options.model_validate({"describe": "False"}).describe is False
    with pytest.raises(ValidationError, match="describe"):
        audit.Options.model_validate({"describe": "perhaps"})
    with pytest.raises(SystemExit) as done:
        main(["audit", "nowhere.csv", "--by", "sex", "--stream", "False"])
    assert done.value.code == 2
    assert "unexpected extra argument" in re.sub(r"\s+", " ", capsys.readouterr().err)
