import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from equipoise import metrics
from equipoise.metrics import parts
from equipoise.metrics.parts.agreements import compared_in
from equipoise.metrics.parts.counting import counted
from equipoise.metrics.parts.messages import COUNTS
from tests.metrics.parts.made import LEVELS, TABLE, agreement, federated, hospital

MINIMUM = 10
RULES = parts.Rules(minimum_cell=MINIMUM, contributors=1)
CELLS = [(sex, age) for sex in LEVELS["sex"] for age in LEVELS["age"]]


def sparse(seed: int, patients: int) -> pl.DataFrame:
    """Return a hospital in which some combinations are rare and some absent."""
    rng = np.random.default_rng(seed)
    weight = rng.dirichlet(np.full(len(CELLS), 0.5))
    cell = rng.choice(len(CELLS), patients, p=weight)
    rows = hospital(rng, patients, images=2)
    return rows.with_columns(
        sex=pl.Series([CELLS[one][0] for one in np.repeat(cell, 2)]),
        age=pl.Series([CELLS[one][1] for one in np.repeat(cell, 2)]),
    )


def codes(rows: pl.DataFrame) -> list[int]:
    return [CELLS.index(pair) for pair in rows.select("sex", "age").rows()]


def small_arms(rows: pl.DataFrame, agreed: parts.Agreed) -> list[tuple[int, bool]]:
    """Return the arms and labels of fewer patients than the minimum, by plain counting."""
    found = []
    for arm, inside in enumerate(agreed.whole.inside):
        for label in (False, True):
            mine = rows.filter(
                pl.Series([bool(inside[one]) for one in codes(rows)], dtype=pl.Boolean),
                pl.col("label:x") == label,
                pl.col("score:x").is_not_null(),
            )
            if 0 < mine["patient_id"].n_unique() < MINIMUM:
                found.append((arm, label))
    return found


def told(rows: pl.DataFrame, agreed: parts.Agreed) -> parts.Part:
    people = parts.population_of(rows, agreed, patient="patient_id")
    return parts.first(people, agreed, name="s")


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([25, 60, 150, 400]))
def test_small_subgroups_are_withheld_and_no_sum_of_what_is_sent_tells_how_many(
    seed: int, patients: int
) -> None:
    """The classic attack: the sent patients by label as equations, bounded and by null space."""
    agreed = agreement(rules=RULES, findings=("x",), names=["auroc"])
    rows = sparse(seed, patients).unique("patient_id", maintain_order=True)
    part, inside = told(rows, agreed), agreed.whole.inside.astype(float)
    hidden = part.withheld[0]
    for arm, label in small_arms(rows, agreed):
        assert hidden[arm], agreed.compared.names[arm]
        n = part.counts.of("patients_positive" if label else "patients_negative")[0]
        equal = {"A_eq": inside[~hidden], "b_eq": n[~hidden]} if (~hidden).any() else {}
        limits = []
        for sign in (1.0, -1.0):
            solved = linprog(sign * inside[arm], bounds=(0, 1_000), method="highs", **equal)
            assert solved.status == 0
            limits.append(sign * solved.fun)
        assert limits[0] == pytest.approx(0.0, abs=1e-6)
        assert limits[1] >= MINIMUM - 1e-6
        rank = np.linalg.matrix_rank(inside[~hidden]) if (~hidden).any() else 0
        assert np.linalg.matrix_rank(np.vstack([inside[~hidden], inside[arm]])) == rank + 1


def moved(
    rows: pl.DataFrame,
    hidden: np.ndarray,
    arm: int,
    label: bool,
    *,
    agreed: parts.Agreed,
    out: bool,
) -> pl.DataFrame:
    """Return rows of which the same is told, all of a label moved out of an arm, or into it."""
    inside = agreed.whole.inside
    blocks: dict[bytes, list[int]] = {}
    for cell in range(len(CELLS)):
        blocks.setdefault(inside[~hidden, cell].tobytes(), []).append(cell)
    place, keep = [], []
    labels = rows["label:x"].to_list()
    for cell, mine in zip(codes(rows), labels, strict=True):
        block = blocks[inside[~hidden, cell].tobytes()]
        other = [one for one in block if bool(inside[arm, one]) != out]
        wanted = mine == label and bool(inside[arm, cell]) == out
        silent = not inside[~hidden, cell].any()
        keep.append(bool(other) or not (wanted and silent and out))
        place.append(other[0] if wanted and other else cell)
    return rows.with_columns(
        sex=pl.Series([CELLS[one][0] for one in place]),
        age=pl.Series([CELLS[one][1] for one in place]),
    ).filter(pl.Series(keep))


def in_arm(rows: pl.DataFrame, agreed: parts.Agreed, arm: int, label: bool) -> int:
    inside = agreed.whole.inside[arm]
    mask = pl.Series([bool(inside[one]) for one in codes(rows)], dtype=pl.Boolean)
    mine = rows.filter(mask, pl.col("label:x") == label, pl.col("score:x").is_not_null())
    return mine["patient_id"].n_unique()


