"""Findings and penalties fitted in one batch, as each would be by itself."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from equipoise import adapt, probes
from equipoise.adapt import sweeps
from equipoise.adapt.outcomes import over_findings
from equipoise.adapt.rounds import Round, rounds
from equipoise.adapt.sweeps import TOLERANCE, fits
from equipoise.mitigations import WEIGHTINGS, plain
from tests.adapt.made import cohort, images

PENALTIES = (0.01, 0.1, 1.0, 10.0)
ASKED = adapt.Options(evaluation="cross-fit", penalties=PENALTIES)
FINDINGS = ["edema", "mass"]
ROWS_ONLY = pytest.mark.parametrize("name", sorted(WEIGHTINGS))


def two_findings(**labels):
    """Two findings that are not assessed on the same images, nor everywhere."""
    frame, x = cohort()
    rng = np.random.default_rng(3)
    mass = [None if i % 7 == 0 else bool(x[i, 2] + rng.normal() > 0.5) for i in range(len(x))]
    frame = frame.with_columns(pl.Series("label:mass", mass))
    return images(frame.with_columns(pl.Series(f"label:{n}", v) for n, v in labels.items()), x)


def candidate(mitigation, **parameters):
    return adapt.Candidate(name="one", mitigation=mitigation, parameters=parameters)


def fitted(rows, one, *, findings=FINDINGS, seed=0, at=0):
    part = rounds(rows, "cross-fit", seed=seed, inner=0.2)[at]
    return fits(rows, findings, one, part, ASKED, seed=seed)


def rounds_of(rows):
    return rounds(rows, "cross-fit", seed=0, inner=0.2)


def bits(found):
    return [one.probe.weights.tobytes() for one in found]


@ROWS_ONLY
def test_a_batch_gives_what_each_fit_gives_by_itself(name):
    rows = two_findings()
    together = fitted(rows, candidate(name))
    alone = fitted(rows, candidate(f"equipoise.mitigations.{name}:fit"))
    for finding in FINDINGS:
        for one, other in zip(together[finding], alone[finding], strict=True):
            assert one.probe.penalty == other.probe.penalty
            assert one.converged
            assert one.probe.gradient_norm <= TOLERANCE
            np.testing.assert_allclose(
                one.probe.scores(rows.x), other.probe.scores(rows.x), atol=2e-6
            )
            assert (one.mitigation, one.groups) == (other.mitigation, other.groups)
            np.testing.assert_allclose(one.group_weights, other.group_weights, rtol=1e-9)
            np.testing.assert_allclose(one.group_losses, other.group_losses, atol=1e-5)
        assert [one.probe.penalty for one in together[finding]] == sorted(PENALTIES, reverse=True)


def test_the_gradient_that_is_told_is_that_of_the_objective():
    made = two_findings()
    rows = dataclasses.replace(made, x=made.x.astype(np.float64))
    part = rounds(rows, "cross-fit", seed=0, inner=0.2)[0]
    inside = rows.assessed("mass", part.fit)
    for one in fitted(rows, candidate("plain"))["mass"]:
        z = (rows.x[inside] - one.probe.mean) / one.probe.scale
        residual = one.probe.scores(rows.x[inside]) - rows.truth("mass")[inside]
        slopes = z.T @ residual / inside.sum() + one.probe.penalty * one.probe.weights
        largest = max(np.abs(slopes).max(), abs(residual.mean()))
        assert largest == pytest.approx(one.probe.gradient_norm, rel=1e-3)


def test_what_only_weighs_rows_is_not_fitted_one_by_one(monkeypatch):
    monkeypatch.setattr(probes, "fit_logistic", refused)
    for name in ("plain", "proxy", "resampling", "reweighting"):
        assert all(
            isinstance(one, list) for one in fitted(two_findings(), candidate(name)).values()
        )


@pytest.mark.parametrize("name", ["plain", "resampling"])
def test_who_is_not_fitted_on_has_no_part_in_a_fit_not_even_a_bit(name):
    """Embeddings, labels and groups of the other rows are another's, and far away."""
    rows = two_findings()
    outside = ~rounds(rows, "cross-fit", seed=0, inner=0.2)[0].fit
    rng = np.random.default_rng(0)
    x, groups = rows.x.copy(), rows.groups.copy()
    x[outside] = 50.0 + 9.0 * rng.normal(size=(outside.sum(), x.shape[1]))
    groups[outside] = rng.choice(["F", "M"], outside.sum())
    labels = {
        name: pl.Series(
            [not v if o and v is not None else v for v, o in zip(y, outside, strict=True)]
        )
        for name, y in rows.labels.items()
    }
    moved = dataclasses.replace(rows, x=x, groups=groups, labels=labels)
    part = rounds(rows, "cross-fit", seed=0, inner=0.2)[0]
    one, other = (fits(r, FINDINGS, candidate(name), part, ASKED, seed=0) for r in (rows, moved))
    for finding in FINDINGS:
        assert bits(one[finding]) == bits(other[finding])


