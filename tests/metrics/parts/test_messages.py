import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from equipoise import metrics
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import parts
from equipoise.metrics.parts.messages import PEOPLE
from tests.metrics.parts.made import LEVELS, OPEN, POINTS, agreement, hospital

AGREED = agreement(names=["auroc", "ppv", "brier"], findings=("x",))
F, M, UNKNOWN = 1, 2, 3


def sent() -> parts.Part:
    people = parts.population_of(
        hospital(np.random.default_rng(1), 80), AGREED, patient="patient_id"
    )
    return parts.first(people, AGREED, name="site-2")


def received(part: parts.Part, agreed: parts.Agreed = AGREED) -> parts.Part:
    return parts.unpacked(parts.packed(part), agreed, name="site-2")


def both() -> tuple[parts.Merged, list[parts.Second]]:
    rows = [hospital(np.random.default_rng(seed), 60) for seed in (1, 2)]
    people = [parts.population_of(one, AGREED, patient="patient_id") for one in rows]
    told = [parts.first(one, AGREED, name=f"site-{at}") for at, one in enumerate(people, 1)]
    merged = parts.merge(told, AGREED, disjoint_patients=True)
    return merged, [
        parts.moments_of(one, part, merged, AGREED) for one, part in zip(people, told, strict=True)
    ]


def test_what_is_packed_and_unpacked_is_the_same() -> None:
    part = sent()
    again = received(part)
    assert parts.packed(again) == parts.packed(part)
    merged, (one, _) = both()
    assert parts.packed(parts.unpacked_merged(parts.packed(merged), AGREED)) == parts.packed(merged)
    second = parts.unpacked_second(parts.packed(one), merged, AGREED, name="site-1")
    assert parts.packed(second) == parts.packed(one)


def people(name: str, arm: int, by: int) -> Callable[[parts.Part], None]:
    def change(part: parts.Part) -> None:
        part.counts.people[PEOPLE.index(name), 0, arm] += by

    return change


def cells(part: parts.Part) -> None:
    part.counts.confusion[0, 0, F] += 1


def histogram(part: parts.Part) -> None:
    part.counts.histogram[0, 1, F, 3] += 1


def negative(part: parts.Part) -> None:
    part.counts.histogram[0, 1, F, 3] = -1


def trial_patients(part: parts.Part) -> None:
    part.counts.trial_patients[:, F] += 10_000 * (part.counts.trial_patients[:, F] > 0)


def loss(part: parts.Part) -> None:
    part.counts.loss[:, 0, F] *= 50


def moved_images(part: parts.Part) -> None:
    """Add an image to a group in each table, in keeping with itself, and not to everybody."""
    for name in ("images", "positive"):
        people(name, UNKNOWN, 1)(part)
    full = int(np.flatnonzero(part.counts.histogram[0, 1, UNKNOWN])[0])
    part.counts.histogram[0, 1, UNKNOWN, full] += 1
    part.counts.histogram[0, 1, 0, full] += 1
    part.counts.confusion[:, 3, UNKNOWN] += 1
    for name in ("images", "positive"):
        people(name, 0, 2)(part)
    part.counts.histogram[0, 1, 0, full] += 1
    part.counts.confusion[:, 3, 0] += 2


def moved_between_bins(part: parts.Part) -> None:
    """Move an image of F to a bin where everybody has none: it is in F and not in everybody."""
    empty = int(np.flatnonzero(part.counts.histogram[0, 1, 0] == 0)[0])
    full = int(np.flatnonzero(part.counts.histogram[0, 1, F])[0])
    part.counts.histogram[0, 1, F, full] -= 1
    part.counts.histogram[0, 1, F, empty] += 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (people("images", F, 1), r"'site-2': finding 'x', sex=F: \d+ positives and negatives; "),
        (people("patients", F, 900), r"'x', sex=F: \d+ patients; expected at most \d+"),
        (people("patients_positive", M, 900), r"sex=M: \d+ patients positive; expected at most"),
        (people("patients", F, -20), r"sex=F: \d+ patients with a positive, or with a negative;"),
        (cells, r"'x', sex=F: tp \+ fn = \d+; expected \d+ positives"),
        (histogram, r"'x', sex=F: a histogram of \d+ positives; expected \d+ positives"),
        (negative, r"array 'histogram' holds 1 numbers that count nothing, as -1"),
        (trial_patients, r"sex=F: \d+ patients with trials; expected at most \d+, as many as tri"),
        (loss, r"sex=F: a loss of [\d.]+ in all; expected at most \d+"),
        (moved_images, r"everybody: images that are not those of sex=F, sex=M, sex=unknown"),
        (moved_between_bins, r"sex=F: more positives in a bin than in everybody"),
    ],
    ids=lambda given: getattr(given, "__name__", "message"),
)
def test_an_impossible_table_is_refused_by_name(
    change: Callable[[parts.Part], None], message: str
) -> None:
    part = sent()
    received(part)
    change(part)
    with pytest.raises(InvalidTable, match=message):
        received(part)


