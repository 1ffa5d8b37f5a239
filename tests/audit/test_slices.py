import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.audit import Slicing, load_rule, save_rule, slices
from equipoise.audit.slices import lift
from equipoise.audit.slicing import Scored, discover, errors, nearest_centre, worse
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable
from equipoise.metrics import Minimum, clustered_auroc
from tests.audit.revealed import table

HIDDEN = {"hidden": ["yes", "no"]}


def rng(seed=0):
    return np.random.default_rng(seed)


def drawn(seed, patients=1600, images=1, *, inside=0.4, outside=0.9, share=0.2):
    """Return embeddings, cohort and predictions with a group that is missed more often."""
    draw, n = rng(seed), patients * images
    hidden = np.repeat(draw.random(patients) < share, images)
    label = np.repeat(draw.random(patients) < 0.5, images)
    x = np.repeat(draw.normal(size=(patients, 6)), images, axis=0) + 0.3 * draw.normal(size=(n, 6))
    x[:, :2] += 3.0 * hidden[:, None]
    right = np.repeat(draw.random(patients), images) < np.where(hidden, inside, outside)
    score = np.where(label == right, 0.75, 0.25) + draw.uniform(-0.2, 0.2, n)
    ids = [f"{i:05}" for i in range(n)]
    cohort = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"p{i:05}" for i in np.repeat(np.arange(patients), images)],
            "hidden": np.where(hidden, "yes", "no"),
            "label:x": label,
        }
    )
    return table(ids, x), cohort, pl.DataFrame({"image_id": ids, "score:x": score})


def found(*tables, threshold=0.5, **options):
    chosen = Slicing(attributes=HIDDEN, **options)
    return slices(*tables, finding="x", threshold=threshold, options=chosen)


@pytest.mark.parametrize("metric", ["sensitivity", "specificity", "auroc"])
def test_a_planted_group_is_found_and_confirmed_on_the_other_patients(metric):
    for seed in range(3):
        made = found(*drawn(seed), metric=metric)
        row = made.table.row(0, named=True)
        assert row["confirmed"]
        assert row["difference_high"] < -0.2
        over = made.lifts.filter(slice="slice 1", level="yes").row(0, named=True)
        assert over["share_inside"] > 3.0 * over["share_rest"]


def test_what_is_confirmed_is_what_the_engine_says_of_the_other_half():
    tables = drawn(4, 1200)
    made = found(*tables)
    again = made.rule.inside(np.array(tables[0]["vector"].to_list()))[:, 0]
    row = made.table.row(0, named=True)
    positive = tables[1]["label:x"].to_numpy()
    assert row["discovery_images"] + row["n_images"] == (again & positive).sum()
    called = tables[2]["score:x"].to_numpy() >= 0.5
    pooled = called[again & positive].mean()
    by_halves = (
        row["discovery_value"] * row["discovery_images"] + row["value"] * row["n_images"]
    ) / (again & positive).sum()
    assert by_halves == pytest.approx(pooled)


@pytest.mark.slow
def test_where_no_group_is_planted_the_alarms_are_at_most_nominal():
    alarms, before, after = [], [], []
    for seed in range(200):
        made = found(*drawn(seed, 400, 2, inside=0.8, outside=0.8), seed=seed).table
        alarms.append(made["confirmed"].fill_null(value=False).any())
        if made.height and made["difference"][0] is not None:
            before.append(made["discovery_difference"][0])
            after.append(made["difference"][0])
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    # Found where it looked worst: that half shows a gap, the other shows that there is none.
    assert np.mean(before) < -0.08
    assert abs(np.mean(after)) < 0.02


def test_no_patient_is_on_both_halves_and_copies_of_images_change_no_verdict():
    embeddings, cohort, scores = drawn(5, 800)
    made = found(embeddings, cohort, scores)
    twice = [
        pl.concat([t.with_columns(image_id=pl.col("image_id") + f"-{i}") for i in range(2)])
        for t in (embeddings, cohort, scores)
    ]
    copied = found(*twice)
    one, two = (m.table.row(0, named=True) for m in (made, copied))
    assert two["n_images"] == 2 * two["n_patients"]
    assert two["discovery_images"] == 2 * two["discovery_patients"]
    assert one["confirmed"] == two["confirmed"]
    assert two["p_value"] > one["p_value"] ** 1.6  # a second copy is no second patient


@settings(max_examples=5)
@given(st.integers(0, 20))
def test_the_order_of_rows_does_not_count_and_the_same_seed_gives_the_same_slices(seed):
    tables = drawn(seed, 500)
    one = found(*tables, seed=seed)
    two = found(*(t.reverse() for t in tables), seed=seed)
    assert one.table.equals(two.table)
    assert one.lifts.equals(two.lifts)