def test_another_finding_moves_a_fit_by_less_than_the_tolerance_shows():
    rows = two_findings()
    alone = fitted(rows, candidate("plain"), findings=["edema"])["edema"]
    together = fitted(rows, candidate("plain"))["edema"]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.probe.scores(rows.x), other.probe.scores(rows.x), atol=2e-6)


def test_other_candidates_have_no_part_in_a_fit_not_even_a_bit():
    found = []
    for names in (["plain"], ["plain", "reweighting", "resampling"]):
        compared = tuple(adapt.Candidate(name=name, mitigation=name) for name in names)
        adapted = adapt.predictions(
            two_findings(), ASKED.model_copy(update={"candidates": compared})
        )
        found.append(adapted.predictions["predictions/plain-0.parquet"])
    assert found[0].equals(found[1])


def test_a_finding_of_one_label_in_training_fails_by_itself():
    rows = two_findings()
    part = rounds(rows, "cross-fit", seed=0, inner=0.2)[0]
    only = pl.Series([bool(h and i % 2) for i, h in enumerate(part.validation)])
    broken = dataclasses.replace(rows, labels={**rows.labels, "mass": only})
    found = fits(broken, FINDINGS, candidate("plain"), part, ASKED, seed=0)
    assert str(found["mass"]).endswith("are negative; expected both kinds to train on")
    assert bits(found["edema"]) == bits(
        fitted(rows, candidate("plain"), findings=["edema"])["edema"]
    )


def test_rows_drawn_of_one_label_fail_their_finding_alone():
    rare = [i in {1, 3, 5, 7, 9, 11, 200, 300} for i in range(400)]
    rows = two_findings(mass=rare)
    part = Round(None, np.arange(400) >= 100, np.arange(400) < 100, np.ones(400, bool))
    drawn = candidate("resampling", by="group", draws=0.05)
    found = fits(rows, FINDINGS, drawn, part, ASKED, seed=0)
    assert "rows drawn hold one label only" in str(found["mass"])
    assert len(found["edema"]) == len(PENALTIES)


def test_a_round_that_fails_ends_its_finding_and_no_other():
    rows = two_findings()
    parts = rounds(rows, "cross-fit", seed=0, inner=0.2)
    lost = rows.labels["mass"].to_list()
    lost = [None if h else v for v, h in zip(lost, parts[1].validation, strict=True)]
    broken = dataclasses.replace(rows, labels={**rows.labels, "mass": pl.Series(lost)})
    edema, mass = over_findings(broken, FINDINGS, candidate("plain"), parts, ASKED, seed=0)
    assert mass.reason == "finding 'mass': validation outside fold 1 has 0 positives among 0 " + (
        "images; expected both labels"
    )
    assert list(mass.tried) == [0]
    assert np.isnan(mass.scores).all()
    assert edema.reason is None
    assert len(edema.kept) == len(parts)


def test_a_batch_that_breaks_down_is_a_candidate_that_failed(monkeypatch):
    def broken(*args, **given):
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(probes, "fit_batch", broken)
    found = fitted(two_findings(), candidate("reweighting"))
    assert {name: str(one) for name, one in found.items()} == dict.fromkeys(
        FINDINGS, "not positive definite"
    )


def refused(*args, **given):
    raise AssertionError("not this way")


