import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from equipoise import phantoms
from equipoise.errors import InvalidConfiguration
from equipoise.phantoms import Options

N = 4000
TWIN = phantoms.scenes(Options(patients=N, seed=3))
WOMEN = {"sex": "F"}


def _arm(**bias: object) -> pl.DataFrame:
    return phantoms.scenes(Options(patients=N, seed=3, biases=[bias]))


def _changed(arm: pl.DataFrame) -> set[str]:
    """The columns in which an arm differs from its twin, row by row."""
    assert arm.height == TWIN.height
    return {name for name in TWIN.columns if not arm[name].equals(TWIN[name])}


def _of(table: pl.DataFrame, sex: str) -> pl.DataFrame:
    return table.filter(TWIN["sex"] == sex)


def test_no_biases_change_nothing() -> None:
    assert _changed(phantoms.scenes(Options(patients=N, seed=3, biases=[]))) == set()


def test_under_representation_changes_only_who_the_patients_are() -> None:
    arm = _arm(kind="under_representation", group=WOMEN, share=0.15)

    assert _changed(arm) == {"sex", "age_years"}
    assert (arm["sex"] == "F").mean() == pytest.approx(0.15, abs=0.02)
    assert (arm.filter(pl.col("sex") == "F")["age_years"] > 0).all()
    assert _of(arm, "M").equals(_of(TWIN, "M")), "who was not in the group stays as they were"
    stayed = arm["sex"] == TWIN["sex"]
    assert arm.filter(stayed).equals(TWIN.filter(stayed))


def test_under_representation_by_age_leaves_the_others_in_proportion() -> None:
    arm = _arm(kind="under_representation", group={"age_from": 60}, share=0.1)
    young = TWIN.filter(pl.col("age_years") < 60)

    assert (arm["age_years"] >= 60).mean() == pytest.approx(0.1, abs=0.015)
    now_young = arm.filter(pl.col("age_years") < 60)["age_years"]
    assert now_young.mean() == pytest.approx(young["age_years"].mean(), abs=1)


def test_under_representation_cannot_enlarge_a_group() -> None:
    with pytest.raises(InvalidConfiguration, match=r"share 0.6 of \{'sex': 'F'\}; expected below"):
        _arm(kind="under_representation", group=WOMEN, share=0.6)


def test_label_noise_changes_recorded_labels_of_the_group_and_no_image() -> None:
    arm = _arm(kind="label_noise", group=WOMEN, under_diagnosis=0.4)
    sick = pl.col("clean") & pl.col("recorded").is_not_null()

    assert _changed(arm) == {"recorded"}
    assert _of(arm, "M").equals(_of(TWIN, "M"))
    assert _of(arm, "F").filter(sick)["recorded"].mean() == pytest.approx(0.6, abs=0.05)
    assert not _of(arm, "F").filter(~pl.col("clean"))["recorded"].any()


def test_over_diagnosis_records_what_is_not_there() -> None:
    arm = _arm(kind="label_noise", group=WOMEN, under_diagnosis=0, over_diagnosis=0.25)
    healthy = ~pl.col("clean") & pl.col("recorded").is_not_null()

    assert _of(arm, "F").filter(healthy)["recorded"].mean() == pytest.approx(0.25, abs=0.04)
    assert _of(arm, "F").filter(pl.col("clean"))["recorded"].drop_nulls().all()


def test_a_shortcut_ties_the_marker_to_the_label_at_its_site_alone() -> None:
    arm = _arm(kind="shortcut", site="meadow", strength=0.8)
    here = TWIN["site"] == "meadow"
    right = pl.col("marker") == "R"

    assert _changed(arm) == {"marker"}
    assert arm.filter(~here).equals(TWIN.filter(~here))
    shares = arm.filter(here).group_by("clean").agg(right.mean()).sort("clean")["marker"]
    assert shares.to_list() == pytest.approx([0.1, 0.9], abs=0.03)
    before = TWIN.group_by("clean").agg(right.mean())["marker"].to_numpy()
    assert np.abs(before - 0.5).max() < 0.03


def test_a_shortcut_changes_no_pixel_but_the_markers() -> None:
    options = Options(patients=60, seed=3, sites=[{"name": "only"}])
    planted = options.model_copy(update={"biases": (phantoms.Shortcut(site="only", strength=1.0),)})
    twin = phantoms.images(phantoms.scenes(options), options)
    arm = phantoms.images(phantoms.scenes(planted), planted)

    differs = (twin != arm).any(axis=0)
    assert differs.any()
    assert not differs[20:].any()


def test_lower_visibility_fades_the_groups_opacities_and_nothing_else() -> None:
    arm = _arm(kind="lower_visibility", group=WOMEN, factor=0.25)

    assert _changed(arm) == {"contrast"}
    assert _of(arm, "M").equals(_of(TWIN, "M"))
    ratio = (arm["contrast"] / TWIN["contrast"]).filter(TWIN["clean"] & (TWIN["sex"] == "F"))
    assert ratio.to_list() == pytest.approx([0.25] * len(ratio))


def test_lower_visibility_leaves_all_other_images_as_they_were_to_the_bit() -> None:
    twin = Options(patients=80, seed=3, size=64)
    arm = twin.model_copy(update={"biases": (phantoms.LowerVisibility(group=WOMEN, factor=0.25),)})
    scenes = phantoms.scenes(twin)
    before = phantoms.images(scenes, twin)
    after = phantoms.images(phantoms.scenes(arm), arm)
    touched = (scenes["clean"] & (scenes["sex"] == "F")).to_numpy()

    assert (before[~touched] == after[~touched]).all()
    brighter = before[touched].astype(int) - after[touched]
    assert brighter.max(axis=(1, 2)).min() > 5
    assert brighter.min() >= -1


