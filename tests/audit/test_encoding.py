import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.audit.encoding import Probing, dealt_anew, encoding
from equipoise.errors import InvalidTable
from equipoise.probes import cross_fitted_scores
from equipoise.splits import patient_folds, patient_strata
from tests.audit.revealed import drawn

SEX = {"sex": ["F", "M"]}
FEW = Probing(folds=2)


def rng(seed=0):
    return np.random.default_rng(seed)


def read(found, role="attribute", level="F", given=None):
    return found.filter(
        pl.col("role") == role,
        pl.col("level").eq_missing(pl.lit(level)) if role == "attribute" else True,
        pl.col("given").eq_missing(pl.lit(given)),
    ).row(0, named=True)


def test_a_planted_attribute_is_read_and_one_that_is_not_there_is_not():
    there = encoding(*drawn(rng(1), sex=2.0), by=SEX, finding="edema")
    absent = encoding(*drawn(rng(1)), by=SEX, finding="edema")
    assert read(there)["low"] > 0.8
    assert read(absent)["low"] < 0.5 < read(absent)["high"]
    assert read(there, "positive control")["low"] > 0.6
    control = read(there, "negative control")
    assert control["low"] < 0.5 < control["high"]


def test_what_is_read_only_because_the_finding_goes_with_it_is_not_read_given_the_finding():
    found = encoding(*drawn(rng(2), 600, finding=3.0, tie=0.8), by=SEX, finding="edema")
    overall, given = read(found), read(found, given="edema")
    assert overall["low"] > 0.6
    assert given["low"] < 0.5 < given["high"]


def test_overall_it_is_the_mean_within_folds_of_scikit_learns_auroc():
    metrics = pytest.importorskip("sklearn.metrics")
    embeddings, cohort = drawn(rng(3), sex=0.7)
    x = np.array(embeddings["vector"].to_list(), np.float32)
    woman = (cohort["sex"] == "F").to_numpy()
    ids = [str(i) for i in range(len(woman))]
    strata = patient_strata(ids, [cohort["label:edema"].to_list()], [cohort["sex"].to_list()])
    fold = patient_folds(ids, strata, n=5, seed=0)
    score = cross_fitted_scores(x.astype(float), woman, fold, penalty=0.1)
    value, total = 0.0, 0.0
    for one in range(5):
        truth, told = woman[fold == one], score[fold == one]
        weight = truth.sum() * (~truth).sum() / len(truth)
        value += weight * metrics.roc_auc_score(truth, told)
        total += weight
    found = read(encoding(embeddings, cohort, by=SEX, finding="edema"))
    assert found["auroc"] == pytest.approx(value / total, abs=1e-9)


@settings(max_examples=6)
@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_names_of_levels_count(seed, shuffle):
    embeddings, cohort = drawn(rng(seed), 80, sex=1.0)
    order = list(range(cohort.height))
    shuffle.shuffle(order)
    one = encoding(embeddings, cohort, by=SEX, finding="edema", options=FEW)
    two = encoding(
        embeddings.reverse(),
        cohort[order].with_columns(pl.col("sex").replace({"F": "f", "M": "m"})),
        by={"sex": ["f", "m"]},
        finding="edema",
        options=FEW,
    )
    assert read(one)["auroc"] == pytest.approx(read(two, level="f")["auroc"], abs=1e-9)


def test_of_two_levels_each_is_read_as_well_as_the_other_and_so_is_their_mean():
    found = encoding(*drawn(rng(4), sex=1.0), by=SEX, finding="edema")
    rows = found.filter(pl.col("given").is_null(), role="attribute")
    assert rows["level"].to_list() == ["F", "M", None]
    assert rows["auroc"].to_list() == pytest.approx([rows["auroc"][0]] * 3)
    assert rows["low"].to_list() == pytest.approx([rows["low"][0]] * 3)


def test_copies_of_an_image_do_not_narrow_the_interval():
    embeddings, cohort = drawn(rng(5), 200, sex=0.5)
    copies = pl.concat(
        [cohort.with_columns(image_id=pl.col("image_id") + f"-{i}") for i in range(3)]
    )
    vectors = pl.concat(
        [embeddings.with_columns(image_id=pl.col("image_id") + f"-{i}") for i in range(3)]
    )
    one, three = (
        read(encoding(e, c, by=SEX, finding="edema"))
        for e, c in ((embeddings, cohort), (vectors, copies))
    )
    assert three["n_images"] == 3 * one["n_images"]
    assert three["high"] - three["low"] == pytest.approx(one["high"] - one["low"], rel=0.02)


def test_unknown_is_compared_with_nothing():
    embeddings, cohort = drawn(rng(6), 200, sex=1.0)
    some = pl.int_range(cohort.height) % 4 == 0
    cohort = cohort.with_columns(sex=pl.when(some).then(pl.lit("unknown")).otherwise("sex"))
    found = encoding(embeddings, cohort, by={"sex": ["F", "M", "unknown"]}, finding="edema")
    assert "unknown" not in found["level"].to_list()
    assert read(found)["n_images"] == 150


