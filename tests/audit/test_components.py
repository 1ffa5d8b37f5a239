import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.audit.components import Components, components, principal
from equipoise.audit.vectors import one_per_patient
from equipoise.errors import InvalidConfiguration, InvalidTable
from tests.audit.revealed import drawn, table

SEX = {"sex": ["F", "M"]}
ALL = Components(variance_share=1.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def rows_of(found, role="attribute", given=None):
    return found.filter(pl.col("given").eq_missing(pl.lit(given)), role=role)


def test_groups_that_lie_apart_are_seen_overall_and_within_the_finding():
    found = components(*drawn(rng(0), 400, sex=2.0, finding=2.0), by=SEX, finding="edema")
    for part in (None, "edema present", "edema absent"):
        assert rows_of(found, given=part)["p_adjusted"].min() < 1e-6
    assert rows_of(found, "positive control")["p_adjusted"].min() < 1e-6


def test_what_lies_apart_only_by_the_finding_does_not_within_it():
    found = components(*drawn(rng(1), 600, finding=4.0, tie=0.6), by=SEX, finding="edema")
    assert rows_of(found)["p_adjusted"].min() < 1e-6
    for part in ("edema present", "edema absent"):
        assert rows_of(found, given=part)["p_adjusted"].min() > 0.05


def test_components_are_those_of_scikit_learn_but_for_the_sign():
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = rng(2).normal(size=(60, 5)) * [5, 3, 2, 1, 0.5]
    ours = principal(x, variance_share=1.0, most=9)
    theirs = decomposition.PCA().fit(x)
    assert ours.share == pytest.approx(theirs.explained_variance_ratio_)
    assert np.abs(ours.of(x)) == pytest.approx(np.abs(theirs.transform(x)))


def test_the_distance_is_the_greatest_gap_of_the_two_cumulative_shares_by_brute_force():
    embeddings, cohort = drawn(rng(3), 80, sex=1.0)
    found = rows_of(components(embeddings, cohort, by=SEX, finding="edema", options=ALL))
    x = np.array(embeddings["vector"].to_list(), np.float32)
    along = principal(x, variance_share=1.0, most=10).of(x)
    woman = (cohort["sex"] == "F").to_numpy()
    for place, row in enumerate(found.iter_rows(named=True)):
        gaps = [
            (along[woman, place] <= at).mean() - (along[~woman, place] <= at).mean()
            for at in along[:, place]
        ]
        most = max(gaps, key=abs)
        assert row["statistic"] == pytest.approx(abs(most))
        assert row["direction"] == ("lower" if most > 0 else "higher")


def test_the_adjustment_is_over_all_components_and_groups_together():
    embeddings, cohort = drawn(rng(4), 300, sex=1.0)
    found = components(embeddings, cohort, by=SEX, finding="edema")
    p = found.filter(role="attribute")["p_value"].to_numpy()
    factor = np.sum(1 / np.arange(1, len(p) + 1))
    rank = np.argsort(np.argsort(p)) + 1
    byhand = [min(1, (p[p >= one] * len(p) * factor / rank[p >= one]).min()) for one in p]
    assert found.filter(role="attribute")["p_adjusted"].to_list() == pytest.approx(byhand)


@given(st.integers(0, 30))
def test_the_order_of_rows_does_not_count(seed):
    embeddings, cohort = drawn(rng(seed), 70, 2, sex=1.0)
    one = components(embeddings, cohort, by=SEX, finding="edema")
    two = components(embeddings.reverse(), cohort.reverse(), by=SEX, finding="edema")
    assert one.equals(two)


@given(st.integers(0, 100))
def test_one_image_stands_for_a_patient(seed):
    draw = rng(seed)
    patient, eligible = draw.integers(0, 9, 40), draw.random(40) < 0.5
    rows = one_per_patient(eligible, patient, draw.permutation(40))
    assert eligible[rows].all()
    assert sorted(patient[rows]) == sorted(set(patient[eligible]))


def test_alarms_by_chance_are_nominal_though_each_patient_has_three_images_alike():
    ours, naive = [], []
    scipy_stats = pytest.importorskip("scipy.stats")
    for seed in range(150):
        embeddings, cohort = drawn(rng(seed), 100, 3, finding=0.0, alike=0.98, d=2)
        found = rows_of(components(embeddings, cohort, by=SEX, finding="edema", options=ALL))
        ours += (found["p_value"] < 0.05).to_list()
        x = np.array(embeddings["vector"].to_list())
        woman = (cohort["sex"] == "F").to_numpy()
        naive += [scipy_stats.ks_2samp(x[woman, i], x[~woman, i]).pvalue < 0.05 for i in (0, 1)]
    assert np.mean(ours) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(naive) > 0.25


@pytest.mark.parametrize("given", [None, "edema present", "edema absent"])
def test_too_few_patients_are_not_assessable_and_take_no_place_in_the_family(given):
    embeddings, cohort = drawn(rng(5), 40)
    found = components(embeddings, cohort, by=SEX, finding="edema")
    row = rows_of(found, given=given).row(0, named=True)
    assert (row["status"], row["p_value"], row["p_adjusted"]) == ("not assessable", None, None)
    assert "30 of each are needed" in row["reason"]


def test_three_levels_are_compared_each_with_the_rest_and_unknown_with_none():
    embeddings, cohort = drawn(rng(6), 240)
    levels = ["a", "b", "c", "unknown"]
    place = pl.int_range(cohort.height) % 4
    cohort = cohort.with_columns(band=place.replace_strict(dict(enumerate(levels))))
    found = rows_of(components(embeddings, cohort, by={"band": levels}, finding="edema"))
    assert found["level"].unique(maintain_order=True).to_list() == ["a", "b", "c"]
    assert found["against"].unique().to_list() == ["rest"]
    assert (found["patients_with"] + found["patients_without"]).unique().to_list() == [180]


def test_embeddings_all_alike_have_no_components():
    cohort = drawn(rng(7), 40)[1]
    flat = table(cohort["image_id"].to_list(), np.ones((40, 3)))
    with pytest.raises(InvalidConfiguration, match="40 embeddings, all alike"):
        components(flat, cohort, by=SEX, finding="edema")


def test_vectors_of_several_lengths_are_refused():
    embeddings, cohort = drawn(rng(8), 40)
    ragged = embeddings.with_columns(
        vector=pl.when(pl.int_range(40) == 3).then([1.0]).otherwise("vector")
    )
    with pytest.raises(InvalidTable, match=r"vectors of lengths \[1, 6\]"):
        components(ragged, cohort, by=SEX, finding="edema")
