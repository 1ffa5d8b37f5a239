import logging

import numpy as np
import polars as pl
import pytest

from equipoise.audit import Options, estimates, prompt_estimates, prompt_sensitivity
from equipoise.errors import InvalidTable
from equipoise.metrics import Minimum

N = 600
RNG = np.random.default_rng(0)
SICK = RNG.random(N) < 0.4
WOMAN = RNG.random(N) < 0.5
COHORT = pl.DataFrame(
    {
        "image_id": [f"i{n:03}" for n in range(N)],
        "patient_id": [f"p{n // 2:03}" for n in range(N)],
        "sex": np.where(WOMAN, "F", "M"),
        "label:edema": SICK,
        "label:mass": RNG.random(N) < 0.5,
    }
)
BY = {"sex": ["F", "M"]}


def scored(prompt, of_women, of_men, finding="edema"):
    """Return scores that part sick from well by so many deviations in each group."""
    apart = np.where(WOMAN, of_women, of_men) * SICK
    score = 1 / (1 + np.exp(-apart - np.random.default_rng(len(prompt or "")).normal(size=N)))
    return COHORT.select(
        "image_id",
        finding=pl.lit(finding),
        prompt=pl.lit(prompt, dtype=pl.String),
        score=pl.Series(score),
    )


SCORES = pl.concat(
    [
        scored(None, 1.5, 1.5),
        scored("wet | dry", 2.5, 0.5),
        scored("water | none", 0.5, 2.5),
        scored("oedema | no oedema", 1.5, 1.6),
    ]
)


@pytest.fixture(scope="module")
def found():
    return prompt_estimates(SCORES, COHORT, by=BY)


def of(table, **at):
    rows = table.filter(*(pl.col(k).eq_missing(pl.lit(v)) for k, v in at.items()))
    assert rows.height == 1
    return rows.row(0, named=True)


def test_each_prompt_is_audited_as_if_it_were_alone(found):
    alone = COHORT.drop("label:mass").join(
        SCORES.filter(prompt="wet | dry").select("image_id", pl.col("score").alias("score:edema")),
        on="image_id",
    )
    chosen = Options(metrics=["auroc"], describe=False, shrink=False)
    told = estimates(alone, by=BY, options=chosen)
    assert found.filter(prompt="wet | dry").drop("prompt").equals(told, null_equal=True)


def test_the_spread_is_that_of_the_single_prompts(found):
    spread = prompt_sensitivity(found)
    row = of(spread, sex="F", contrast=None)
    values = found.filter(
        pl.col("contrast").is_null(),
        pl.col("prompt").is_not_null(),
        sex="F",
        interval="simultaneous",
    )["value"].to_numpy()
    assert row["n_prompts"] == len(values) == 3
    assert row["range"] == pytest.approx(np.ptp(values))
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))
    assert (row["lowest_prompt"], row["highest_prompt"]) == ("water | none", "wet | dry")
    assert row["sign_changes"] is None
    whole = of(found.filter(interval="simultaneous"), prompt=None, sex="F", contrast=None)["value"]
    assert row["ensemble"] == pytest.approx(whole)


def test_a_gap_that_turns_with_the_words_is_said(found, caplog):
    with caplog.at_level(logging.WARNING):
        row = of(prompt_sensitivity(found), sex="F", contrast="rest")
    assert row["lowest"] < 0 < row["highest"]
    assert row["sign_changes"] is True
    assert row["sign_changes_clearly"] is True
    assert "the gap of {'sex': 'F'} against rest is -0." in caplog.text


def test_a_gap_that_keeps_its_side_is_not_said_to_turn(caplog):
    same = pl.concat([scored("a | b", 2.5, 0.5), scored("aa | b", 2.0, 0.5)])
    with caplog.at_level(logging.WARNING):
        row = of(
            prompt_sensitivity(prompt_estimates(same, COHORT, by=BY)), sex="F", contrast="rest"
        )
    assert row["sign_changes"] is False
    assert row["sign_changes_clearly"] is False
    assert "the gap" not in caplog.text


def test_a_gap_around_nothing_may_turn_without_doing_so_clearly():
    near = pl.concat([scored(prompt, 1.5, 1.5) for prompt in ("a", "bb", "ccc", "dddd", "eeeee")])
    row = of(prompt_sensitivity(prompt_estimates(near, COHORT, by=BY)), sex="F", contrast="rest")
    assert row["sign_changes"] is True
    assert row["sign_changes_clearly"] is False


def test_the_order_of_rows_does_not_matter(found):
    mixed = prompt_estimates(
        SCORES.sample(fraction=1, shuffle=True, seed=1), COHORT.reverse(), by=BY
    )
    told = prompt_sensitivity(found)
    again = prompt_sensitivity(mixed)
    for name in ("lowest", "highest", "range", "sd"):
        np.testing.assert_allclose(again[name], told[name], rtol=1e-9)


def test_one_prompt_has_a_range_of_nothing_and_no_deviation():
    row = of(
        prompt_sensitivity(prompt_estimates(scored("a | b", 1, 1), COHORT, by=BY)),
        sex="M",
        contrast=None,
    )
    assert (row["n_prompts"], row["range"], row["sd"], row["ensemble"]) == (1, 0.0, None, None)


def test_a_group_too_small_under_every_prompt_is_not_assessable():
    few = Options(minimum=Minimum(positives=400, negatives=30, patients=30))
    spread = prompt_sensitivity(prompt_estimates(SCORES, COHORT, by=BY, options=few))
    row = of(spread, sex="F", contrast=None)
    assert (row["n_prompts"], row["lowest"], row["status"]) == (0, None, "not assessable")
    assert "more are needed" in row["reason"]
    assert of(spread, sex="F", contrast="rest")["sign_changes"] is None


def test_findings_are_kept_apart():
    both = pl.concat([SCORES, scored("m | n", 0.0, 0.0, "mass")])
    spread = prompt_sensitivity(prompt_estimates(both, COHORT, by=BY))
    assert of(spread, finding="mass", sex="F", contrast=None)["n_prompts"] == 1
    assert of(spread, finding="edema", sex="F", contrast=None)["n_prompts"] == 3


def test_images_without_a_score_are_said(caplog):
    part = SCORES.filter(pl.col("image_id") < "i590")
    with caplog.at_level(logging.WARNING):
        found = prompt_estimates(part, COHORT, by=BY)
    assert "scores: 10 images of the cohort have none" in caplog.text
    assert found["n_images"].max() == 590


@pytest.mark.parametrize(
    ("scores", "cohort", "message"),
    [
        (SCORES.drop("prompt"), COHORT, "scores: no column 'prompt'"),
        (SCORES, COHORT.drop("image_id"), "cohort: no column 'image_id'"),
        (SCORES, COHORT.drop("label:edema"), "cohort: no column 'label:edema'; known: mass"),
        (pl.concat([SCORES, SCORES]), COHORT, "image 'i000' is scored twice under the same prompt"),
        (SCORES, COHORT.head(500), "scores: 100 images are not in the cohort, as 'i500'"),
        (SCORES.clear(), COHORT, "scores: no rows; expected a score per image"),
        (SCORES.with_columns(score=pl.lit(1.5)), COHORT, "score"),
    ],
)
def test_tables_that_do_not_fit_are_refused(scores, cohort, message):
    with pytest.raises(InvalidTable, match=message):
        prompt_estimates(scores, cohort, by=BY)
