"""The chance of each verdict: that of an independent simulation, and what makes it grow."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import beta

from equipoise import accept, bundles, metrics, policies
from equipoise.accept import chances, needs, shapes
from tests.accept import made
from tests.bundles import made as tiny

ALIKE = {"F": ((5, 3), (3, 5)), "M": ((5, 3), (3, 5))}
APART = {"F": ((4, 3.4), (3, 5)), "M": ((5, 3), (3, 5))}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    return bundles.opened(tiny.bundle(tmp_path_factory.mktemp("power") / "b"))


def place(bundle, cohort):
    levels = {k: list(v) for k, v in bundle.audit.attributes.items()}
    table = metrics.subgroups(levels, order=bundle.audit.intersections)
    return shapes.local(bundle, cohort, table), table


def share(said, verdict, case=0):
    return said["chances"][case]["verdicts"][verdict]["share"]


def independent(bundle, cohort, distributions, *, draws, seed):
    """Verdicts of scores drawn from the Beta distributions themselves, without any histogram."""
    rng = np.random.default_rng(seed)
    table = metrics.subgroups({k: list(v) for k, v in bundle.audit.attributes.items()}, order=2)
    plan = metrics.Plan({}, bundle.audit.metrics, bundle.audit.minimum, "plain", draws=1000)
    positive = cohort[f"label:{made.FINDING}"].to_numpy()
    found = []
    for _ in range(draws):
        score = np.zeros(cohort.height)
        for sex, shape in distributions.items():
            inside = (cohort["sex"] == sex).to_numpy()
            score[inside] = made.scores(rng, positive[inside], shape)
        frame = cohort.with_columns(pl.Series(f"score:{made.FINDING}", score.astype(np.float32)))
        people = metrics.population(
            frame, table, patient="patient_id", points=bundle.operating_points
        )
        made_of = metrics.estimate(people, table, plan).estimates
        found.append(policies.judge(made_of, bundle.policy).verdict.value)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("distributions", "n"), [(ALIKE, 600), (APART, 300)])
def test_the_chance_of_a_pass_is_that_of_an_independent_simulation(opened, distributions, n):
    bundle, cohort = made.known(opened, distributions), made.cohort(n)
    said = accept.power(bundle, cohort, accept.Options(draws=100, worst_draws=5))
    theirs = independent(bundle, cohort, distributions, draws=100, seed=9)
    for verdict in ("pass", "inconclusive", "fail"):
        mine, other = share(said, verdict), theirs.count(verdict) / 100
        spread = np.sqrt(2 * max(mine * (1 - mine), other * (1 - other), 0.01) / 100)
        assert abs(mine - other) < 3.5 * spread, verdict


@pytest.mark.slow
def test_more_images_pass_more_often_where_groups_are_alike(opened):
    bundle = made.known(opened, ALIKE)
    options = accept.Options(draws=25, worst_draws=5)
    passing = [
        share(accept.power(bundle, made.cohort(n), options), "pass") for n in (200, 600, 2400)
    ]
    assert passing == sorted(passing)
    assert passing[0] < 0.5 < passing[2]


@pytest.mark.slow
def test_a_difference_beyond_tolerance_passes_at_most_as_often_as_the_rule_allows(opened):
    bundle = made.known(opened, ALIKE)
    said = accept.power(bundle, made.cohort(1500), accept.Options(draws=5, worst_draws=60))
    beyond, twice = said["chances"][1:]
    assert beyond["difference"] == pytest.approx(-0.16)
    assert beyond["verdicts"]["pass"]["low"] <= 0.05
    assert beyond["verdicts"]["pass"]["share"] <= 0.14
    assert twice["difference"] == pytest.approx(-0.30)
    assert twice["verdicts"]["fail"]["share"] > 0.8


@pytest.mark.parametrize("metric", ["auroc", "sensitivity", "specificity"])
def test_scores_of_a_case_have_the_difference_that_it_states(opened, metric):
    rules = made.policy(metric=metric, tolerance=0.1)
    bundle = made.known(opened, APART, rules=rules)
    cohort = made.cohort(120_000)
    here, _ = place(bundle, cohort)
    found = shapes.shapes(bundle, here)
    case = chances.cases(bundle, here, found, beyond=0.01)[1]
    assert case.says["difference"] == pytest.approx(-0.11)
    score = chances.drawn(
        here, case.shapes[made.FINDING], correlation=0.0, rng=np.random.default_rng(0)
    )
    known, positive = here.labels(made.FINDING)
    group = (here.frame["sex"] == str(case.says["group"]).split("=")[1]).to_numpy()
    values = []
    for inside in (group, ~group):
        ups, downs = score[inside & positive], score[inside & known & ~positive]
        values.append(
            {
                "auroc": float(metrics.placements(ups, np.sort(downs)).mean()),
                "sensitivity": float((ups >= made.THRESHOLD).mean()),
                "specificity": float((downs < made.THRESHOLD).mean()),
            }[metric]
        )
    assert values[0] - values[1] == pytest.approx(-0.11, abs=0.01)


def test_expected_values_are_those_of_the_reference_distributions(opened):
    bundle = made.known(opened, APART)
    here, _ = place(bundle, made.cohort(300))
    shape = shapes.shapes(bundle, here)[made.FINDING]
    arm = here.cells.inside({"sex": "F"})
    sensitivity = shapes.expected(shape, here, arm, "sensitivity", "locked")
    assert sensitivity == pytest.approx(beta.sf(made.THRESHOLD, *APART["F"][0]), abs=1e-5)
    auroc = shapes.expected(shape, here, arm, "auroc", None)
    grid = np.linspace(0, 1, 20_001)
    exact = trapezoid(beta.pdf(grid, *APART["F"][0]) * beta.cdf(grid, *APART["F"][1]), grid)
    assert auroc == pytest.approx(exact, abs=1e-4)


def test_a_threshold_inside_a_bin_keeps_the_reference_rate_exactly(opened):
    """A histogram alone would put a part of that bin on the wrong side."""
    bundle = made.known(opened, ALIKE)
    points = bundle.operating_points.with_columns(threshold=pl.lit(0.5 + 0.3 / made.BINS))
    # Nine tenths of the bin lie above the threshold, not the seven that its width suggests.
    rows = []
    for row in bundle.reference.counts.iter_rows(named=True):
        bins = row["histogram_positive"]
        rows.append({**row, "tp": sum(bins[129:]) + round(0.9 * bins[128])})
    counts = pl.DataFrame(rows, schema=bundle.reference.counts.schema)
    bundle = replace(
        bundle, operating_points=points, reference=replace(bundle.reference, counts=counts)
    )
    here, _ = place(bundle, made.cohort(300))
    shape = shapes.shapes(bundle, here)[made.FINDING]
    found = shapes.expected(shape, here, here.cells.inside({"sex": "F"}), "sensitivity", "locked")
    wanted = counts.filter(sex="F")["tp"][0] / counts.filter(sex="F")["n_positive"][0]
    assert found == pytest.approx(wanted, abs=1e-4)


@pytest.mark.slow
def test_the_numbers_needed_for_a_pass_pass_about_as_often_as_is_said(opened):
    bundle = made.known(opened, ALIKE, rules=made.policy(floor=0.505))
    options = accept.Options(draws=5, worst_draws=5)
    first = accept.power(bundle, made.cohort(400), options)
    row = next(r for r in first["needs"] if r["kind"] == "contrast" and r["group"] == "sex=F")
    factor = row["needed_for_pass"]["n_positive"] / row["n_positive"]
    larger = made.cohort(round(400 * factor))
    said = accept.power(bundle, larger, accept.Options(draws=100, worst_draws=5))
    criterion = next(c for c in said["chances"][0]["criteria"] if c["name"] == "alike")
    assert criterion["verdicts"]["pass"]["share"] == pytest.approx(0.8, abs=0.13)


def test_numbers_that_are_needed_grow_as_the_tolerance_shrinks(opened):
    options = accept.Options(draws=5, worst_draws=5)
    wanted = []
    for tolerance in (0.2, 0.1):
        bundle = made.known(opened, ALIKE, rules=made.policy(tolerance=tolerance))
        rows = accept.power(bundle, made.cohort(300), options)["needs"]
        row = next(r for r in rows if r["kind"] == "contrast")
        wanted.append(row["needed_for_pass"]["n_positive"])
    assert wanted[1] == pytest.approx(4 * wanted[0], rel=0.05)


def test_images_of_the_same_patients_are_worth_less(opened):
    bundle = made.known(opened, ALIKE, correlation=0.5)
    options = accept.Options(draws=5, worst_draws=5)
    needed = []
    for per_patient in (1, 4):
        rows = accept.power(bundle, made.cohort(800, per_patient=per_patient), options)["needs"]
        row = next(r for r in rows if r["kind"] == "contrast")
        needed.append(row["needed_for_pass"]["n_positive"] / row["n_positive"])
    assert needed[1] > 1.8 * needed[0]


def test_a_group_that_is_not_here_is_named_and_no_verdict_is_promised(opened):
    bundle = made.known(opened, ALIKE)
    said = accept.power(bundle, made.cohort(300, share=0.0), accept.Options(draws=5, worst_draws=5))
    row = next(r for r in said["needs"] if r["group"] == "sex=F")
    assert row["needed_for_pass"] is None
    assert "5 more positives" in row["lacking"]
    assert not row["enough_for_pass"]
    assert share(said, "not assessable") == 1.0
    assert said["chances"][1]["draws"] == 0
    assert "no group that it judges is large enough" in said["chances"][1]["reason"]


def test_without_reference_and_claims_nothing_is_promised(opened):
    bundle = replace(made.known(opened, ALIKE), reference=None)
    said = accept.power(bundle, made.cohort(300), accept.Options(draws=5, worst_draws=5))
    assert [row["draws"] for row in said["chances"]] == [0, 0, 0]
    assert said["expected_from"] == {made.FINDING: "nothing"}
    assert said["needs"][0]["needed_for_pass"] is None
    assert said["needs"][0]["minimum"]["n_positive"] == 5


def test_claims_of_a_maker_stand_in_for_a_reference(opened):
    bundle = made.known(opened, ALIKE)
    claims = {made.FINDING: {"locked": bundles.Claim(sensitivity=0.9, specificity=0.8)}}
    manifest = bundle.manifest.model_copy(update={"claims": claims})
    bundle = replace(bundle, reference=None, manifest=manifest)
    here, _ = place(bundle, made.cohort(300))
    shape = shapes.shapes(bundle, here)[made.FINDING]
    everybody = np.ones(here.cells.n, dtype=bool)
    for metric, value in (("sensitivity", 0.9), ("specificity", 0.8), ("auroc", 0.85)):
        assert shapes.expected(shape, here, everybody, metric, "locked") == pytest.approx(value)


@given(st.integers(0, 200), st.integers(1, 12))
def test_quantiles_hit_each_bin_as_often_as_its_mass(seed, bins):
    rng = np.random.default_rng(seed)
    mass = rng.dirichlet(np.ones(bins)) * (rng.random(bins) < 0.8)
    mass = np.ones(bins) if mass.sum() == 0 else mass
    mass = mass / mass.sum()
    edges = np.unique(np.concatenate([[0.0, 1.0], rng.random(bins - 1)]))
    grid = (np.arange(20_000) + 0.5) / 20_000
    found = chances._quantiles(grid, mass, edges)
    counted = np.histogram(found, edges)[0] / len(grid)
    assert counted == pytest.approx(mass, abs=1e-3)
    assert (np.diff(found) >= 0).all()


@given(st.integers(0, 500), st.integers(1, 20))
def test_auroc_of_swapped_classes_adds_up_to_one(seed, bins):
    rng = np.random.default_rng(seed)
    first, second = rng.dirichlet(np.ones(bins)), rng.dirichlet(np.ones(bins))
    assert shapes.auroc(first, second) + shapes.auroc(second, first) == pytest.approx(1.0)


def test_the_copula_keeps_margins_and_binds_a_patients_images(opened):
    bundle = made.known(opened, ALIKE)
    cohort = made.cohort(40_000, per_patient=2)
    here, _ = place(bundle, cohort)
    shape = shapes.shapes(bundle, here)[made.FINDING]
    score = chances.drawn(here, shape, correlation=0.5, rng=np.random.default_rng(3))
    _, positive = here.labels(made.FINDING)
    assert score[positive].mean() == pytest.approx(5 / 8, abs=0.01)
    pairs = score.reshape(-1, 2)[positive.reshape(-1, 2).all(axis=1)]
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.5, abs=0.03)


def test_hanley_mcneil_is_the_published_value():
    # Hanley & McNeil 1982, their example: 51 abnormal, 58 normal images, area 0.893, SE 0.032.
    assert needs._hanley_mcneil(0.893, 51, 58) ** 0.5 == pytest.approx(0.032, abs=0.0006)