def assert_as_one_by_one(rows, asked):
    part = rounds(rows, "cross-fit", seed=0, inner=0.2)[0]
    for name in ("plain", "reweighting"):
        own = f"equipoise.mitigations.{name}:fit"
        found, exact = (
            fits(rows, FINDINGS, candidate(address), part, asked, seed=0) for address in (name, own)
        )
        for finding in FINDINGS:
            for one, other in zip(found[finding], exact[finding], strict=True):
                assert one.converged
                assert one.probe.penalty == other.probe.penalty
                np.testing.assert_allclose(
                    one.probe.scores(rows.x), other.probe.scores(rows.x), atol=2e-6
                )


def test_what_the_batch_has_not_solved_is_finished_by_itself(monkeypatch):
    monkeypatch.setattr(sweeps, "_PASSES", 2)
    assert_as_one_by_one(two_findings(), ASKED)


def test_a_fit_that_fails_while_it_is_finished_fails_its_finding_alone(monkeypatch):
    rows = two_findings()
    exact, n = probes.fit_logistic, rows.assessed("mass", rounds_of(rows)[0].fit).sum()

    def breaking(x, y, **given):
        if len(y) == n:
            raise np.linalg.LinAlgError("not positive definite")
        return exact(x, y, **given)

    monkeypatch.setattr(sweeps, "_PASSES", 2)
    monkeypatch.setattr(probes, "fit_logistic", breaking)
    found = fitted(rows, candidate("plain"))
    assert str(found["mass"]) == "not positive definite"
    assert all(one.converged for one in found["edema"])


def test_fewer_rows_than_twice_the_dimensions_are_fitted_one_by_one(monkeypatch):
    monkeypatch.setattr(probes, "fit_batch", refused)
    made = two_findings()
    n = int(rounds_of(made)[0].fit.sum())
    more = np.random.default_rng(0).normal(size=(len(made.x), n // 2)).astype(np.float32)
    assert_as_one_by_one(dataclasses.replace(made, x=np.hstack([made.x, more])), ASKED)
    with pytest.raises(AssertionError, match="not this way"):
        fitted(dataclasses.replace(made, x=more[:, : n // 3]), candidate("plain"))


def test_fewer_than_four_columns_are_fitted_one_by_one(monkeypatch):
    monkeypatch.setattr(probes, "fit_batch", refused)
    assert_as_one_by_one(two_findings(), ASKED.model_copy(update={"penalties": (0.1,)}))
    with pytest.raises(AssertionError, match="not this way"):
        fitted(two_findings(), candidate("plain"))


@pytest.mark.parametrize("name", ["plain", "reweighting"])
def test_few_positives_under_a_weak_penalty_converge_all_the_same(name):
    """The batch alone comes to 1e-6 at best: the weight lies on 13 positives of 270 rows."""
    rng, made = np.random.default_rng(0), two_findings()
    x = np.hstack([made.x, rng.normal(size=(400, 40)).astype(np.float32)])
    rare = pl.Series([i % 20 == 1 for i in range(400)])
    rows = dataclasses.replace(made, x=x, labels={**made.labels, "mass": rare})
    asked = ASKED.model_copy(update={"penalties": (1e-4, 1e-5, 1e-6)})
    found = fits(rows, FINDINGS, candidate(name), rounds_of(rows)[0], asked, seed=0)
    assert all(one.converged for made in found.values() for one in made)


STARTS = []


def own(training, *, penalty, parameters, rng, start):
    STARTS.append((penalty, None if start is None else start.penalty))
    return plain.fit(training, penalty=penalty, parameters={}, rng=rng, start=start)


def weights(training, *, parameters, rng):
    raise AssertionError("no member of ours")


def test_a_studys_own_member_is_fitted_penalty_by_penalty_each_from_the_one_before():
    STARTS.clear()
    fitted(two_findings(), candidate(f"{__name__}:own"), findings=["edema"])
    assert STARTS == [(10.0, None), (1.0, 10.0), (0.1, 1.0), (0.01, 0.1)]


def test_clusters_that_are_given_to_group_dro_are_fitted_one_by_one():
    rows, given = two_findings(), {"then": "group_dro", "clusters": 2}
    one = fitted(rows, candidate("proxy", **given))
    other = fitted(rows, candidate("equipoise.mitigations.proxy:fit", **given))
    for finding in FINDINGS:
        assert bits(one[finding]) == bits(other[finding])
