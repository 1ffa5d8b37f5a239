import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from equipoise import phantoms
from equipoise.phantoms import THRESHOLD, Options
from equipoise.phantoms.population import independent, judged

WOMEN = {"sex": "F"}
PREVALENCE = 0.4
MISSED = 0.5
SMALL = {"size": 64, "truth_patients": 1500, "prevalence": PREVALENCE, "missing": {"label": 0}}


def _truth(*biases: dict[str, object], seed: int = 1) -> dict[tuple[str, str], dict[str, float]]:
    options = Options(seed=seed, biases=list(biases), **SMALL)
    rows = phantoms.contrasts(phantoms.population(options, workers=2), [WOMEN])
    return {(row["labels"], row["metric"]): row for row in rows}


def _apart(one: dict[str, float], other: dict[str, float]) -> float:
    """How many standard errors two differences are apart."""
    error = np.hypot(one["difference_standard_error"], other["difference_standard_error"])
    return abs(one["difference"] - other["difference"]) / error


@pytest.mark.slow
def test_without_biases_the_fixed_model_treats_groups_alike() -> None:
    truth = _truth()

    assert all(abs(r["difference"]) < 3 * r["difference_standard_error"] for r in truth.values())
    assert truth["clean", "auroc"]["rest"] > 0.85
    for metric in ("sensitivity", "specificity", "auroc"):
        clean, recorded = truth["clean", metric], truth["recorded", metric]
        assert clean["difference"] == recorded["difference"]


@pytest.mark.slow
def test_lower_visibility_is_a_true_difference_against_both_labels() -> None:
    truth = _truth({"kind": "lower_visibility", "group": WOMEN, "factor": 0.3})

    for labels in ("clean", "recorded"):
        assert truth[labels, "sensitivity"]["difference"] < -0.3
        assert abs(truth[labels, "specificity"]["difference"]) < 0.1


@pytest.mark.slow
def test_label_noise_shows_only_in_the_gap_between_clean_and_recorded_labels() -> None:
    truth = _truth({"kind": "label_noise", "group": WOMEN, "under_diagnosis": MISSED})
    clean, recorded = truth["clean", "specificity"], truth["recorded", "specificity"]

    assert abs(clean["difference"]) < 3 * clean["difference_standard_error"]
    assert recorded["difference"] < -0.1
    assert _apart(clean, recorded) > 4


@pytest.mark.slow
def test_label_noise_cannot_be_told_from_a_matching_true_difference_by_recorded_labels() -> None:
    kept = PREVALENCE * (1 - MISSED)
    noisy = _truth({"kind": "label_noise", "group": WOMEN, "under_diagnosis": MISSED})
    real = _truth(
        {"kind": "prevalence_shift", "group": WOMEN, "prevalence": kept},
        {"kind": "look_alikes", "group": WOMEN, "share": PREVALENCE * MISSED / (1 - kept)},
        seed=2,
    )

    for metric in ("sensitivity", "specificity", "auroc"):
        assert _apart(noisy["recorded", metric], real["recorded", metric]) < 3
    assert noisy["recorded", "specificity"]["difference"] < -0.1
    assert real["recorded", "specificity"]["difference"] < -0.1
    # Clean labels do tell: the model is as good for the mislabelled group as for the others.
    assert _apart(noisy["clean", "specificity"], real["clean", "specificity"]) > 4


