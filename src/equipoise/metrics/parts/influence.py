"""The second and last step that sees patients: second moments, taken at the merged counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.arms import Arms
from equipoise.metrics.moments import Family, summed
from equipoise.metrics.numbers import Numbers, Question
from equipoise.metrics.parts.agreements import Agreed, compared_in
from equipoise.metrics.parts.answers import numbers_of
from equipoise.metrics.parts.counting import check_asked
from equipoise.metrics.parts.grid import bins_of, placed
from equipoise.metrics.parts.merging import check_head, digest_of, without
from equipoise.metrics.parts.messages import COUNTS, Merged, Part, Second
from equipoise.metrics.placements import small_sample
from equipoise.metrics.samples import Population
from equipoise.metrics.tallies import KINDS, kind_codes

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_BLOCK = 4_000_000
"""Influence values held at once (8 bytes each)."""


def moments_of(people: Population, part: Part, merged: Merged, agreed: Agreed) -> Second:
    """Return what a part tells in the second round: second moments of its influence values.

    An influence value is that on the merged estimate: it needs the merged value, the merged
    number of images and patients, and for AUROC the merged histograms. Of what the part withheld
    it is zero. Products between findings of which the part withheld different arms are left out,
    as they would tell of one through the other: then the two are taken as independent there, and
    simultaneous intervals are no narrower for it if all are (Royen 2014).

    Parameters
    ----------
    people, part
        The predictions of the part, and what it sent first.
    merged
        What came back: the counts of all parts.
    agreed
        What is counted.

    Raises
    ------
    InvalidTable
        If the merged counts are of something else, or do not hold those of the part, or too few
        parts stand behind them.

    References
    ----------
    Royen 2014, Far East Journal of Theoretical Statistics 48:139 (Gaussian correlation).

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import Rules, first, merge, population_of
    >>> plan = Plan({}, ("auroc",), Minimum(positives=2, negatives=2, patients=2), "probe")
    >>> rules = Rules(minimum_cell=1, contributors=1)
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), plan, ("x",), rules=rules)
    >>> rows = pl.DataFrame({"sex": ["F"] * 4, "label:x": [False, False, True, True],
    ...                      "score:x": [0.1, 0.3, 0.2, 0.4]})
    >>> people = population_of(rows, agreed, patient=None)
    >>> part = first(people, agreed, name="site-1")
    >>> merged = merge([part], agreed, disjoint_patients=True)
    >>> moments_of(people, part, merged, agreed).variance.round(9).tolist()
    [[0.125, 0.125, 0.0]]
    """
    check_asked(people, agreed, part.name)
    told = _told(part, merged, agreed)
    asked, found = numbers_of(merged, agreed)
    compared = compared_in(agreed, people.cells)
    made = [
        _Asked.of(
            Question(people.samples[position], question.metric, question.point),
            number,
            compared,
            told[position],
            merged.counts.histogram[position],
        )
        for (position, _, _), question, number in zip(agreed.questions, asked, found, strict=True)
    ]
    second = summed(_blocks(made, len(compared.names), people.patients), found, compared)
    kind = _alike(part.withheld)[[position for position, _, _ in agreed.questions]]
    return Second(
        (part.name,),
        digest_of(merged),
        second.variance,
        second.fourth,
        second.covariance,
        second.joint_values[0].covariance * _shared(second.values, kind),
        second.joint_differences[0].covariance * _shared(second.differences, kind),
    )


def _told(part: Part, merged: Merged, agreed: Agreed) -> Flags:
    """Return of which arms the part tells, once the merged counts are seen to hold its own."""
    check_head("the server", merged.head, agreed)
    if part.name not in merged.names:
        raise InvalidTable(f"merged counts: '{part.name}' is not in them; got {list(merged.names)}")
    if len(merged.names) < agreed.rules.contributors:
        raise InvalidTable(
            f"merged counts: of {len(merged.names)} parts, {list(merged.names)}; agreed are "
            f"{agreed.rules.contributors} or more"
        )
    mine = merged.withheld[merged.names.index(part.name)]
    told = ~part.withheld & ~merged.few(agreed)
    own = without(part.counts, agreed, ~told)
    for name in COUNTS:
        fewer = getattr(merged.counts, name) < getattr(own, name)
        if (mine != part.withheld).any() or fewer.any():
            raise InvalidTable(
                f"merged counts: '{name}' is not the sum of what '{part.name}' sent and others"
            )
    return told


def _alike(withheld: Flags) -> Integers:
    """Return a number per finding, the same for those of which the same is withheld."""
    _, code = np.unique(withheld, axis=0, return_inverse=True)
    return np.asarray(code.reshape(-1), dtype=np.int64)


def _shared(family: Family, kind: Integers) -> Flags:
    mine = kind[family.question]
    return np.asarray(mine[:, None] == mine[None, :])


def _blocks(made: list["_Asked"], arms: int, patients: int) -> Iterator[Reals]:
    step = max(64, _BLOCK // max(1, len(made) * arms))
    for start in range(0, patients, step):
        stop = min(start + step, patients)
        block = np.zeros((len(made), arms, stop - start))
        for position, one in enumerate(made):
            one.add(block[position], start)
        yield block


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question, made ready to be asked of a block of patients.

    Of a rate or a mean, the influence of an image in an arm is the weight of the arm times outcome
    less value; of an AUROC it stands in a table, by label and bin.
    """

    patient: Integers
    cell: Integers
    inside: Flags
    outcome: Reals
    value: Reals
    weight: Reals
    row: Integers | None
    table: Reals | None

    @classmethod
    def of(
        cls,
        question: Question,
        found: Numbers,
        compared: Arms,
        told: Flags,
        histogram: Integers,
    ) -> "_Asked":
        sample, fine = question.sample, found.assessable & told
        trial = _trials(question)
        common = sample.patient[trial], sample.cell[trial], compared.inside
        if question.metric.kind != "ranking":
            n = found.images_by_class[0] + found.images_by_class[1]
            n = n if found.trials is None else found.trials
            weight = _weights(n, found.patients, fine)
            value = np.where(fine, found.value, 0.0)
            return cls(*common, _outcomes(question)[trial], value, weight, None, None)
        table = _influences(found, fine, histogram)
        bins = histogram.shape[-1]
        row = bins_of(sample.score, bins) + bins * sample.label
        nothing = np.zeros(0)
        return cls(*common, nothing, nothing, nothing, row, table)

    def add(self, block: Reals, start: int) -> None:
        """Add the influence values of the block's patients, shape ``(arm, patient)``."""
        low, high = np.searchsorted(self.patient, [start, start + block.shape[1]])
        if low == high:
            return
        rows = slice(int(low), int(high))
        if self.table is not None and self.row is not None:
            influence = self.table[:, self.row[rows]]  # (arm, image)
        else:
            influence = self.outcome[rows] - self.value[:, None]
            influence *= self.weight[:, None]
        influence *= self.inside[:, self.cell[rows]]
        who = self.patient[rows] - start
        first = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
        block[:, who[first]] = np.add.reduceat(influence, first, axis=1)


