import dataclasses

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from equipoise import adapt
from equipoise.bench import Labels, label_curve
from equipoise.bench import labels as module
from equipoise.bench.runs import redrawn
from equipoise.errors import InvalidTable, UnknownName
from equipoise.metrics import paired
from equipoise.metrics.paired import Answers
from equipoise.splits import patient_strata
from tests.bench.made import images

PLAIN = adapt.Options(candidates=(), penalties=(1.0,), group_by=("sex",))
ASKED = Labels(adapt=PLAIN, seeds=(0, 1, 2, 3), fractions=(0.05, 0.5, 1.0))


@pytest.fixture(scope="module")
def curve():
    return label_curve(images(), ASKED)


def only(found, **given):
    return found.filter(metric="auroc", **given).sort("fraction")


def test_there_is_a_row_for_every_group_contrast_and_fraction(curve):
    keys = {(row["group"], row["against"]) for row in curve.iter_rows(named=True)}
    assert keys == {
        ("everybody", None),
        ("F", None),
        ("M", None),
        ("F", "rest"),
        ("M", "rest"),
    }
    assert curve.height == len(keys) * 3 * 3
    assert (curve["status"] == "assessed").all()
    assert (curve["low"] < curve["value"]).all()
    assert (curve["value"] <= curve["high"]).all()


def test_fewer_labels_cost_the_smaller_group_more_and_the_change_is_paired(curve):
    gap = only(curve, group="F", against="rest")
    assert gap["change_high"][0] < 0
    assert gap["change"].null_count() == 1
    assert gap["change"][2] is None
    assert gap["change"][0] == pytest.approx(gap["value"][0] - gap["value"][2])
    everybody = only(curve, group="everybody").filter(pl.col("against").is_null())
    assert everybody["value"].is_sorted()
    assert everybody["change_high"][0] < 0


def test_patients_of_a_smaller_share_are_among_those_of_a_larger_one():
    made = images()
    for seed in (0, 1):
        few, some, all_of_them = (
            module._kept(made, made.split != "test", share, seed) for share in (0.1, 0.5, 1.0)
        )
        assert not (few & ~some).any()
        assert not (some & ~all_of_them).any()
        assert (all_of_them | (made.split == "test")).all()
        development = len(np.unique(made.patients[made.split != "test"]))
        assert len(np.unique(made.patients[some])) == pytest.approx(development / 2, abs=4)
        by_patient = {}
        for patient, kept in zip(made.patients, some, strict=True):
            assert by_patient.setdefault(patient, kept) == kept
    outside = made.split != "test"
    both = [module._kept(made, outside, 0.5, seed) for seed in (0, 1)]
    assert not np.array_equal(*both)


@pytest.mark.parametrize("findings", [1, 14])
def test_a_share_is_that_share_of_the_patients_however_many_strata_there_are(findings):
    rng, n = np.random.default_rng(0), 600
    ids = [f"p{i:03d}" for i in range(n)]
    labels = {f"f{i}": pl.Series(rng.random(n) < 0.15) for i in range(findings)}
    sex = np.array(["F", "M"])[rng.integers(0, 2, n)]
    made = adapt.Rows(
        ids,
        ids,
        np.zeros((n, 1)),
        labels,
        sex,
        patient_strata(ids, [one.to_list() for one in labels.values()], [sex.tolist()]),
        np.arange(n),
        np.array(["train", "validation", "test"])[np.arange(n) % 3],
        np.zeros(n, dtype=np.int64),
    )
    for share in (0.1, 0.25, 0.5):
        kept = module._kept(made, made.split != "test", share, 0)
        assert kept.sum() == round(share * 400)
        by_sex = [kept[sex == one].sum() / (sex == one).sum() for one in ("F", "M")]
        assert by_sex == pytest.approx([share * 2 / 3] * 2, abs=0.05)


def test_with_all_labels_it_is_what_adapt_says_by_itself():
    made = images()
    curve = label_curve(made, ASKED.model_copy(update={"fractions": (1.0,), "seeds": (3,)}))
    drawn = redrawn(made, "split", 3)
    assert not np.array_equal(drawn.split, made.split)
    for name in ("train", "validation", "test"):
        sizes = [len(np.unique(one.patients[one.split == name])) for one in (made, drawn)]
        assert sizes[0] == pytest.approx(sizes[1], abs=1)
    adapted = adapt.predictions(drawn, PLAIN.model_copy(update={"evaluation": "split"}))
    score = adapted.predictions["predictions/plain-0.parquet"]["score:edema"].to_numpy()
    threshold = adapted.operating_points["threshold"][0]
    tested = made.split == "test"
    said = Answers(score[tested][None], score[tested][None] >= threshold)
    found = paired(
        said,
        said,
        label=made.truth("edema")[tested],
        patient=made.patients[tested],
        groups={"F": made.groups[tested] == "F"},
    )
    own = curve.filter(pl.col("against").is_null(), fraction=1.0, group="F")
    for metric in ("auroc", "sensitivity", "specificity"):
        value = own.filter(metric=metric)["value"][0]
        assert value == pytest.approx(found.filter(metric=metric)["first"][0])