@pytest.mark.slow
@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([40, 120, 300]))
def test_the_same_message_comes_of_nobody_and_of_many_in_a_small_subgroup(
    seed: int, patients: int
) -> None:
    """All that is sent, histograms and second moments too, fits none and the minimum as well."""
    agreed = agreement(rules=RULES, findings=("x",))
    rows = sparse(seed, patients)
    part = told(rows, agreed)
    hidden = part.withheld[0]
    merged = parts.merge([part], agreed, disjoint_patients=True)
    people = parts.population_of(rows, agreed, patient="patient_id")
    second = parts.moments_of(people, part, merged, agreed)
    for arm, label in small_arms(rows, agreed)[:6]:
        nobody = moved(rows, hidden, arm, label, agreed=agreed, out=True)
        assert in_arm(nobody, agreed, arm, label) == 0
        many = moved(rows, hidden, arm, label, agreed=agreed, out=False)
        silent = not agreed.whole.inside[~hidden][:, agreed.whole.inside[arm]].any()
        assert silent or in_arm(many, agreed, arm, label) >= MINIMUM
        for other in (nobody, many):
            if other["score:x"].is_null().sum() != rows["score:x"].is_null().sum():
                continue  # images without a score left with the others: only their number differs
            people = parts.population_of(other, agreed, patient="patient_id")
            counts = counted(people, agreed, part.withheld)
            for name in COUNTS:
                assert np.array_equal(getattr(counts, name), getattr(part.counts, name)), name
            again = parts.moments_of(people, part, merged, agreed)
            for name in ("variance", "fourth", "covariance", "joint_values", "joint_differences"):
                a, b = getattr(again, name), getattr(second, name)
                scale = float(np.abs(b).max(initial=0.0))
                assert np.allclose(a, b, rtol=1e-9, atol=1e-13 * max(scale, 1e-30)), name


def test_where_no_subgroup_is_small_nothing_is_withheld() -> None:
    agreed = agreement(rules=RULES)
    rows = hospital(np.random.default_rng(1), 600)
    part = told(rows, agreed)
    assert not part.withheld.any()


def test_a_small_level_is_withheld_with_one_more_and_so_is_what_they_are_compared_with() -> None:
    table = metrics.subgroups({"sex": ["F", "M"], "age": ["young", "old"]}, order=1)
    agreed = agreement(rules=RULES, table=table, findings=("x",))
    rows = hospital(np.random.default_rng(2), 400, images=1).filter(pl.col("sex") != "unknown")
    women = rows.filter(pl.col("sex") == "F").head(6)
    part = told(pl.concat([rows.filter(pl.col("sex") == "M"), women]), agreed)
    hidden = {
        name for name, gone in zip(agreed.compared.names, part.withheld[0], strict=True) if gone
    }
    assert hidden == {"sex=F", "sex=M", "the rest of sex=F", "the rest of sex=M"}


def test_an_absent_subgroup_is_told_as_zero() -> None:
    table = metrics.subgroups({"sex": ["F", "M"]})
    agreed = agreement(rules=RULES, table=table, findings=("x",))
    rows = hospital(np.random.default_rng(3), 200).filter(pl.col("sex") == "M")
    part = told(rows, agreed)
    assert not part.withheld.any()
    assert part.counts.of("images")[0].tolist()[1] == 0


def test_a_hospital_below_the_minimum_tells_nothing_at_all() -> None:
    agreed = agreement(rules=RULES, findings=("x",))
    part = told(hospital(np.random.default_rng(4), 5), agreed)
    assert not part.counts.people.any()
    assert not part.counts.loss.any()


def three(agreed: parts.Agreed, women: int) -> tuple[metrics.Estimated, parts.Merged]:
    """Return what comes of three hospitals, of which the third has few women."""
    rng = np.random.default_rng(5)
    rows = [
        hospital(rng, 300).filter(pl.col("sex") != "unknown").with_columns(age=pl.lit("old"))
        for _ in range(3)
    ]
    last = rows[2]
    rows[2] = pl.concat(
        [last.filter(pl.col("sex") == "M"), last.filter(pl.col("sex") == "F").head(women)]
    )
    found, merged, _ = federated(rows, agreed)
    return found, merged


def test_a_subgroup_that_too_few_parts_tell_of_is_not_assessable_and_says_who_withheld() -> None:
    table = metrics.subgroups({"sex": ["F", "M"], "age": ["old"]}, order=1)
    rules = parts.Rules(minimum_cell=MINIMUM, contributors=3)
    agreed = agreement(rules=rules, table=table, findings=("x",), names=["auroc"])
    found, merged = three(agreed, women=4)
    row = found.estimates.filter(pl.col("sex") == "F", pl.col("contrast").is_null()).row(
        0, named=True
    )
    assert row["status"] == "not assessable"
    assert row["reason"] == "sex=F is told by 2 of 3 parts, withheld by site-2; 3 must"
    assert found.counts.filter(pl.col("sex") == "F")["n_images"].to_list() == [0, 0]
    everybody = found.estimates.filter(pl.col("sex").is_null(), pl.col("age").is_null())
    assert everybody["status"][0] == "assessed"
    said = parts.contributions(merged, agreed)
    assert said[1]["subgroup"] == {"sex": "F"}
    assert said[1]["withheld_by"] == ["site-2"]
    assert said[1]["enough"] is False


