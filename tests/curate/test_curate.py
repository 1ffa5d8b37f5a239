import numpy as np
import polars as pl
import pytest

from equipoise import curate, tables
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.scope import Scope


def cohort(n=120, seed=0):
    """Two images per patient; every seventh patient's sex is known from one of them only."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n // 2), 2)
    sex = np.where(patients % 3 == 0, "F", "M").astype("<U7")
    sex[(patients % 7 == 0) & (np.arange(n) % 2 == 0)] = "unknown"
    labels = [None if i % 11 == 0 else bool(v) for i, v in enumerate(rng.random(n) < 0.3)]
    return pl.DataFrame(
        {
            "image_id": [f"i{i:03d}" for i in range(n)],
            "patient_id": [f"s/{p:03d}" for p in patients],
            "site": ["s"] * n,
            "sex": sex,
            "label:edema": labels,
        }
    )


def run(frame, folder, **options):
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    tables.write(frame, folder / "in" / "cohort.parquet", tables.COHORT)
    inputs = {"cohort": folder / "in"}
    result = curate.run(curate.Options(**options), inputs, folder / "out", Scope())
    return result, folder / "out"


def test_the_stage_writes_tables_that_keep_their_contracts(tmp_path):
    result, out = run(cohort(), tmp_path)
    splits = tables.read(out / "splits.parquet", tables.SPLITS)
    weights = tables.read(out / "weights.parquet", tables.WEIGHTS)
    said = tables.read_json(out / "curation.json")
    assert splits.height == 120
    assert set(weights["image_id"]) == set(splits.filter(pl.col("split") == "train")["image_id"])
    assert said["splits_digest"] == result["splits_digest"] == curate.frozen(splits)
    assert sum(result["images"].values()) == 120
    assert sum(result["patients"].values()) == 60


def test_a_rerun_and_another_row_order_give_the_same_bytes(tmp_path):
    _, one = run(cohort(), tmp_path / "one")
    _, other = run(cohort().sample(fraction=1, shuffle=True, seed=1), tmp_path / "other")
    for name in ("splits.parquet", "weights.parquet", "curation.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_no_patient_is_in_two_splits_or_folds():
    table = curate.splits(cohort())
    per = table.group_by("patient_id").agg(pl.col("split", "fold").n_unique())
    assert per["split"].to_list() == per["fold"].to_list() == [1] * 60


def test_label_and_group_are_spread_as_the_shares_say():
    frame = cohort(n=2000)
    rows = curate.splits(frame, curate.Options(stratify_by=("sex",))).join(frame, on="image_id")
    positive = pl.col("label:edema").max().over("patient_id")
    rows = rows.with_columns(positive=positive).unique("patient_id")
    for sex in ("F", "M"):
        part = rows.filter(pl.col("positive"), pl.col("sex") == sex)
        share = (part["split"] == "train").mean()
        assert abs(share - 0.5) < 0.05, sex


def test_the_seal_moves_with_the_split_and_not_with_other_columns():
    one = curate.frozen(curate.splits(cohort()))
    other = curate.splits(cohort().with_columns(age_years=pl.lit(40.0)))
    assert curate.frozen(other) == one
    assert curate.frozen(curate.splits(cohort(), curate.Options(seed=1))) != one


def test_weights_have_mean_one_balance_the_cells_and_are_null_where_nothing_was_assessed():
    frame = cohort(n=1000)
    splits = curate.splits(frame)
    table = curate.weights(splits, frame, findings=["edema"], by=["sex"]).join(frame, on="image_id")
    assert (
        table.filter(pl.col("label:edema").is_null())["weight:edema"].null_count()
        == table["weight:edema"].null_count()
    )
    assert table["weight:edema"].mean() == pytest.approx(1)
    known = table.filter(pl.col("sex") != "unknown").drop_nulls("label:edema")
    total = known.group_by("label:edema", "sex").agg(pl.col("weight:edema").sum())
    np.testing.assert_allclose(total["weight:edema"], known.height / 4)
    unknown = table.filter(pl.col("sex") == "unknown").drop_nulls("label:edema")
    assert set(unknown["weight:edema"]) == {1.0}


def test_small_and_empty_cells_are_listed_by_name(tmp_path):
    _, out = run(cohort(), tmp_path, small_cell=5)
    said = tables.read_json(out / "curation.json")
    unknown = [c for c in said["small_cells"] if c["group"] == "unknown" and c["split"] == "test"]
    assert {c["label"] for c in unknown} == {"positive", "negative"}
    assert all(c["n_images"] < 5 for c in said["small_cells"])
    assert not any(c["label"] == "not assessed" for c in said["small_cells"])


def test_the_counts_add_up_to_the_cohort(tmp_path):
    _, out = run(cohort(), tmp_path)
    counts = tables.read_json(out / "curation.json")["counts"]
    assert sum(c["n_images"] for c in counts) == 120


def test_a_split_of_ones_own_is_respected():
    words = ["train", "validation", "test"]
    frame = cohort().with_columns(
        mine=pl.Series([words[int(p[2:]) % 3] for p in cohort()["patient_id"]])
    )
    table = curate.splits(frame, curate.Options(given="mine")).join(frame, on="image_id")
    assert (table["split"] == table["mine"]).all()


def test_a_patient_in_two_splits_is_an_error_that_names_the_first():
    words = ["train", "validation", "test"] * 40
    frame = cohort().with_columns(mine=pl.Series(words))
    with pytest.raises(
        InvalidTable,
        match="60 patients are in two splits of column 'mine', as 's/000' in train, validation",
    ):
        curate.splits(frame, curate.Options(given="mine"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "valid"], "column 'mine': 1 values as 'valid'; expected one of train, val"),
        (["train", None], "column 'mine': 1 values as None; expected one of"),
        (["train", "test"], "column 'mine' has no image in 'validation'"),
    ],
)
def test_a_split_with_other_words_or_a_missing_part_is_refused(words, message):
    frame = pl.DataFrame(
        {
            "image_id": ["a", "b"],
            "patient_id": ["p", "q"],
            "mine": words,
            "label:edema": [True, False],
        }
    )
    with pytest.raises(InvalidTable, match=message):
        curate.splits(frame, curate.Options(given="mine", folds=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ("oedema",)}, "cohort: no finding 'oedema'; known findings: edema"),
        ({"stratify_by": ("gender",)}, "cohort: no attribute 'gender'"),
        ({"given": "fold_of_mine"}, "cohort: no column 'fold_of_mine' to split by"),
        ({"folds": 61}, "60 patients; expected at least one for each of 61"),
    ],
)
def test_what_is_not_there_is_named(options, message):
    with pytest.raises(InvalidTable, match=message):
        curate.splits(cohort(), curate.Options(**options))


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(InvalidConfiguration, match=r"add up to 0\.6; expected 1"):
        curate.splits(cohort(), curate.Options(shares={"train": 0.6}))


def test_a_cohort_without_findings_is_refused():
    with pytest.raises(InvalidTable, match="no column 'label:…'"):
        curate.splits(cohort().drop("label:edema"))