def test_look_alikes_show_what_the_label_does_not_mean() -> None:
    arm = _arm(kind="look_alikes", group=WOMEN, share=0.3)
    healthy = _of(arm, "F").filter(~pl.col("clean"))

    assert _changed(arm) == {"contrast"}
    assert _of(arm, "M").equals(_of(TWIN, "M"))
    assert (healthy["contrast"] > 0).mean() == pytest.approx(0.3, abs=0.04)
    assert set(arm["contrast"].unique()) == {0.0, Options().visibility}


def test_a_prevalence_shift_changes_who_is_ill_in_the_group() -> None:
    arm = _arm(kind="prevalence_shift", group=WOMEN, prevalence=0.2)

    assert _changed(arm) == {"clean", "recorded", "contrast"}
    assert _of(arm, "M").equals(_of(TWIN, "M"))
    assert _of(arm, "F")["clean"].mean() == pytest.approx(0.2, abs=0.03)
    assert not (_of(arm, "F")["clean"] & ~_of(TWIN, "F")["clean"]).any(), "only fewer, not others"


def test_scanner_drift_begins_in_its_month_at_its_site() -> None:
    arm = _arm(kind="scanner_drift", from_month=13, site="ridge", gain=0.8, noise=2.0)
    hit = (TWIN["month"] >= 13) & (TWIN["site"] == "ridge")

    assert _changed(arm) == {"gain", "noise"}
    assert arm.filter(~hit).equals(TWIN.filter(~hit))
    assert (arm["gain"] / TWIN["gain"]).filter(hit).to_list() == pytest.approx([0.8] * hit.sum())
    assert (arm["noise"] / TWIN["noise"]).filter(hit).to_list() == pytest.approx([2.0] * hit.sum())


def test_scanner_drift_may_fall_on_a_group_or_on_everybody() -> None:
    women = _arm(kind="scanner_drift", from_month=20, group=WOMEN, gain=0.9)
    all_ = _arm(kind="scanner_drift", from_month=20, gain=0.9)

    assert _of(women, "M").equals(_of(TWIN, "M"))
    assert _changed(women) == {"gain"}
    assert (all_["gain"] != TWIN["gain"]).equals((TWIN["month"] >= 20).alias("gain"))


def test_drift_darkens_what_a_reader_sees() -> None:
    twin = Options(patients=40, seed=3, size=64)
    arm = twin.model_copy(update={"biases": (phantoms.ScannerDrift(from_month=1, gain=0.7),)})
    before = phantoms.images(phantoms.scenes(twin), twin)
    after = phantoms.images(phantoms.scenes(arm), arm)

    assert after.mean() / before.mean() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        ({"kind": "lower_visibilty"}, "no bias 'lower_visibilty'; known: label_noise"),
        (
            {"kind": "lower_visibility", "group": {"gender": "F"}, "factor": 0.5},
            "lower_visibility: no attribute 'gender'; known: sex, age_from, age_below",
        ),
        (
            {"kind": "label_noise", "group": {"sex": "X"}, "under_diagnosis": 0.5},
            "label_noise: sex is 'X'; expected F or M",
        ),
        (
            {"kind": "look_alikes", "group": {"age_from": "old"}, "share": 0.5},
            "look_alikes: age_from is 'old'; expected whole years",
        ),
        (
            {"kind": "prevalence_shift", "group": {}, "prevalence": 0.5},
            "prevalence_shift: the group is empty",
        ),
        (
            {"kind": "shortcut", "site": "harbor", "strength": 0.5},
            "shortcut: no site 'harbor'; known: harbour, meadow, ridge",
        ),
        (
            {"kind": "scanner_drift", "site": "ridg", "from_month": 2},
            "scanner_drift: no site 'ridg'",
        ),
    ],
)
def test_what_stands_for_nothing_is_named(bias: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        Options(biases=[bias])


def test_a_hint_names_the_nearest_site() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Options(biases=[{"kind": "shortcut", "site": "harbor", "strength": 0.5}])
    assert caught.value.hint == "did you mean 'harbour'?"


def test_two_shortcuts_at_one_site_are_an_error() -> None:
    one = {"kind": "shortcut", "site": "ridge", "strength": 0.5}

    with pytest.raises(InvalidConfiguration, match="two shortcuts at one site"):
        Options(biases=[one, one])


def test_two_sites_of_one_name_are_an_error() -> None:
    with pytest.raises(InvalidConfiguration, match="two sites share a name"):
        Options(sites=[{"name": "a"}, {"name": "a"}])


def test_digital_radiography_with_signed_values_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="site 'a' is DX with signed=True"):
        Options(sites=[{"name": "a", "signed": True}])


def test_an_unknown_key_of_a_bias_is_an_error() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Options(
            biases=[{"kind": "lower_visibility", "group": WOMEN, "factor": 0.5, "shape": "round"}]
        )


def test_the_options_survive_json_so_that_a_study_can_hold_them() -> None:
    options = Options(
        biases=[
            {"kind": "lower_visibility", "group": {"sex": "F", "age_from": 60}, "factor": 0.5},
            {"kind": "scanner_drift", "from_month": 7, "site": "ridge", "noise": 2},
        ]
    )

    assert Options.model_validate(options.model_dump(mode="json")) == options
    assert Options.model_validate_json(options.model_dump_json()) == options


def test_every_option_is_described_for_those_who_write_a_study() -> None:
    schema = Options.model_json_schema()
    described = [schema, *schema["$defs"].values()]

    assert set(schema["$defs"]) > {"Site", "LowerVisibility", "ScannerDrift"}
    for model in described:
        for name, field in model["properties"].items():
            assert name == "kind" or field.get("description"), name
