"""How many patients a verdict needs: exact sums, known variances, and the engine itself."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from equipoise import audit, metrics
from equipoise.audit.powering import chance_of
from equipoise.errors import InvalidConfiguration


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "equipoise", *words], capture_output=True, text=True, check=False
    )


def needed(**told: object) -> int:
    return audit.power(audit.Expected.model_validate(told))["needed"][0]


def simulated(n: int, first: float, second: float, draws: int, seed: int) -> list[pl.DataFrame]:
    """Return the engine's sensitivity rows of two groups of n positives, draw by draw."""
    rng = np.random.default_rng(seed)
    table = metrics.subgroups({"g": ["A", "B"]})
    points = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})
    plan = metrics.Plan(
        {"g": "B"}, ("sensitivity",), metrics.Minimum(), "m", draws=200, describe=False,
        shrink=False,
    )  # fmt: skip
    found = []
    for _ in range(draws):
        hit = np.r_[rng.random(n) < first, rng.random(n) < second]
        rows = pl.DataFrame(
            {"g": ["A"] * n + ["B"] * n, "label:x": [True] * (2 * n), "score:x": hit * 0.8}
        )
        people = metrics.population(rows, table, patient=None, points=points)
        found.append(metrics.estimate(people, table, plan).estimates)
    return found


@pytest.mark.slow
def test_a_chance_is_that_of_the_engine_itself() -> None:
    n, draws = 90, 400
    rows = simulated(n, 0.9, 0.9, draws, 0)
    own = pl.col("contrast").is_null() & (pl.col("g") == "A")
    reached = np.mean([
        frame.filter(own, interval="pointwise", level=0.9)["low"][0] >= 0.8 for frame in rows
    ])  # fmt: skip
    asked = audit.Expected(expected=0.9, floor=0.8, margin=0.12)
    assert chance_of(asked, "floor", n) == pytest.approx(reached, abs=0.06)
    inside = np.mean([
        frame.filter(contrast="reference", interval="pointwise", level=0.9)
        .select(((pl.col("low") >= -0.12) & (pl.col("high") <= 0.12)).all()).item()
        for frame in rows
    ])  # fmt: skip
    assert chance_of(asked, "margin", n) == pytest.approx(inside, abs=0.06)
    rows = simulated(n, 0.7, 0.9, draws, 1)
    seen = np.mean([
        frame.filter(contrast="reference", interval="pointwise", level=0.95)["high"][0] < 0
        for frame in rows
    ])  # fmt: skip
    asked = audit.Expected(expected=0.9, gap=0.2)
    assert chance_of(asked, "gap", n) == pytest.approx(seen, abs=0.06)


def test_an_auroc_needs_what_the_variance_of_hanley_and_mcneil_gives() -> None:
    # For large n the variance of an AUROC A is (A/(2-A) + 2A^2/(1+A) - 2A^2) / n, n of each class.
    spread = sum(a / (2 - a) + 2 * a**2 / (1 + a) - 2 * a**2 for a in (0.8, 0.9))
    normal = (1.959964 + 0.841621) ** 2 * spread / 0.1**2
    found = needed(metric="auroc", expected=0.9, gap=0.1, chance=0.8)
    assert normal < found < 1.04 * normal  # Student's t asks for a little more


@pytest.mark.parametrize(
    "told",
    [
        {"expected": 0.85, "floor": 0.8},
        {"expected": 0.9, "floor": 0.8},
        {"expected": 0.95, "floor": 0.9},
        {"expected": 0.9, "gap": 0.1},
        {"expected": 0.85, "margin": 0.1},
    ],
)
def test_no_number_from_the_answer_on_falls_short(told: dict[str, float]) -> None:
    asked = audit.Expected.model_validate(told)
    question = next(name for name in told if name != "expected")
    short = [n for n in range(10, 801) if chance_of(asked, question, n) < asked.chance]
    assert needed(**told) == short[-1] + 1


def test_more_is_needed_for_less_and_for_more_at_once() -> None:
    assert needed(expected=0.9, floor=0.85) > needed(expected=0.9, floor=0.8)
    assert needed(expected=0.9, gap=0.1) > needed(expected=0.9, gap=0.2)
    assert needed(expected=0.9, margin=0.05) > needed(expected=0.9, margin=0.1)
    assert needed(expected=0.9, gap=0.2, contrasts=20) > needed(expected=0.9, gap=0.2)
    assert needed(expected=0.9, gap=0.2, ratio=5) < needed(expected=0.9, gap=0.2)
    assert needed(expected=0.9, floor=0.8, chance=0.95) > needed(expected=0.9, floor=0.8)


def test_images_that_agree_are_worth_no_more_than_one_and_others_are() -> None:
    once = needed(expected=0.9, floor=0.8)
    alike = needed(expected=0.9, floor=0.8, images=3, agreement=1)
    apart = needed(expected=0.9, floor=0.8, images=3)
    assert apart < alike
    assert alike == pytest.approx(once, rel=0.1)


def test_what_is_impossible_or_not_asked_says_so() -> None:
    with pytest.raises(InvalidConfiguration, match="nothing is asked"):
        audit.power(audit.Expected(expected=0.9))
    with pytest.raises(InvalidConfiguration, match=r"floor of 0\.9 cannot be shown where 0.8"):
        audit.power(audit.Expected(expected=0.8, floor=0.9))
    with pytest.raises(InvalidConfiguration, match="leaves nothing"):
        audit.power(audit.Expected(expected=0.3, gap=0.4))
    assert needed(expected=0.9, margin=0.001) is None


def test_the_command_prints_what_is_needed() -> None:
    told = ("--expected", "0.9", "--floor", "0.8", "--prevalence", "0.1")
    done = command("power", *told)
    assert done.returncode == 0
    assert "860" in done.stdout
    done = command("power", "--expected", "1.9", "--floor", "0.8")
    assert done.returncode == 2
    assert "expected" in done.stderr


def test_a_curve_has_the_chance_of_every_question_at_every_number() -> None:
    asked = audit.Expected(expected=0.9, floor=0.8, gap=0.2)
    curve = audit.power_curve(asked, [50, 86])
    assert curve.select("question", "patients").rows() == [
        ("floor", 50), ("floor", 86), ("gap", 50), ("gap", 86)
    ]  # fmt: skip
    assert curve["chance"].to_list() == [
        chance_of(asked, question, n) for question in ("floor", "gap") for n in (50, 86)
    ]
    with pytest.raises(InvalidConfiguration, match="9 patients; expected 10 to 50000"):
        audit.power_curve(asked, [50, 9])
