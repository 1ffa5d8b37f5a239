"""What every member of the family must keep, whatever it does."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from equipoise import registry
from equipoise.errors import InvalidConfiguration, InvalidTable, UnknownName
from equipoise.mitigations import MITIGATIONS, Training, assessed, load, save
from tests.mitigations.made import training

EVERY = pytest.mark.parametrize("name", sorted(MITIGATIONS))


def fitted(name, rows, *, penalty=0.1, seed=0, start=None, **parameters):
    fit = registry.load(name, MITIGATIONS, kind="mitigation")
    rng = np.random.default_rng(seed)
    return fit(rows, penalty=penalty, parameters=parameters, rng=rng, start=start)


@EVERY
def test_the_same_rng_gives_the_same_bits(name):
    one, other = fitted(name, training()), fitted(name, training())
    assert one.probe.weights.tobytes() == other.probe.weights.tobytes()
    assert one.group_weights.tobytes() == other.group_weights.tobytes()


@EVERY
def test_the_order_of_rows_does_not_matter(name):
    rows = training()
    order = np.random.default_rng(1).permutation(len(rows.y))
    shuffled = Training(rows.x[order], rows.y[order], rows.groups[order])
    one, other = fitted(name, rows), fitted(name, shuffled)
    np.testing.assert_allclose(one.probe.scores(rows.x), other.probe.scores(rows.x), atol=1e-6)


@EVERY
def test_the_names_of_groups_do_not_matter(name):
    rows = training()
    renamed = Training(rows.x, rows.y, np.where(rows.groups == "A", "Z", "Y"))
    one, other = fitted(name, rows), fitted(name, renamed)
    np.testing.assert_allclose(one.probe.scores(rows.x), other.probe.scores(rows.x), atol=1e-6)


@EVERY
def test_what_is_saved_comes_back_equal(name, tmp_path):
    one = fitted(name, training(unknown=20))
    save(one, tmp_path / name)
    back = load(tmp_path / name)
    for field in dataclasses.fields(one):
        if field.name != "probe":
            np.testing.assert_array_equal(getattr(back, field.name), getattr(one, field.name))
    x = training().x
    assert back.probe.scores(x).tobytes() == one.probe.scores(x).tobytes()


@EVERY
def test_images_that_were_not_assessed_are_left_out(name):
    rows = training()
    labels = pl.Series([None if i % 3 == 0 else bool(y) for i, y in enumerate(rows.y)])
    keep = np.arange(len(rows.y)) % 3 != 0
    one = fitted(name, assessed(rows.x, labels, rows.groups))
    other = fitted(name, Training(rows.x[keep], rows.y[keep], rows.groups[keep]))
    assert one.probe.weights.tobytes() == other.probe.weights.tobytes()


@EVERY
def test_it_converges_and_gives_scores_in_the_unit_interval(name):
    rows = training(unknown=20)
    for penalty in (1e-3, 1.0):
        found = fitted(name, rows, penalty=penalty)
        scores = found.probe.scores(rows.x)
        assert found.converged
        assert scores.min() >= 0
        assert scores.max() <= 1


@EVERY
def test_a_start_changes_nothing(name):
    rows = training()
    cold = fitted(name, rows)
    warm = fitted(name, rows, start=fitted(name, rows, penalty=1.0).probe)
    np.testing.assert_allclose(
        cold.probe.scores(rows.x), warm.probe.scores(rows.x), atol=2e-3 if cold.gap else 1e-6
    )


@EVERY
def test_no_group_is_needed_at_test_time(name):
    assert fitted(name, training()).needs_group_at_test is False


@EVERY
def test_a_group_with_one_class_is_no_obstacle(name):
    rows = training()
    one_sided = Training(rows.x, rows.y & (rows.groups == "A"), rows.groups)
    found = fitted(name, one_sided)
    assert found.converged
    assert not any(cell == "positive|B" for cell in found.groups)


@EVERY
@pytest.mark.parametrize("group", ["unknown", "everybody"])
def test_one_group_or_none_known_is_no_obstacle(name, group):
    rows = training()
    found = fitted(name, Training(rows.x, rows.y, np.full(len(rows.y), group)))
    assert found.converged
    assert all("unknown" not in cell for cell in found.groups)


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
def test_an_unknown_parameter_is_an_error_that_names_the_known(name):
    with pytest.raises(InvalidConfiguration, match=f"mitigation {name}: unknown parameter 'powr'"):
        fitted(name, training(), powr=1)


@EVERY
def test_its_docstring_says_objective_needs_and_source(name):
    said = registry.load(name, MITIGATIONS, kind="mitigation").__doc__
    for part in ("Objective:", "at test time", "References", "published"):
        assert part in said


def test_an_unknown_mitigation_names_the_nearest():
    with pytest.raises(UnknownName, match="no mitigation 'group_dr'; known: group_dro") as caught:
        registry.load("group_dr", MITIGATIONS, kind="mitigation")
    assert caught.value.hint == "did you mean 'group_dro'?"
