import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from equipoise import audit
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import Minimum, bootstrap

BY = {"sex": ["F", "M"]}
SMALL = Minimum(positives=2, negatives=2, patients=2)


def two(
    n: int = 600, seed: int = 0, *, strength: tuple[float, float] = (1.0, 1.0), worse_f: float = 0.0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return predictions of two models that share what is hard about an image."""
    rng = np.random.default_rng(seed)
    patient = np.arange(n) // 2
    label, sex = rng.random(n // 2)[patient] < 0.4, rng.choice(["F", "M"], n // 2)[patient]
    hard = rng.standard_normal(n // 2)[patient] + rng.standard_normal(n)
    tables = []
    for position, one in enumerate(strength):
        gain = one - position * worse_f * (sex == "F")
        latent = 2 * gain * label + 0.7 * hard + 0.7 * rng.standard_normal(n)
        tables.append(
            pl.DataFrame(
                {
                    "image_id": [f"i{i:05d}" for i in range(n)],
                    "patient_id": [f"p{i:05d}" for i in patient],
                    "sex": sex,
                    "label": label,
                    "score": 1 / (1 + np.exp(-latent)),
                }
            )
        )
    return tables[0], tables[1]


def only(found: pl.DataFrame, **where: object) -> dict[str, object]:
    for name, value in where.items():
        found = found.filter(pl.col(name).eq_missing(pl.lit(value)))
    return found.row(0, named=True)


def test_the_change_in_a_group_is_that_of_scikit_learn() -> None:
    first, second = two(strength=(0.5, 1.0))
    found = audit.compared(first, second, by=BY, operating_points={"half": 0.5})
    mine = (first["sex"] == "F").to_numpy()
    label = first["label"].to_numpy()[mine]
    scores = [table["score"].to_numpy()[mine] for table in (first, second)]
    areas = [roc_auc_score(label, score) for score in scores]
    row = only(found, sex="F", metric="auroc", contrast=None)
    assert (row["first"], row["second"]) == pytest.approx(tuple(areas), abs=1e-12)
    hits = [(score[label] >= 0.5).mean() for score in scores]
    row = only(found, sex="F", metric="sensitivity", contrast=None)
    assert row["difference"] == pytest.approx(hits[1] - hits[0], abs=1e-12)
    assert (row["operating_point"], row["n_positive"]) == ("half", int(label.sum()))


def test_the_width_is_that_of_a_paired_bootstrap_of_patients() -> None:
    first, second = two(strength=(0.8, 1.0))
    found = audit.compared(first, second, by=BY)
    who = np.arange(600) // 2
    keys = bootstrap.keyed(np.arange(300))
    cell = (first["sex"] == "M").to_numpy().astype(int)
    drawn = [
        bootstrap.replicates(
            bootstrap.Rows(t["score"].to_numpy(), t["label"].to_numpy(), cell, who, keys),
            np.array([[True, False], [False, True]]),
            bootstrap.auroc,
            n=600,
            seed=0,
        )
        for t in (first, second)
    ]
    change = drawn[1] - drawn[0]
    error = change.std(axis=0, ddof=1)
    for place, sex in enumerate(("F", "M")):
        row = only(found, sex=sex, metric="auroc", contrast=None)
        assert (row["high"] - row["low"]) / 3.92 == pytest.approx(error[place], rel=0.12)
    gap = only(found, sex="F", metric="auroc", contrast="rest")
    spread = float((change[:, 0] - change[:, 1]).std(ddof=1))
    assert (gap["high"] - gap["low"]) / 3.92 == pytest.approx(spread, rel=0.12)


def test_the_gap_changes_by_what_its_groups_change() -> None:
    first, second = two(worse_f=0.5)
    found = audit.compared(first, second, by=BY, options=audit.Comparison(references={"sex": "M"}))
    own = [only(found, sex=sex, contrast=None)["difference"] for sex in ("F", "M")]
    gap = only(found, sex="F", contrast="reference")
    assert gap["difference"] == pytest.approx(own[0] - own[1], abs=1e-12)
    assert gap["against"] == "sex=M"
    assert gap["high"] < 0.0


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1_000))
def test_exchanging_the_models_turns_the_sign_and_the_order_of_rows_changes_nothing(seed) -> None:
    first, second = two(80, seed, strength=(0.5, 1.0))
    options = audit.Comparison(minimum=SMALL)
    there = audit.compared(first, second, by=BY, options=options)
    shuffled = first.sample(fraction=1.0, shuffle=True, seed=seed)
    back = audit.compared(second.reverse(), shuffled, by=BY, options=options)
    for name, turned in (("difference", "difference"), ("low", "high"), ("high", "low")):
        np.testing.assert_allclose(
            there[name].to_numpy(), -back[turned].to_numpy(), atol=1e-9, equal_nan=True
        )
    np.testing.assert_allclose(there["p"].to_numpy(), back["p"].to_numpy(), atol=1e-4)


def test_p_agrees_with_the_interval_and_what_is_simultaneous_is_wider() -> None:
    first, second = two(strength=(0.8, 1.0))
    found = audit.compared(
        first, second, by={"sex": ["F", "M"]}, operating_points={"a": 0.5, "b": 0.7}
    )
    beyond = (found["low"] > 0) | (found["high"] < 0)
    assert (beyond == (found["p"] < 0.05)).all()
    assert beyond.any()
    assert not beyond.all()
    assert (found["low_simultaneous"] < found["low"]).all()
    assert (found["high_simultaneous"] > found["high"]).all()
    assert (found["p_holm"] >= found["p"]).all()
    assert (found["low_90"] > found["low"]).all()


@pytest.mark.slow
def test_no_group_is_said_to_change_where_none_does_but_in_one_call_of_twenty() -> None:
    wrong = holms = 0
    for seed in range(60):
        first, second = two(400, seed)
        found = audit.compared(first, second, by=BY, operating_points={"half": 0.5})
        within = found.filter(pl.col("contrast").is_null())
        wrong += ((within["low_simultaneous"] > 0) | (within["high_simultaneous"] < 0)).any()
        holms += (within["p_holm"] < 0.05).any()
    assert wrong <= 8  # 3 are expected; one run in three hundred lies above
    assert holms <= 8


def test_the_same_model_twice_changes_nothing_and_is_equivalent() -> None:
    first, _ = two()
    found = audit.compared(first, first, by=BY, options=audit.Comparison(margin=0.02))
    assert (found["difference"] == 0.0).all()
    assert (found["p"] == 1.0).all()
    assert found["equivalent"].all()
    assert found["not_inferior"].all()


def test_a_margin_is_judged_by_the_pointwise_90_percent_interval_and_without_one_nothing_is() -> (
    None
):
    first, second = two(strength=(0.6, 1.2))
    judged = audit.compared(first, second, by=BY, options=audit.Comparison(margin=0.05))
    assert judged["not_inferior"].to_list() == (judged["low_90"] > -0.05).to_list()
    within = (judged["low_90"] > -0.05) & (judged["high_90"] < 0.05)
    assert judged["equivalent"].to_list() == within.to_list()
    everybody = only(judged, sex=None)
    assert everybody["not_inferior"]
    assert not everybody["equivalent"]
    plain = audit.compared(first, second, by=BY)
    assert plain["equivalent"].null_count() == plain.height


def test_each_model_may_have_its_own_threshold_under_the_same_name() -> None:
    first, second = two()
    scaled = second.with_columns(pl.col("score") / 2)
    own = audit.compared(first, scaled, by=BY, operating_points=({"p": 0.5}, {"p": 0.25}))
    same = audit.compared(first, second, by=BY, operating_points={"p": 0.5})
    assert own["difference"].to_list() == pytest.approx(same["difference"].to_list(), abs=1e-12)
    with pytest.raises(InvalidTable, match="'p' of finding 'finding' is only one model's"):
        audit.compared(first, second, by=BY, operating_points=({"p": 0.5}, {"q": 0.5}))


def test_images_in_one_table_only_are_left_out_and_said(caplog) -> None:
    first, second = two()
    found = audit.compared(first[10:], second[:-20], by=BY)
    assert only(found, sex=None)["n_images"] == 570
    assert "20 images are in the first predictions only, as 'i00580'" in caplog.text
    assert "10 images are in the second predictions only, as 'i00000'" in caplog.text
    alone = audit.unpaired(first[10:], second[:-20])
    assert alone.group_by("only_in").len().sort("only_in")["len"].to_list() == [20, 10]


def test_an_image_that_one_model_did_not_score_is_left_out_for_both(caplog) -> None:
    first, second = two()
    lacking = second.with_columns(score=pl.when(pl.int_range(pl.len()) >= 5).then("score"))
    unlabelled = first.with_columns(label=pl.when(pl.int_range(pl.len()) < 590).then("label"))
    found = audit.compared(unlabelled, lacking, by=BY)
    assert only(found, sex=None)["n_images"] == 585
    assert "5 images lack a label or score" in caplog.text


def test_the_second_table_needs_no_groups_and_no_patients() -> None:
    first, second = two()
    bare = second.drop("sex", "patient_id")
    assert audit.compared(first, bare, by=BY).equals(audit.compared(first, second, by=BY))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", True, "another 'label:finding' in the second predictions, as image_id="),
        ("patient_id", "x", "600 images have another 'patient_id' .*'i00000': 'p00000' and 'x'"),
        ("sex", "F", "images have another 'sex'"),
        ("image_id", "x", "600 rows share image_id='x'"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(column, value, message) -> None:
    first, second = two()
    with pytest.raises(InvalidTable, match=message):
        audit.compared(first, second.with_columns(pl.lit(value).alias(column)), by=BY)


def test_nothing_in_both_is_an_error_with_a_hint() -> None:
    first, second = two()
    with pytest.raises(InvalidTable, match="no image is in both predictions"):
        audit.compared(first, second.with_columns(pl.col("image_id") + "x"), by=BY)
    with pytest.raises(InvalidTable, match="the second predictions: no column 'image_id'"):
        audit.compared(first, second.drop("image_id"), by=BY)
    renamed = second.rename({"label": "label:other", "score": "score:other"})
    with pytest.raises(InvalidTable, match=r"no finding is in both .*\['finding'\].*\['other'\]"):
        audit.compared(first, renamed, by=BY)
    with pytest.raises(InvalidTable, match="finding 'effusion' is not in both"):
        audit.compared(first, second, by=BY, options=audit.Comparison(findings=["effusion"]))
    with pytest.raises(InvalidConfiguration, match="cannot be an attribute and the patient"):
        audit.compared(first, second, by=["sex"], patient="sex")


def test_a_declared_group_that_is_absent_stays_and_is_not_assessable() -> None:
    first, second = two()
    found = audit.compared(
        first, second, by={"sex": ["F", "M", "X"]}, options=audit.Comparison(margin=0.1)
    )
    row = only(found, sex="X", contrast=None)
    assert (row["status"], row["difference"], row["equivalent"]) == ("not assessable", None, None)
    assert row["reason"] == "0 positives (images); needs 30"
    assert only(found, sex="F", contrast="rest")["status"] == "assessed"


def test_one_class_and_one_patient_are_not_assessable_and_no_exception() -> None:
    first, second = two()
    ill = [table.with_columns(label=pl.lit(value=True)) for table in (first, second)]
    found = audit.compared(ill[0], ill[1], by=BY, operating_points={"half": 0.5})
    assert set(found.filter(metric="auroc")["status"]) == {"not assessable"}
    assert set(found.filter(metric="sensitivity")["status"]) == {"assessed"}
    alone = [table.with_columns(patient_id=pl.lit("p")) for table in (first, second)]
    found = audit.compared(alone[0], alone[1], by=BY)
    assert set(found["status"]) == {"not assessable"}


def test_levels_from_the_data_are_exploratory() -> None:
    first, second = two()
    assert audit.compared(first, second, by=["sex"])["exploratory"].all()
    assert not audit.compared(first, second, by=BY)["exploratory"].any()