def test_a_contrast_is_of_the_same_parts_on_both_sides_and_says_which_are_left_out() -> None:
    table = metrics.subgroups({"sex": ["F", "M"], "age": ["old"]}, order=1)
    rules = parts.Rules(minimum_cell=MINIMUM, contributors=2)
    agreed = agreement(
        rules=rules, table=table, findings=("x",), names=["auroc"], references={"sex": "M"}
    )
    found, merged = three(agreed, women=4)
    contrast = found.estimates.filter(pl.col("contrast") == "reference").row(0, named=True)
    assert contrast["status"] == "assessed"
    assert contrast["reason"].endswith("without site-2, withheld there as too small to tell")
    one = agreed.compared.contrasts[0]
    assert (merged.told[:, 0, one.group] == merged.told[:, 0, one.against]).all()
    rng = np.random.default_rng(5)
    rows = [
        hospital(rng, 300).filter(pl.col("sex") != "unknown").with_columns(age=pl.lit("old"))
        for _ in range(2)
    ]
    alone, _, _ = federated(rows, agreed)
    pair = alone.estimates.filter(pl.col("contrast") == "reference").row(0, named=True)
    assert contrast["value"] == pytest.approx(pair["value"], rel=1e-12)
    assert contrast["low"] == pytest.approx(pair["low"], rel=1e-12)


def test_findings_with_other_gaps_are_not_multiplied_with_each_other() -> None:
    table = metrics.subgroups({"sex": ["F", "M"]})
    agreed = agreement(rules=RULES, table=table, names=["auroc"])
    rows = hospital(np.random.default_rng(6), 300).filter(pl.col("sex") != "unknown")
    rare = pl.when((pl.col("sex") == "F") & (pl.int_range(pl.len()) > 12)).then(pl.lit(value=False))
    rows = rows.with_columns(rare.otherwise(pl.col("label:x")).alias("label:x"))
    people = parts.population_of(rows, agreed, patient="patient_id")
    part = parts.first(people, agreed, name="s")
    assert part.withheld[0].any()
    assert not part.withheld[1].any()
    merged = parts.merge([part], agreed, disjoint_patients=True)
    second = parts.moments_of(people, part, merged, agreed)
    _, found = parts.answers.numbers_of(merged, agreed)
    first = int(found[0].assessable[: table.height].sum())
    assert not second.joint_values[:first, first:].any()
    assert second.joint_values[first, first + 1] > 0.0


def test_arms_over_what_occurs_are_those_over_what_is_declared() -> None:
    agreed = agreement()
    people = parts.population_of(sparse(7, 30), agreed, patient="patient_id")
    assert compared_in(agreed, people.cells).names == agreed.whole.names == agreed.compared.names
    assert TABLE.height < len(agreed.compared.names)


def ages(reference: str) -> tuple[metrics.Estimated, parts.Merged, parts.Agreed]:
    """Return what comes of three hospitals, of which the last has 4 old, and few of middle age."""
    table = metrics.subgroups({"age": ["young", "middle", "old"]})
    rules = parts.Rules(minimum_cell=MINIMUM, contributors=2)
    references = {"age": reference}
    agreed = agreement(
        rules=rules, table=table, findings=("x",), names=["auroc"], references=references
    )
    rng = np.random.default_rng(8)
    rows = []
    for sizes in ((80, 60, 50), (80, 60, 50), (80, 60, 4)):
        age = pl.Series(np.repeat(["young", "middle", "old"], [2 * n for n in sizes]))
        rows.append(hospital(rng, sum(sizes)).with_columns(age=age))
    found, merged, _ = federated(rows, agreed)
    return found, merged, agreed


def test_a_reference_leaves_out_the_parts_that_withheld_the_group() -> None:
    found, merged, agreed = ages("young")
    middle, old = agreed.compared.contrasts
    assert merged.told[:, 0, :4].tolist() == [[True] * 4, [True] * 4, [True, True, False, False]]
    for contrast in (middle, old):
        told = merged.told[:, 0, [contrast.group, contrast.against]]
        assert told.tolist() == [[True, True], [True, True], [False, False]]
    rows = found.estimates.filter(pl.col("contrast") == "reference")
    assert set(rows["status"]) == {"assessed"}


def test_a_group_is_not_compared_with_a_reference_that_a_part_withheld() -> None:
    found, _, _ = ages("old")
    rows = found.estimates.filter(pl.col("contrast") == "reference", pl.col("age") == "young")
    assert set(rows["status"]) == {"not assessable"}
    assert rows["reason"][0] == (
        "age=old is told by other parts than age=young, withheld by site-2"
    )