def _trials(question: Question) -> Flags:
    """Return which images the metric is over, shape ``(n,)``."""
    if question.point is None:
        return np.ones(len(question.sample.label), dtype=bool)
    return _of_kinds(question, question.metric.trials)


def _outcomes(question: Question) -> Reals:
    """Return event (1) or none (0), or the loss, of each image, shape ``(n,)``."""
    sample, loss = question.sample, question.metric.loss
    if loss is not None:
        return loss(sample.score.astype(np.float64), sample.label)
    return _of_kinds(question, question.metric.events).astype(np.float64)


def _of_kinds(question: Question, kinds: Sequence[str]) -> Flags:
    wanted = [KINDS.index(kind) for kind in kinds]
    return np.isin(kind_codes(question.sample, question.point), wanted)


def _influences(found: Numbers, fine: Flags, histogram: Integers) -> Reals:
    """Return the influence of an image on the AUROC by label and bin, ``(arms, 2 × bins)``."""
    value = np.where(fine, found.value, 0.0)[:, None]
    negative, positive = histogram
    up = _weights(found.images_by_class[0], found.by_class[0], fine)[:, None]
    down = _weights(found.images_by_class[1], found.by_class[1], fine)[:, None]
    above = (placed(negative) - value) * up
    below = (1.0 - placed(positive) - value) * down
    both = np.concatenate([below, above], axis=1)
    return np.where(fine[:, None], both, 0.0)


def _weights(images: Integers, patients: Integers, fine: Flags) -> Reals:
    weight = np.zeros(len(fine))
    for arm in np.flatnonzero(fine):
        weight[arm] = small_sample(int(patients[arm])) / images[arm]
    return weight
