"""What every member of the family must keep, whatever it does."""

import dataclasses
import sys
from functools import cache

import numpy as np
import polars as pl
import pytest

from equipoise import registry
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable, UnknownName
from equipoise.mitigations import (
    MITIGATIONS,
    WEIGHTINGS,
    Declared,
    Training,
    assessed,
    load,
    save,
    scores,
)
from equipoise.probes import fit_logistic
from equipoise.tables import read_json, write_json
from tests.mitigations.made import training

EVERY = pytest.mark.parametrize("name", sorted(MITIGATIONS))

QUICK = {
    **{name: {"hidden": 2, "passes": 30} for name in ("mmd", "coral", "dann", "cdann", "laftr")},
    "crt": {"hidden": 2, "passes": 30},
    "dfr": {"subsets": 3},
}
"""Members of many passes, made small: what is checked here does not depend on their size."""

ANY_GROUPS = {
    "crt",
    "cvar_dro",
    "group_dro",
    "jtt",
    "mixup",
    "plain",
    "proxy",
    "resampling",
    "reweighting",
}
"""Those that mean something, or are plain training, where there is one group or none is known."""

BOTH_LABELS = {
    "calibrated_equalised_odds",
    "domain_independent",
    "equalised_odds",
    "group_thresholds",
    "recalibration",
}
"""Those that need both labels in every group."""

DRAWN = {"calibrated_equalised_odds", "equalised_odds"}
"""Those whose scores jump: a score that moves by a rounding may be drawn otherwise."""


def declared(name):
    fit = registry.load(name, MITIGATIONS, kind="mitigation")
    return sys.modules[fit.__module__].DECLARED


def fitted(name, rows, *, penalty=0.1, seed=0, start=None, **parameters):
    fit = registry.load(name, MITIGATIONS, kind="mitigation")
    rng = np.random.default_rng(seed)
    given = {**QUICK.get(name, {}), **parameters}
    return fit(rows, penalty=penalty, parameters=given, rng=rng, start=start)


@cache
def usual(name):
    """What a member makes of the usual rows: it is the same every time, which is a test too."""
    return fitted(name, training())


def scored(found, rows):
    return scores(found, rows.x, rows.groups)


def assert_alike(name, one, other, *, atol=1e-5):
    """Compare scores; where decisions are drawn, a score in a hundred may differ."""
    far = np.abs(one.astype(float) - other.astype(float)) > atol
    assert far.mean() <= (0.01 if name in DRAWN else 0.0)


@EVERY
def test_the_same_rng_gives_the_same_bits(name):
    one, other = usual(name), fitted(name, training())
    assert one.probe.weights.tobytes() == other.probe.weights.tobytes()
    assert one.group_weights.tobytes() == other.group_weights.tobytes()
    assert scored(one, training()).tobytes() == scored(other, training()).tobytes()


@EVERY
def test_the_order_of_rows_does_not_matter_not_even_to_what_draws(name):
    rows = training()
    order = np.random.default_rng(1).permutation(len(rows.y))
    shuffled = Training(rows.x[order], rows.y[order], rows.groups[order])
    one, other = usual(name), fitted(name, shuffled)
    assert_alike(name, scored(one, rows), scored(other, rows))


@EVERY
def test_the_names_of_groups_do_not_matter(name):
    rows = training()
    renamed = Training(rows.x, rows.y, np.where(rows.groups == "A", "Z", "Y"))
    one, other = usual(name), fitted(name, renamed)
    assert_alike(name, scored(one, rows), scored(other, renamed), atol=1e-4)


@EVERY
def test_patients_are_codes_and_their_numbers_do_not_matter(name):
    rows = training()
    patients = np.arange(len(rows.y)) // 2
    one = fitted(name, dataclasses.replace(rows, patients=patients))
    other = fitted(name, dataclasses.replace(rows, patients=1000 - 3 * patients))
    assert scored(one, rows).tobytes() == scored(other, rows).tobytes()


@EVERY
def test_what_is_saved_comes_back_equal(name, tmp_path):
    rows = training(unknown=20)
    one = fitted(name, rows)
    save(one, tmp_path / name)
    back = load(tmp_path / name)
    for field in dataclasses.fields(one):
        if field.name not in {"probe", "features", "after"}:
            np.testing.assert_array_equal(getattr(back, field.name), getattr(one, field.name))
    for step, again in ((one.features, back.features), (one.after, back.after)):
        assert (step is None) == (again is None)
        if step is not None:
            assert (again.kind, again.groups) == (step.kind, step.groups)
            assert {key: array.tobytes() for key, array in again.arrays.items()} == {
                key: np.ascontiguousarray(array).tobytes() for key, array in step.arrays.items()
            }
    assert scored(back, rows).tobytes() == scored(one, rows).tobytes()
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.json", f"{name}.safetensors"}


