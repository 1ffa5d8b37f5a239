"""Influence values of all questions and arms, summed per patient, and their second moments.

An estimate minus its truth is, but for smaller terms, the sum over patients of their influence
values. So the variance of any estimate, and the covariance of any two, of overlapping subgroups,
of several metrics and findings, is a sum of products over patients; here in one pass, a block of
patients at a time, so that memory does not grow with the cohort.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.numbers import Numbers, Question, ordered
from equipoise.metrics.placements import placements, small_sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_BLOCK = 4_000_000
"""Influence values held at once (8 bytes each)."""


@dataclass(frozen=True, slots=True)
class Family:
    """The estimates that share one simultaneous statement.

    Parameters
    ----------
    question, member
        Each of shape ``(family,)``: the question, and the arm (or the contrast) it is of.
    """

    question: Integers
    member: Integers


@dataclass(frozen=True, slots=True)
class Moments:
    """Second moments of the influence values.

    Parameters
    ----------
    variance, fourth
        Shape ``(questions, arms)``: sums over patients of squares and fourth powers.
    covariance
        Shape ``(questions, contrasts)``: of the two arms of each contrast.
    values, differences
        The families of group values and of contrasts: only what is assessable.
    joint_values, joint_differences
        Their covariance matrices.
    """

    variance: Reals
    fourth: Reals
    covariance: Reals
    values: Family
    differences: Family
    joint_values: Reals
    joint_differences: Reals


def moments(
    asked: list[Question], found: list[Numbers], compared: Arms, *, patients: int
) -> Moments:
    """Return the second moments over all patients.

    Parameters
    ----------
    asked, found
        The questions and the answers to them.
    compared
        The arms and contrasts.
    patients
        How many patient codes there are.

    Examples
    --------
    >>> from equipoise.metrics.definitions import Minimum, metric
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> asked = Question(sample, metric("auroc"), None)
    >>> found = numbers(asked, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> moments([asked], [found], compared, patients=4).variance.round(9).tolist()
    [[0.125]]
    """
    return summed(_blocks(asked, found, compared, patients), found, compared)


def summed(blocks: Iterable[Reals], found: list[Numbers], compared: Arms) -> Moments:
    """Return the second moments of influence values, given block by block.

    Parameters
    ----------
    blocks
        Each of shape ``(questions, arms, some patients)``, all of a patient in one block.
    found, compared
        What says which estimates there are.

    Examples
    --------
    >>> from equipoise.metrics.numbers import Numbers
    >>> n = np.array([40])
    >>> found = Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> made = summed([np.full((1, 1, 2), 0.1), np.full((1, 1, 3), 0.1)], [found], compared)
    >>> made.variance.round(9).tolist(), made.joint_values.round(9).tolist()
    ([[0.05]], [[0.05]])
    """
    values, differences = families(found, compared)
    shape = len(found), len(compared.names)
    variance, fourth = np.zeros(shape), np.zeros(shape)
    covariance = np.zeros((len(found), len(compared.contrasts)))
    joint_values = np.zeros((len(values.question),) * 2)
    joint_differences = np.zeros((len(differences.question),) * 2)
    first = np.array([c.group for c in compared.contrasts], dtype=np.int64)
    second = np.array([c.against for c in compared.contrasts], dtype=np.int64)
    for block in blocks:  # (question, arm, patient)
        square = block**2
        variance += square.sum(axis=2)
        fourth += np.einsum("qap,qap->qa", square, square)
        two = differences.member
        mine = block[differences.question, first[two]]
        others = block[differences.question, second[two]]
        covariance[differences.question, two] += np.einsum("kp,kp->k", mine, others)
        mine -= others
        joint_differences += mine @ mine.T
        group = block[values.question, values.member]
        joint_values += group @ group.T
    return Moments(
        variance, fourth, covariance, values, differences, joint_values, joint_differences
    )


def families(found: list[Numbers], compared: Arms) -> tuple[Family, Family]:
    """Return the family of group values and that of contrasts: all that is assessable.

    Examples
    --------
    >>> from equipoise.metrics.definitions import Minimum, metric
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> asked = Question(sample, metric("auroc"), None)
    >>> found = numbers(asked, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> values, differences = families([found], compared)
    >>> values.member.tolist(), differences.member.tolist()
    ([0], [])
    """
    groups = len(compared.subgroups)
    values = [
        (q, int(arm)) for q, n in enumerate(found) for arm in np.flatnonzero(n.assessable[:groups])
    ]
    differences = [
        (q, position)
        for q, n in enumerate(found)
        for position, contrast in enumerate(compared.contrasts)
        if n.lacking[contrast.group] is None and n.lacking[contrast.against] is None
    ]
    return _family(values), _family(differences)


def _family(pairs: list[tuple[int, int]]) -> Family:
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Family(both[:, 0], both[:, 1])


def _blocks(
    asked: list[Question], found: list[Numbers], compared: Arms, patients: int
) -> Iterator[Reals]:
    parts = [_Part.of(q, n, compared) for q, n in zip(asked, found, strict=True)]
    shape = len(asked), len(compared.names)
    step = max(64, _BLOCK // max(1, shape[0] * shape[1]))
    for start in range(0, patients, step):
        stop = min(start + step, patients)
        block = np.zeros((*shape, stop - start))
        for position, part in enumerate(parts):
            part.add(block[position], start)
        yield block


@dataclass(frozen=True, slots=True)
class _Part:
    """One question, made ready to be asked of a block of patients."""

    patient: Integers
    cell: Integers
    outcome: Reals
    positive: npt.NDArray[np.bool_]
    score: npt.NDArray[np.floating]
    inside: npt.NDArray[np.bool_]
    value: Reals
    weights: tuple[Reals, Reals]
    order: tuple[tuple[int, npt.NDArray[np.floating], npt.NDArray[np.floating]], ...]
    ranking: bool

    @classmethod
    def of(cls, question: Question, found: Numbers, compared: Arms) -> "_Part":
        sample, trial, fine = question.sample, question.trials(), found.assessable
        ranking = question.metric.kind == "ranking"
        if ranking:
            weights = (
                _weights(found.images_by_class[0], found.by_class[0], fine),
                _weights(found.images_by_class[1], found.by_class[1], fine),
            )
        else:
            by_cell = np.bincount(sample.cell[trial], minlength=compared.inside.shape[1])
            total = compared.inside.astype(np.int64) @ by_cell
            weights = (_weights(total, found.patients, fine),) * 2
        return cls(
            sample.patient[trial],
            sample.cell[trial],
            question.outcome()[trial],
            sample.label[trial],
            sample.score[trial],
            compared.inside,
            np.where(fine, found.value, 0.0),
            weights,
            tuple(ordered(sample, compared.inside, fine)) if ranking else (),
            ranking,
        )

    def add(self, block: Reals, start: int) -> None:
        """Add the influence values of the block's patients, shape ``(arm, patient)``."""
        stop = start + block.shape[1]
        low, high = np.searchsorted(self.patient, [start, stop])
        rows = slice(int(low), int(high))
        if low < high:
            (self._rank if self.ranking else self._average)(block, rows, start)

    def _average(self, block: Reals, rows: slice, start: int) -> None:
        member = self.inside[:, self.cell[rows]]  # (arm, image)
        influence = member * (self.outcome[rows] - self.value[:, None])
        influence *= self.weights[0][:, None]
        who = self.patient[rows] - start
        first = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
        block[:, who[first]] = np.add.reduceat(influence, first, axis=1)

    def _rank(self, block: Reals, rows: slice, start: int) -> None:
        # Sorted look-ups stay in the processor's cache.
        by_score = np.argsort(self.score[rows], kind="stable")
        who = (self.patient[rows] - start)[by_score]
        score, cell = self.score[rows][by_score], self.cell[rows][by_score]
        positive = self.positive[rows][by_score]
        up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
        n = block.shape[1]
        for arm, negatives, positives in self.order:
            mine = up[self.inside[arm][cell[up]]]
            above = (placements(score[mine], negatives) - self.value[arm]) * self.weights[0][arm]
            block[arm] += np.bincount(who[mine], above, n)
            mine = down[self.inside[arm][cell[down]]]
            below = 1.0 - placements(score[mine], positives) - self.value[arm]
            block[arm] += np.bincount(who[mine], below * self.weights[1][arm], n)


def _weights(images: Integers, patients: Integers, fine: npt.NDArray[np.bool_]) -> Reals:
    weight = np.zeros(len(fine))
    for arm in np.flatnonzero(fine):
        weight[arm] = small_sample(int(patients[arm])) / images[arm]
    return weight