def test_the_same_input_gives_the_same_table(curve):
    assert label_curve(images(), ASKED).equals(curve)


def test_a_share_without_one_of_the_labels_is_reported_as_failed_and_the_others_stand():
    made = images()
    development = np.flatnonzero((made.split != "test") & made.truth("edema"))
    label = made.labels["edema"].to_numpy().copy()
    label[development] = False
    lonely = development[made.split[development] == "train"][:6]
    label[lonely] = True
    label[development[made.split[development] == "validation"][:6]] = True
    thin = dataclasses.replace(
        made, labels={"edema": pl.Series(label)}, strata=["one"] * len(label)
    )
    found = label_curve(thin, ASKED.model_copy(update={"fractions": (0.02, 1.0)}))
    failed, whole = found.filter(fraction=0.02), found.filter(fraction=1.0)
    assert set(failed["status"]) == {"failed"}
    assert failed["value"].null_count() == failed.height
    assert "expected both labels" in failed["reason"][0]
    assert failed["failed"][0] == 4
    assert (whole["status"] == "assessed").all()


def test_a_finding_that_cannot_be_fitted_does_not_fail_the_others():
    made = images(patients=500)
    rare = pl.Series([False] * len(made.image_ids))
    both = dataclasses.replace(made, labels={**made.labels, "rare": rare})
    found = label_curve(both, ASKED.model_copy(update={"fractions": (1.0,), "seeds": (0,)}))
    assert set(found.filter(finding="rare")["status"]) == {"failed"}
    assert "assessed" in set(found.filter(finding="edema")["status"])


def test_an_attribute_with_one_level_is_an_error_before_anything_is_fitted():
    made = images(patients=300)
    one_group = dataclasses.replace(made, groups=np.array(["F"] * len(made.image_ids)))
    with pytest.raises(InvalidTable, match="cohort: group_by sex: one group only, 'F'"):
        label_curve(one_group, ASKED)


def test_a_reference_is_what_the_others_are_held_against_and_must_exist():
    asked = ASKED.model_copy(update={"reference": "M", "fractions": (1.0,), "seeds": (0,)})
    found = label_curve(images(patients=500), asked)
    assert set(found["against"].drop_nulls()) == {"M"}
    with pytest.raises(UnknownName, match="no group 'X' to hold others against; groups: F, M"):
        label_curve(images(patients=500), asked.model_copy(update={"reference": "X"}))


def test_a_cohort_without_a_test_split_is_an_error():
    made = images(patients=300)
    bare = dataclasses.replace(made, split=np.where(made.split == "test", "train", made.split))
    split = PLAIN.model_copy(update={"evaluation": "split"})
    with pytest.raises(InvalidTable, match="no image is in the test split"):
        label_curve(bare, ASKED.model_copy(update={"adapt": split}))


def test_where_nothing_can_be_fitted_the_reason_is_an_error():
    made = images(patients=300)
    nobody = dataclasses.replace(made, labels={"edema": pl.Series([False] * len(made.image_ids))})
    with pytest.raises(InvalidTable, match="no run could be fitted; seed 0: finding 'edema'"):
        label_curve(nobody, ASKED)


def test_a_small_cohort_is_cross_fitted_and_everybody_is_tested():
    made = images(patients=300)
    asked = ASKED.model_copy(update={"fractions": (0.5, 1.0)})
    found = label_curve(made, asked)
    whole = only(found, group="everybody")
    assert whole["n_images"].to_list() == [len(made.image_ids)] * 2
    assert set(only(found, group="F", against="rest")["status"]) == {"assessed"}
    # Of 300 patients in five folds, 240 are outside each; of half of them half.
    assert whole["labelled_patients"].to_list() == pytest.approx([120, 240], abs=6)
    assert found.equals(label_curve(made, asked))


def test_in_a_cross_fit_nobody_is_scored_by_a_probe_that_saw_their_label():
    """Labels that embeddings do not tell, but are learnt by heart, are not told of new patients."""
    made = images(patients=150)
    rng = np.random.default_rng(0)
    blind = dataclasses.replace(
        made,
        x=rng.normal(size=(len(made.image_ids), 200)),
        labels={"edema": pl.Series(rng.random(len(made.image_ids)) < 0.5)},
    )
    weak = PLAIN.model_copy(update={"penalties": (1e-4,)})
    found = label_curve(blind, ASKED.model_copy(update={"adapt": weak, "fractions": (1.0,)}))
    row = only(found, group="everybody").row(0, named=True)
    assert row["low"] < 0.5 < row["high"]
    assert row["high"] < 0.7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fractions": (0.0, 1.0)}, "fraction 0; expected a share above 0"),
        ({"fractions": (1.5,)}, "fraction 1.5; expected a share"),
        ({"fractions": (0.5, 0.5)}, "one occurs twice"),
        ({"seeds": (1, 1)}, "seed 1 occurs twice"),
        ({"fraction": (1.0,)}, "Extra inputs"),
    ],
)
def test_what_cannot_be_asked_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Labels(**given)