@EVERY
def test_what_it_needs_at_test_time_is_declared_and_saved(name, tmp_path):
    said, found = declared(name), usual(name)
    assert isinstance(said, Declared)
    assert found.needs_group_at_test is said.group_at_test
    save(found, tmp_path / name)
    assert read_json(tmp_path / f"{name}.json")["needs_group_at_test"] is said.group_at_test


@EVERY
def test_a_score_without_a_group_is_given_or_refused_by_name(name):
    rows, found = training(), usual(name)
    if found.needs_group_at_test:
        with pytest.raises(InvalidTable, match=f"mitigation '{name}' needs the group of every"):
            scores(found, rows.x)
    else:
        assert scores(found, rows.x).tobytes() == scored(found, rows).tobytes()


@EVERY
def test_an_unseen_group_is_scored_as_an_unknown_one(name):
    rows, found = training(), usual(name)
    unseen, unknown = (
        scores(found, rows.x, np.full(len(rows.y), group)) for group in ("never seen", "unknown")
    )
    assert unseen.dtype == np.float32
    assert np.isfinite(unseen).all()
    assert unseen.tobytes() == unknown.tobytes()


@EVERY
def test_a_score_does_not_depend_on_who_else_is_scored(name):
    rows, found = training(), usual(name)
    some = np.arange(0, len(rows.y), 7)
    alone = scores(found, rows.x[some], rows.groups[some])
    assert_alike(name, alone, scored(found, rows)[some], atol=1e-6)


@EVERY
def test_images_that_were_not_assessed_are_left_out(name):
    rows = training()
    labels = pl.Series([None if i % 3 == 0 else bool(y) for i, y in enumerate(rows.y)])
    keep = np.arange(len(rows.y)) % 3 != 0
    one = fitted(name, assessed(rows.x, labels, rows.groups))
    other = fitted(name, Training(rows.x[keep], rows.y[keep], rows.groups[keep]))
    assert one.probe.weights.tobytes() == other.probe.weights.tobytes()


@EVERY
def test_it_gives_scores_in_the_unit_interval_with_rows_of_unknown_group(name):
    rows = training(unknown=20)
    for penalty in (1e-3, 1.0):
        found = fitted(name, rows, penalty=penalty)
        score = scored(found, rows)
        assert score.dtype == np.float32
        assert found.converged or name in QUICK
        assert score.min() >= 0
        assert score.max() <= 1
        assert not any("unknown" in cell for cell in found.groups)


@EVERY
def test_a_start_changes_nothing(name):
    rows = training()
    cold = usual(name)
    warm = fitted(name, rows, start=fitted("plain", rows, penalty=1.0).probe)
    assert_alike(name, scored(cold, rows), scored(warm, rows), atol=5e-3 if cold.gap else 1e-5)


@pytest.mark.parametrize("name", sorted(WEIGHTINGS))
def test_what_weighs_rows_and_nothing_else_is_its_weights_and_the_solver(name):
    rows, rng = training(unknown=20), np.random.default_rng(0)
    weights = registry.load(name, WEIGHTINGS, kind="mitigation")(rows, parameters={}, rng=rng)
    probe = fit_logistic(rows.x, rows.y, weights=weights.weights, penalty=0.1)
    found = fitted(name, rows)
    assert found.probe.weights.tobytes() == probe.weights.tobytes()
    assert (found.features, found.after, found.gap) == (None, None, 0.0)
    inside = weights.codes >= 0
    total = np.bincount(weights.codes[inside], weights=weights.weights[inside])
    assert found.groups == weights.names
    np.testing.assert_allclose(found.group_weights, total / total.sum())


@pytest.mark.parametrize("name", sorted(WEIGHTINGS))
def test_weights_go_with_their_rows(name):
    rows = training()
    order = np.random.default_rng(1).permutation(len(rows.y))
    shuffled = Training(rows.x[order], rows.y[order], rows.groups[order])
    weigh = registry.load(name, WEIGHTINGS, kind="mitigation")
    one, other = (
        weigh(given, parameters={}, rng=np.random.default_rng(0)) for given in (rows, shuffled)
    )
    np.testing.assert_allclose(one.weights[order], other.weights, rtol=1e-12)