def test_a_rule_is_saved_and_loaded_and_applies_to_images_never_seen(tmp_path):
    made = found(*drawn(6, 800))
    save_rule(made.rule, tmp_path / "slices", more={"finding": "x"})
    x = np.array(drawn(7, 300)[0]["vector"].to_list())
    assert (load_rule(tmp_path / "slices").inside(x) == made.rule.inside(x)).all()
    with pytest.raises(InvalidTable, match="vectors of length 5; expected 6"):
        made.rule.inside(x[:, :5])
    (tmp_path / "slices.safetensors").write_bytes(b"torn")
    with pytest.raises(InvalidInput, match="not readable as safetensors"):
        load_rule(tmp_path / "slices")


@given(st.integers(0, 100), st.integers(1, 5))
def test_the_nearest_centre_is_that_by_brute_force(seed, k):
    draw = rng(seed)
    along, centres = draw.normal(size=(20, 3)), draw.normal(size=(k, 3))
    slow = [min(range(k), key=lambda c: np.sum((row - centres[c]) ** 2)) for row in along]
    assert nearest_centre(along, centres).tolist() == slow


def test_the_difference_of_aurocs_has_the_error_of_two_samples():
    draw = rng(8)
    label, inside = draw.random(400) < 0.5, np.arange(400) < 150
    score = draw.normal(size=400) + label * np.where(inside, 0.5, 1.5)
    images = Scored(np.zeros((400, 1)), score, label, np.arange(400), None)
    value, z = worse(images, inside, "auroc")
    (a, error_a), (b, error_b) = (
        clustered_auroc(score[part], label[part], np.arange(400)[part])
        for part in (inside, ~inside)
    )
    assert value == pytest.approx(a - b)
    assert z == pytest.approx((a - b) / np.hypot(error_a, error_b))


def test_the_test_of_two_rates_is_the_pooled_one_for_one_image_each():
    draw = rng(9)
    inside, right = np.arange(300) < 100, draw.random(300) < 0.7
    images = Scored(
        np.zeros((300, 1)), right.astype(float), np.ones(300, bool), np.arange(300), 0.5
    )
    p, q = right[inside].mean(), right[~inside].mean()
    pooled = right.mean()
    expected = (p - q) / np.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 200))
    value, z = worse(images, inside, "sensitivity")
    assert value == pytest.approx(p - q)
    assert z == pytest.approx(expected, rel=0.05)


def test_the_error_of_a_ranking_is_the_share_of_the_other_class_on_the_wrong_side():
    images = Scored(
        np.zeros((4, 1)),
        np.array([0.1, 0.5, 0.5, 0.9]),
        np.array([True, False, True, False]),
        np.arange(4),
        None,
    )
    assert errors(images, "auroc").tolist() == [1.0, 0.75, 0.75, 1.0]


def test_a_lift_of_a_level_nowhere_else_is_no_number_and_of_one_absent_inside_is_nought():
    has, inside = np.array([True, False, False, False]), np.array([True, True, False, False])
    assert np.isnan(lift(has, inside, np.arange(4))[0])
    value, low, _ = lift(~inside, inside, np.arange(4))
    assert value == 0.0
    assert np.isnan(low)


def test_too_few_images_leave_nothing_to_test():
    made = found(*drawn(10, 60))
    assert (made.table.height, made.lifts.height) == (0, 0)


def test_a_model_that_never_errs_has_no_slices():
    embeddings, cohort, _ = drawn(11, 600)
    scores = cohort.select("image_id", pl.col("label:x").cast(pl.Float64).alias("score:x"))
    assert found(embeddings, cohort, scores).table.height == 0


def test_a_rate_needs_an_operating_point_and_a_score_column():
    embeddings, cohort, scores = drawn(12, 60)
    with pytest.raises(InvalidConfiguration, match="sensitivity needs an operating point"):
        found(embeddings, cohort, scores, threshold=None)
    with pytest.raises(InvalidTable, match="no column 'score:x'"):
        found(embeddings, cohort, scores.rename({"score:x": "score"}))


def test_images_without_a_label_or_a_score_are_in_no_half():
    embeddings, cohort, scores = drawn(13, 800)
    some = pl.int_range(800) % 4
    cohort = cohort.with_columns(
        pl.when(some == 0).then(None).otherwise("label:x").alias("label:x")
    )
    scores = scores.with_columns(
        pl.when(some == 1).then(None).otherwise("score:x").alias("score:x")
    )
    left = cohort.filter(some > 1)
    one = found(embeddings, cohort, scores)
    two = found(embeddings.filter(some > 1), left, scores.filter(some > 1))
    assert one.table.equals(two.table)


def test_discovery_on_one_class_alone_finds_nothing_for_the_other():
    draw = rng(14)
    images = Scored(
        draw.normal(size=(200, 3)), draw.random(200), np.ones(200, bool), np.arange(200), 0.5
    )
    rule = discover(images, "auroc", clusters=(2,), tested=2, minimum=Minimum(), rng=rng())
    assert rule.inside(images.x).shape == (200, 0)