def test_the_matching_arms_have_one_law_of_pictures_and_recorded_labels() -> None:
    """A picture shows an opacity or not; all else in it is independent of group and label."""
    kept = PREVALENCE * (1 - MISSED)
    noise = {"kind": "label_noise", "group": WOMEN, "under_diagnosis": MISSED}
    shift = {"kind": "prevalence_shift", "group": WOMEN, "prevalence": kept}
    alike = {"kind": "look_alikes", "group": WOMEN, "share": PREVALENCE * MISSED / (1 - kept)}
    shares = []
    for seed, biases in ((1, [noise]), (2, [shift, alike])):
        table = phantoms.scenes(
            Options(patients=20000, seed=seed, prevalence=PREVALENCE, biases=biases)
        )
        women = table.filter((pl.col("sex") == "F") & (pl.col("number") == 0))
        shown = women.drop_nulls("recorded").group_by(pl.col("contrast") > 0, "recorded").len()
        shares.append(shown.sort("contrast", "recorded")["len"].to_numpy() / women.height)

    assert len(shares[0]) == len(shares[1]) == 3
    assert np.abs(shares[0] - shares[1]).max() < 0.02


def test_the_population_is_scored_alike_by_any_number_of_workers() -> None:
    options = Options(size=32, truth_patients=120)

    assert phantoms.population(options).equals(phantoms.population(options, workers=2))


def test_scores_do_not_depend_on_which_images_come_together() -> None:
    options = Options(size=64, truth_patients=6)
    table = phantoms.population(options)
    scenes = phantoms.scenes(options, stream="population", n=6).filter(pl.col("number") == 0)
    alone = [phantoms.scores(phantoms.images(scenes[k], options))[0] for k in range(6)]

    assert table["score"].to_list() == alone
    assert judged(options, []) == []
    assert independent(options).equals(scenes)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans()), min_size=8, max_size=40)
)
def test_the_measures_agree_with_a_reference(rows: list[tuple[bool, int, bool]]) -> None:
    label, score, woman = (np.array(column) for column in zip(*rows, strict=True))
    table = pl.DataFrame(
        {
            "clean": label,
            "recorded": label,
            "score": score * (THRESHOLD / 2),
            "sex": np.where(woman, "F", "M"),
            "age_years": 50,
        }
    )

    found = {row["metric"]: row for row in phantoms.contrasts(table, [WOMEN])}

    own = label[woman]
    if own.any() and not own.all():
        assert found["auroc"]["value"] == pytest.approx(roc_auc_score(own, score[woman]))
    else:
        assert found["auroc"]["value"] is None
    if own.any():
        assert found["sensitivity"]["value"] == pytest.approx((score[woman & label] >= 2).mean())
    assert found["sensitivity"]["n_positive"] == own.sum()


def test_the_standard_error_of_auroc_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(4)
    values, errors = [], []
    for _ in range(300):
        label = np.arange(120) < 50
        score = rng.normal(size=120) + label
        table = pl.DataFrame(
            {
                "clean": label,
                "recorded": label,
                "score": score,
                "sex": ["F"] * 120,
                "age_years": [50] * 120,
            }
        )
        row = phantoms.contrasts(table, [WOMEN])[2]
        values.append(row["value"])
        errors.append(row["standard_error"])

    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_each_kind_of_label_is_judged_by_itself_and_missing_ones_are_left_out() -> None:
    table = pl.DataFrame(
        {
            "clean": [True, True, False, True],
            "recorded": [True, False, False, None],
            "score": [2 * THRESHOLD, 0.0, 0.0, 0.0],
            "sex": ["F"] * 4,
            "age_years": [50] * 4,
        }
    )

    rows = {r["labels"]: r for r in phantoms.contrasts(table, [WOMEN]) if r["metric"] == "auroc"}
    rates = [r for r in phantoms.contrasts(table, [WOMEN]) if r["metric"] == "sensitivity"]

    assert [row["value"] for row in rates] == pytest.approx([1 / 3, 1.0])
    assert rows["clean"]["n_positive"] == 3
    assert rows["recorded"]["n_positive"] == 1
    assert rows["recorded"]["n_negative"] == 2


def test_a_group_without_patients_has_no_numbers() -> None:
    table = phantoms.population(Options(size=32, truth_patients=4))

    rows = phantoms.contrasts(table, [{"age_from": 120}])

    assert {row["value"] for row in rows} == {None}
    assert {row["difference_standard_error"] for row in rows} == {None}