def test_a_small_cell_that_a_part_should_have_withheld_is_refused() -> None:
    part = sent()
    rules = OPEN.model_copy(update={"minimum_cell": 50})
    agreed = agreement(names=["auroc", "ppv", "brier"], findings=("x",), rules=rules)
    with pytest.raises(InvalidTable, match="below the minimum cell; expected none, or 50 or more"):
        received(replace(part, head=agreed.head), agreed)


def test_numbers_beside_what_is_withheld_are_refused() -> None:
    part = sent()
    withheld = part.withheld.copy()
    withheld[0, F] = True
    with pytest.raises(InvalidTable, match=r"sex=F: \d+ images although it is withheld; expected"):
        received(replace(part, withheld=withheld))


def test_arrays_of_another_shape_or_kind_are_refused() -> None:
    part = sent()
    wrong = replace(part.counts, people=part.counts.people[:, :, :-1])
    with pytest.raises(InvalidTable, match=r"'people' is int64 \(6, 1, \d+\); expected int64"):
        received(replace(part, counts=wrong))
    wrong = replace(part.counts, people=part.counts.people.astype(np.float64))
    with pytest.raises(InvalidTable, match=r"'people' is float64"):
        received(replace(part, counts=wrong))


def test_another_version_and_what_is_no_message_are_refused() -> None:
    part = sent()
    with pytest.raises(InvalidTable, match="'site-2' sends version 2; expected 1"):
        parts.unpacked(with_head(parts.packed(part), '{"version": 2}'), AGREED, name="site-2")
    data = parts.packed(part)
    for bad in (b"", b"\x80\x04K\x01.", data[:-8], b"\xff" * 64):
        with pytest.raises(InvalidTable, match="bytes that are no counts"):
            parts.unpacked(bad, AGREED, name="site-2")
    with pytest.raises(InvalidTable, match=r"sent the counts of \['site-2'\]; expected its own"):
        parts.unpacked(data, AGREED, name="site-1")
    with pytest.raises(InvalidTable, match="sent counts; expected merged"):
        parts.unpacked_merged(data, AGREED)


