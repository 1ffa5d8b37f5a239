"""Questions of one kind stacked, so that all their limits are made in one go."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.limits import Pair, arm_limits, contrast_limits
from equipoise.metrics.moments import Moments
from equipoise.metrics.numbers import Numbers, Question

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stack:
    """Questions whose intervals are made alike, one after the other.

    Parameters
    ----------
    questions
        Their positions among all.
    found
        Their answers, end to end.
    variance, fourth, covariance
        Their second moments, end to end.
    arms
        The two arms of each contrast, as positions in the stack.
    bounded
        Whether these metrics lie in [0, 1].
    """

    questions: Integers
    found: Numbers
    variance: Reals
    fourth: Reals
    covariance: Reals
    arms: tuple[Integers, Integers]
    bounded: bool

    def limits(self, z: float) -> Pair:
        """Return low and high of each arm of the stack at half-width `z`."""
        return arm_limits(self.found, self.variance, self.fourth, z=z, bounded=self.bounded)

    def differences(self, z: float) -> tuple[Reals, Reals, Reals]:
        """Return difference, low and high of each contrast of the stack at half-width `z`."""
        own = self.limits(z)
        return contrast_limits(
            self.found, self.variance, self.covariance, self.arms, own, bounded=self.bounded
        )


def stacks(
    asked: Sequence[Question], found: Sequence[Numbers], second: Moments, compared: Arms
) -> list[Stack]:
    """Return all questions in stacks: rates, other metrics in [0, 1], and the rest.

    Parameters
    ----------
    asked, found, second
        The questions, the answers, and their second moments.
    compared
        The arms and contrasts.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.moments import summed
    >>> from equipoise.metrics.samples import Sample
    >>> code, n = np.arange(4), np.array([40])
    >>> sample = Sample("x", code / 4, code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> found = [Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))]
    >>> second = summed([np.full((1, 1, 2), 0.1)], found, compared)
    >>> (one,) = stacks([Question(sample, metric("ppv"), "p")], found, second, compared)
    >>> one.limits(1.96)[0].round(2).tolist()
    [0.26]
    """
    kinds: dict[tuple[bool, bool], list[int]] = {}
    for position, (question, answer) in enumerate(zip(asked, found, strict=True)):
        kind = answer.trials is not None, question.metric.bounded
        kinds.setdefault(kind, []).append(position)
    return [
        _stack(np.array(mine, dtype=np.int64), found, second, compared, bounded=kind[1])
        for kind, mine in kinds.items()
    ]


def _stack(
    mine: Integers, found: Sequence[Numbers], second: Moments, compared: Arms, *, bounded: bool
) -> Stack:
    several = [found[position] for position in mine]
    arms = len(compared.names)
    before = np.repeat(np.arange(len(mine)) * arms, len(compared.contrasts))
    one = np.array([c.group for c in compared.contrasts], dtype=np.int64)
    other = np.array([c.against for c in compared.contrasts], dtype=np.int64)
    return Stack(
        mine,
        _joined(several),
        second.variance[mine].ravel(),
        second.fourth[mine].ravel(),
        second.covariance[mine].ravel(),
        (before + np.tile(one, len(mine)), before + np.tile(other, len(mine))),
        bounded,
    )


def _joined(several: Sequence[Numbers]) -> Numbers:
    events = [n.events for n in several if n.events is not None]
    trials = [n.trials for n in several if n.trials is not None]
    by_class, images = zip(*((n.by_class, n.images_by_class) for n in several), strict=True)
    return Numbers(
        np.concatenate([n.value for n in several]),
        np.concatenate(events) if events else None,
        np.concatenate(trials) if trials else None,
        np.concatenate([n.patients for n in several]),
        (np.concatenate([p for p, _ in by_class]), np.concatenate([n for _, n in by_class])),
        (np.concatenate([p for p, _ in images]), np.concatenate([n for _, n in images])),
        tuple(why for n in several for why in n.lacking),
    )