def test_an_image_whose_finding_was_not_assessed_counts_overall_and_not_given_the_finding():
    embeddings, cohort = drawn(rng(7), 240, sex=1.0)
    some = pl.int_range(cohort.height) % 3 == 0
    cohort = cohort.with_columns(
        pl.when(some).then(None).otherwise("label:edema").alias("label:edema")
    )
    found = encoding(embeddings, cohort, by=SEX, finding="edema")
    assert read(found)["n_images"] == 240
    assert read(found, given="edema")["n_images"] == 160


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sex": pl.lit("M")}, "0 images with the level (30 more are needed)"),
        ({"patient_id": pl.lit("one")}, "1 patients with the level (29 more are needed)"),
    ],
    ids=["one level", "one patient"],
)
def test_what_is_too_small_is_not_assessable_with_the_numbers_lacking(change, reason):
    embeddings, cohort = drawn(rng(8), 100)
    found = encoding(embeddings, cohort.with_columns(**change), by=SEX, finding="edema")
    row = read(found)
    assert (row["status"], row["auroc"], row["reason"]) == ("not assessable", None, reason)


def test_a_finding_that_was_never_assessed_leaves_the_overall_reading():
    embeddings, cohort = drawn(rng(9), sex=1.0)
    never = cohort.with_columns(pl.lit(None, pl.Boolean).alias("label:edema"))
    found = encoding(embeddings, never, by=SEX, finding="edema")
    assert read(found)["status"] == "assessed"
    assert read(found, given="edema")["status"] == "not assessable"
    assert read(found, "positive control")["status"] == "not assessable"


def test_embeddings_that_are_all_alike_tell_nothing():
    embeddings, cohort = drawn(rng(10), 80)
    flat = embeddings.with_columns(vector=pl.lit(pl.Series([[1.0, 2.0]])).first())
    found = read(encoding(flat, cohort, by=SEX, finding="edema", options=FEW))
    assert found["auroc"] == pytest.approx(0.5)
    assert found["low"] < 0.5 < found["high"]


def test_levels_from_the_data_make_every_row_exploratory_and_an_undeclared_one_is_an_error():
    embeddings, cohort = drawn(rng(11), 80)
    assert encoding(embeddings, cohort, by=["sex"], finding="edema")["exploratory"].all()
    with pytest.raises(InvalidTable, match="images of an undeclared level, as sex='M'"):
        encoding(embeddings, cohort, by={"sex": ["F"]}, finding="edema")


def test_an_attribute_of_which_no_level_is_known_is_an_error_and_no_gap():
    embeddings, cohort = drawn(rng(11), 80)
    nobody = cohort.with_columns(sex=pl.lit("unknown"))
    with pytest.raises(InvalidTable, match="attribute 'sex' has no level but 'unknown'"):
        encoding(embeddings, nobody, by={"sex": ["unknown"]}, finding="edema")


def test_progress_counts_each_probe_and_ends_with_all():
    told = []
    cohort = drawn(rng(11), 80)
    encoding(*cohort, by=SEX, finding="edema", progress=lambda *n: told.append(n))
    # The finding, then both levels, then the attribute dealt anew.
    assert told == [(1, 4), (3, 4), (4, 4)]


def test_an_embedded_image_that_is_not_in_the_cohort_is_an_error():
    embeddings, cohort = drawn(rng(12), 80)
    with pytest.raises(InvalidTable, match="1 images are not in the cohort, as '00000'"):
        encoding(embeddings, cohort[1:], by=SEX, finding="edema")
    with pytest.raises(InvalidTable, match="none of the 80 images"):
        encoding(embeddings[:0], cohort, by=SEX, finding="edema")


@given(st.integers(0, 50))
def test_dealing_anew_keeps_a_patients_images_as_alike_as_a_patients_are(seed):
    draw = rng(seed)
    patient = np.sort(draw.integers(0, 12, 60))
    level = np.where(np.isin(patient, draw.integers(0, 12, 6)), "F", "M")
    anew = dealt_anew(level, patient, draw)
    for one in np.unique(patient):
        assert len(set(anew[patient == one])) == 1


@pytest.mark.slow
def test_the_interval_of_the_negative_control_holds_one_half_in_nineteen_of_twenty():
    held = []
    for seed in range(150):
        embeddings, cohort = drawn(rng(seed), 150, 3, sex=1.5, alike=0.95, d=10)
        options = Probing(seed=seed)
        row = read(
            encoding(embeddings, cohort, by=SEX, finding="edema", options=options),
            "negative control",
        )
        held.append(row["low"] < 0.5 < row["high"])
    assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 150)