@EVERY
def test_a_group_with_one_class_is_no_obstacle_or_is_named(name):
    rows = training()
    one_sided = Training(rows.x, rows.y & (rows.groups == "A"), rows.groups)
    if name in BOTH_LABELS:
        with pytest.raises(InvalidTable, match=f"{name}: group 'B' has only negatives among its"):
            fitted(name, one_sided)
    else:
        found = fitted(name, one_sided)
        assert np.isfinite(scored(found, rows)).all()
        assert not any(cell == "positive|B" for cell in found.groups)


@EVERY
@pytest.mark.parametrize("group", ["unknown", "everybody"])
def test_one_group_or_none_known_is_no_obstacle_or_is_said(name, group):
    rows = training()
    alone = Training(rows.x, rows.y, np.full(len(rows.y), group))
    if name in ANY_GROUPS or (name == "dfr" and group == "everybody"):
        found = fitted(name, alone)
        assert all("unknown" not in cell for cell in found.groups)
    else:
        known = "no row's group is known" if group == "unknown" else "the only known group is"
        with pytest.raises(InvalidTable, match=f"{name}: ({known}|the rows of known group)"):
            fitted(name, alone)


@EVERY
def test_one_label_only_is_refused(name):
    rows = training()
    with pytest.raises(InvalidTable, match="all 300 are positive; expected both kinds"):
        fitted(name, Training(rows.x, np.full(300, True), rows.groups))


@EVERY
def test_an_embedding_that_is_no_number_is_refused(name):
    rows = training()
    rows.x[3, 1] = np.nan
    with pytest.raises(InvalidTable, match="1 of 300 rows hold NaN or infinity"):
        fitted(name, rows)


@EVERY
def test_an_embedding_of_another_length_or_no_number_is_not_scored(name):
    rows, found = training(), usual(name)
    with pytest.raises(InvalidTable, match="vectors of length 2; expected 4"):
        scores(found, rows.x[:, :2], rows.groups)
    rows.x[3, 1] = np.inf
    with pytest.raises(InvalidTable, match="1 of 300 rows hold NaN or infinity"):
        scored(found, rows)


@EVERY
def test_a_penalty_that_is_none_is_refused(name):
    with pytest.raises(InvalidConfiguration, match="penalty 0; expected a number above 0"):
        fitted(name, training(), penalty=0)


@EVERY
def test_an_unknown_parameter_is_an_error_that_names_the_known(name):
    with pytest.raises(InvalidConfiguration, match=f"mitigation {name}: unknown parameter 'powr'"):
        fitted(name, training(), powr=1)


@EVERY
def test_its_docstring_says_objective_needs_replication_and_source(name):
    fit = registry.load(name, MITIGATIONS, kind="mitigation")
    said = " ".join(fit.__doc__.split())
    for part in ("Objective", "at test time", "References", "published", "Replication:"):
        assert part in said
    assert ("**and at test time**" in said) is declared(name).group_at_test


def test_an_unknown_mitigation_names_the_nearest():
    with pytest.raises(
        UnknownName, match=r"no mitigation 'group_dr'; known: .*group_dro"
    ) as caught:
        registry.load("group_dr", MITIGATIONS, kind="mitigation")
    assert caught.value.hint == "did you mean 'group_dro'?"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"after": {"kind": "magic", "groups": ["A", "B"]}}, "after of kind 'magic'; known"),
        ({"after": {"kind": "log_odds", "groups": ["A"]}}, "'intercept' has 3 rows; expected 2"),
        ({"after": {"kind": "withheld", "groups": ["A", "B"]}}, "lack rate, salt, share"),
        ({"needs_group_at_test": False}, "needs_group_at_test is False, its steps say True"),
        ({"after": {"kind": "log_odds"}}, "after: Field required"),
    ],
)
def test_a_step_that_could_not_be_computed_is_not_opened(tmp_path, change, why):
    save(fitted("recalibration", training()), tmp_path / "a")
    said = read_json(tmp_path / "a.json")
    write_json(tmp_path / "a.json", {**said, **change})
    with pytest.raises(InvalidInput, match=why):
        load(tmp_path / "a")
