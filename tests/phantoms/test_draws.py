import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from equipoise import phantoms, tables
from equipoise.errors import InvalidConfiguration
from equipoise.phantoms import Options

MANY = Options(patients=6000, seed=7)
SCENES = phantoms.scenes(MANY)


def _associated(table: pl.DataFrame, one: str, other: str) -> float:
    """Pearson's chi-squared over its degrees of freedom: about 1 without association."""
    cells = table.group_by(one, other).len().pivot(on=other, index=one, values="len").fill_null(0)
    seen = cells.drop(one).to_numpy().astype(float)
    expected = seen.sum(1, keepdims=True) * seen.sum(0) / seen.sum()
    degrees = (seen.shape[0] - 1) * (seen.shape[1] - 1)
    return float(((seen - expected) ** 2 / expected).sum() / degrees)


def test_the_same_seed_draws_the_same_scenes_and_another_seed_others() -> None:
    again = phantoms.scenes(MANY)
    other = phantoms.scenes(MANY.model_copy(update={"seed": 8}))

    assert again.equals(SCENES)
    assert set(other["image_id"]).isdisjoint(SCENES["image_id"])
    assert not other["clean"].head(100).equals(SCENES["clean"].head(100))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_patient_does_not_depend_on_how_many_are_drawn(n: int, seed: int) -> None:
    few = phantoms.scenes(Options(patients=n, seed=seed))
    more = phantoms.scenes(Options(patients=n + 5, seed=seed))

    assert few.equals(more.filter(pl.col("patient") < n))


@pytest.mark.parametrize("other", ["clean", "site", "view", "month", "marker", "view_known"])
def test_without_biases_sex_goes_with_nothing(other: str) -> None:
    first = SCENES.filter(pl.col("number") == 0)

    assert _associated(first, "sex", other) < 3


@pytest.mark.parametrize("other", ["site", "view", "marker", "sex_known", "age_known"])
def test_without_biases_the_label_goes_with_nothing(other: str) -> None:
    first = SCENES.filter(pl.col("number") == 0)

    assert _associated(first, "clean", other) < 3.9


def test_the_association_measure_does_see_what_is_planted() -> None:
    shifted = Options(
        patients=6000,
        seed=7,
        biases=[{"kind": "prevalence_shift", "group": {"sex": "F"}, "prevalence": 0.3}],
    )

    assert _associated(phantoms.scenes(shifted), "sex", "clean") > 20


def test_without_biases_recorded_labels_are_the_clean_ones_or_missing() -> None:
    told = SCENES.filter(pl.col("recorded").is_not_null())

    assert told["recorded"].equals(told["clean"].alias("recorded"))
    assert 0.005 < 1 - told.height / SCENES.height < 0.015


def test_shares_come_out_as_declared() -> None:
    patients = SCENES.filter(pl.col("number") == 0)

    assert patients["clean"].mean() == pytest.approx(0.40, abs=0.02)
    assert (patients["sex"] == "F").mean() == pytest.approx(0.50, abs=0.02)
    assert (patients["site"] == "harbour").mean() == pytest.approx(0.40, abs=0.02)
    assert SCENES.height / patients.height == pytest.approx(1.2, abs=0.02)
    assert SCENES["number"].max() == 2
    assert (~patients["sex_known"]).mean() == pytest.approx(0.03, abs=0.01)
    assert (~patients["age_known"]).mean() == pytest.approx(0.03, abs=0.01)
    assert (~SCENES["view_known"]).mean() == pytest.approx(0.05, abs=0.01)
    assert SCENES["month"].n_unique() == 24
    assert patients["age_years"].mean() == pytest.approx(55.7, abs=1)


def test_all_images_of_a_patient_agree_in_what_is_the_patients_own() -> None:
    own = ["sex", "age_years", "site", "clean", "contrast", "patient_code", "sex_known"]

    assert (SCENES.group_by("patient").n_unique().select(own).max().row(0)) == (1,) * len(own)
    assert SCENES["image_id"].n_unique() == SCENES.height


def test_identifiers_of_two_arms_are_alike_so_they_cannot_tell_the_label() -> None:
    shifted = MANY.model_copy(
        update={"biases": (phantoms.PrevalenceShift(group={"sex": "F"}, prevalence=0.9),)}
    )
    other = phantoms.scenes(shifted)
    names = ["image_id", "study_id", "patient_code"]

    assert other.select(names).equals(SCENES.select(names))
    assert not other["clean"].equals(SCENES["clean"])


def test_the_population_shares_no_patient_with_the_bench() -> None:
    other = phantoms.scenes(MANY, stream="population", n=500)

    assert set(other["patient_code"]).isdisjoint(SCENES["patient_code"])
    ages = SCENES.filter(pl.col("number") == 0)["age_years"].head(500).to_numpy()
    drawn = other.filter(pl.col("number") == 0)["age_years"].to_numpy()
    assert abs(np.corrcoef(ages, drawn)[0, 1]) < 0.15


def test_an_unknown_stream_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="no stream 'truth'; known: bench, population"):
        phantoms.scenes(MANY, stream="truth")


def test_one_site_and_one_patient_are_enough() -> None:
    small = Options(patients=1, sites=[{"name": "only"}], images_per_patient={"mean": 1, "max": 1})

    assert phantoms.scenes(small).select("site", "number").rows() == [("only", 0)]


def test_the_cohort_keeps_its_contract_and_tells_no_truth() -> None:
    cohort = phantoms.cohort(SCENES, MANY)

    tables.check(cohort, tables.COHORT)
    assert tables.attributes(cohort) == ["sex"]
    assert set(cohort["sex"].unique()) == {"F", "M", "unknown"}
    assert cohort["view"].null_count() == (~SCENES["view_known"]).sum()
    assert cohort["age_years"].null_count() == (~SCENES["age_known"]).sum()
    assert "clean" not in cohort.columns
    assert cohort["patient_id"][0] == f"{SCENES['site'][0]}/{SCENES['patient_code'][0]}"


def test_more_images_than_the_most_is_an_error() -> None:
    with pytest.raises(InvalidConfiguration, match=r"images_per_patient.mean 4.0 is above max 3"):
        Options(images_per_patient={"mean": 4, "max": 3})


def test_ages_that_end_before_they_begin_are_an_error() -> None:
    with pytest.raises(InvalidConfiguration, match=r"age.low 60 is above high 50"):
        Options(age={"low": 60, "high": 50})


def test_a_size_that_the_fixed_model_cannot_read_is_an_error() -> None:
    with pytest.raises(ValidationError, match="multiple of 32"):
        Options(size=100)