def with_head(data: bytes, text: str) -> bytes:
    """Return a message whose head is another text."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["head"] = text
    said = json.dumps(header).encode()
    return len(said).to_bytes(8, "little") + said + data[8 + size :]


def test_a_head_that_is_no_head_is_refused() -> None:
    data = parts.packed(sent())
    for text in ("", "[]", "3", "[" * 100_000, '{"version": 1}', '{"version": 1, "kind": 4}'):
        with pytest.raises(InvalidTable, match="'site-2'"):
            parts.unpacked(with_head(data, text), AGREED, name="site-2")


@pytest.mark.slow
def test_bytes_that_changed_on_the_way_are_refused_or_harmless_and_nothing_else_is_raised() -> None:
    rng = np.random.default_rng(0)
    whole = parts.packed(sent())
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
        try:
            parts.unpacked(bytes(data), AGREED, name="site-2")
        except InvalidTable:
            refused += 1
    assert refused > 250


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"points": POINTS.with_columns(threshold=pl.lit(0.31))}, "has operating_points = "),
        ({"table": metrics.subgroups(LEVELS, order=1)}, "has subgroups = "),
        ({"findings": ("y",)}, r"has findings = \['y'\]; agreed is \['x'\]"),
        ({"rules": parts.Rules(bins=64)}, "has rules = .*64"),
    ],
)
def test_a_part_that_counted_something_else_is_refused(
    changed: dict[str, object], message: str
) -> None:
    theirs = replace(AGREED, **changed)
    part = parts.first(
        parts.population_of(hospital(np.random.default_rng(1), 9), theirs, patient="patient_id"),
        theirs,
        name="site-2",
    )
    with pytest.raises(InvalidTable, match=message):
        parts.merge([part], AGREED, disjoint_patients=True)


def test_parts_are_merged_only_if_declared_disjoint_named_apart_and_alike() -> None:
    part = sent()
    with pytest.raises(InvalidTable, match="not declared to share no patient"):
        parts.merge([part], AGREED, disjoint_patients=False)
    with pytest.raises(InvalidTable, match="two are called the same"):
        parts.merge([part, part], AGREED, disjoint_patients=True)
    with pytest.raises(InvalidTable, match="none to merge"):
        parts.merge([], AGREED, disjoint_patients=True)
    other = replace(part, name="site-3", clustered=False)
    with pytest.raises(InvalidTable, match="'site-3' takes images as independent, 'site-2' knows"):
        parts.merge([part, other], AGREED, disjoint_patients=True)


def test_a_part_answers_only_to_merged_counts_that_hold_its_own() -> None:
    rows = [hospital(np.random.default_rng(seed), 60) for seed in (1, 2)]
    one, two = (parts.population_of(some, AGREED, patient="patient_id") for some in rows)
    mine = parts.first(one, AGREED, name="site-1")
    theirs = parts.first(two, AGREED, name="site-2")
    merged = parts.merge([theirs], AGREED, disjoint_patients=True)
    with pytest.raises(InvalidTable, match="'site-1' is not in them"):
        parts.moments_of(one, mine, merged, AGREED)
    false = parts.merge([replace(theirs, name="site-1")], AGREED, disjoint_patients=True)
    with pytest.raises(InvalidTable, match="is not the sum of what 'site-1' sent and others"):
        parts.moments_of(one, mine, false, AGREED)
    three = replace(AGREED, rules=parts.Rules(minimum_cell=1, contributors=3))
    part = parts.first(one, three, name="site-1")
    alone = parts.merge([part], three, disjoint_patients=True)
    with pytest.raises(InvalidTable, match=r"of 1 parts, .*; agreed are 3 or more"):
        parts.moments_of(one, part, alone, three)


def asymmetric(second: parts.Second) -> parts.Second:
    matrix = second.joint_values.copy()
    matrix[0, 1] += matrix[0, 0]
    return replace(second, joint_values=matrix)


def indefinite(second: parts.Second) -> parts.Second:
    matrix = second.joint_values.copy()
    matrix[0, 1] = matrix[1, 0] = 2.0 * matrix[0, 0] + matrix[1, 1]
    return replace(second, joint_values=matrix)


def other_diagonal(second: parts.Second) -> parts.Second:
    return replace(second, joint_values=second.joint_values * 2.0)


def endless(second: parts.Second) -> parts.Second:
    return replace(second, variance=second.variance * np.inf)


def below(second: parts.Second) -> parts.Second:
    return replace(second, variance=-second.variance)


def steep(second: parts.Second) -> parts.Second:
    return replace(second, fourth=second.variance**2 * 2.0)


def askew(second: parts.Second) -> parts.Second:
    return replace(second, covariance=second.covariance + 1.0)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (asymmetric, "'site-1': joint values are not symmetric"),
        (indefinite, "'site-1': joint values have an eigenvalue of -"),
        (other_diagonal, "joint values: .* of the diagonal; expected the variance"),
        (endless, "array 'variance' holds .* endless numbers"),
        (below, "finding 'x', auroc, everybody: a negative variance"),
        (steep, "auroc, everybody: a fourth moment above the square of the variance"),
        (askew, "auroc, sex=F: a covariance with its contrast above both variances"),
    ],
    ids=lambda given: getattr(given, "__name__", "message"),
)
def test_impossible_moments_are_refused_by_name(
    change: Callable[[parts.Second], parts.Second], message: str
) -> None:
    merged, (one, _) = both()
    with pytest.raises(InvalidTable, match=message):
        parts.unpacked_second(parts.packed(change(one)), merged, AGREED, name="site-1")


def test_moments_add_only_if_each_part_looked_at_the_same_counts_once() -> None:
    merged, (one, two) = both()
    with pytest.raises(InvalidTable, match="none of 'site-2'; expected one of each part") as caught:
        parts.sum_moments([one], merged)
    assert "merge again" in str(caught.value.hint)
    with pytest.raises(InvalidTable, match="2 of 'site-1'"):
        parts.sum_moments([one, one, two], merged)
    with pytest.raises(InvalidTable, match="'site-2' looked at merged counts"):
        parts.sum_moments([one, replace(two, of="ab")], merged)
    with pytest.raises(InvalidTable, match="1 of 'site-9'"):
        parts.sum_moments([one, two, replace(two, names=("site-9",))], merged)


SALT = bytes(range(16))


def test_parts_that_share_patients_are_found_without_their_ids() -> None:
    one = parts.keyed(["a/001", "a/002", "shared/7"], salt=SALT)
    two = parts.keyed(["b/001", "b/009", "shared/7"], salt=SALT)
    (pair,) = parts.overlap({"site-2": two, "site-1": one})
    assert (pair.first, pair.second, pair.ids, pair.codes, pair.n) == ("site-1", "site-2", 1, 2, 3)
    for local in (True, False):
        with pytest.raises(InvalidTable, match="'site-1' and 'site-2' are declared to share no pa"):
            parts.check_disjoint([pair], local_codes=local)
    text = "".join((*one.ids, *one.codes))
    assert "001" not in one.codes
    assert "shared" not in text
    other = parts.keyed(["shared/7"], salt=bytes(16))
    assert parts.overlap({"a": one, "b": other}) == []


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="the salt has 4 bytes; expected 16 or more"):
        parts.keyed(["a/1"], salt=b"1234")
