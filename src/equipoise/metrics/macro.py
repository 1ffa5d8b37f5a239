"""Macro averages: the mean over the classes of one task, patients they share and all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.counting import Counted
from equipoise.metrics.grams import Gram, add_rows
from equipoise.metrics.influences import Influence
from equipoise.metrics.numbers import Numbers, Question

Reals = npt.NDArray[np.float64]

MACRO = "macro average"
"""The finding under which they stand."""

_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Term:
    """The influence values of one question that an estimate is made of.

    Parameters
    ----------
    influence, counted
        They, and what is counted of the finding.
    share
        What they are multiplied by.
    """

    influence: Influence
    counted: Counted
    share: float


def members(asked: Sequence[Question], classes: Sequence[str]) -> list[list[int]]:
    """Return the questions of all classes that make one macro average, average by average.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(2)
    >>> sample = Sample("mel", code / 2, code > 0, code, code, {}, 0)
    >>> asked = [Question(replace(sample, finding=name), metric("auroc"), None)
    ...          for name in ("mel", "nv", "other")]
    >>> members(asked, ["mel", "nv"])
    [[0, 1]]
    """
    found: dict[tuple[str, str | None], list[int]] = {}
    for position, question in enumerate(asked):
        if question.sample.finding in classes:
            found.setdefault((question.metric.name, question.point), []).append(position)
    return [mine for mine in found.values() if len(mine) == len(classes) > 1]


def averaged(
    asked: Sequence[Question], found: Sequence[Numbers], compared: Arms, mine: Sequence[int]
) -> tuple[Question, Numbers]:
    """Return the question of a macro average, and its answer.

    It is assessable where each class is; the numbers beside it are the fewest of any class.

    Parameters
    ----------
    asked, found
        All questions and answers.
    compared
        The arms.
    mine
        The questions it is the mean of.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.samples import Sample
    >>> code, n = np.arange(2), np.array([40])
    >>> sample = Sample("mel", code / 2, code > 0, code, code, {}, 0)
    >>> asked = [Question(replace(sample, finding=name), metric("auroc"), None)
    ...          for name in ("mel", "nv")]
    >>> found = [Numbers(np.array([value]), None, None, n, (n, n), (n, n), (None,))
    ...          for value in (0.5, 0.7)]
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> averaged(asked, found, compared, [0, 1])[1].value.tolist()
    [0.6]
    """
    first, several = asked[mine[0]], [found[q] for q in mine]
    points = dict.fromkeys(first.sample.called, np.zeros(0, dtype=bool))
    sample = replace(first.sample, finding=MACRO, called=points)
    # It is no rate any more: a mean of rates has no trials.
    kind = replace(first.metric, kind="composite" if first.metric.thresholded else "functional")
    lacking = [
        next(
            (
                f"{asked[q].sample.finding}: {found[q].lacking[arm]}"
                for q in mine
                if found[q].lacking[arm] is not None
            ),
            None,
        )
        for arm in range(len(compared.names))
    ]
    fewest = [np.min([getattr(n, name) for n in several], axis=0) for name in _PAIRS]
    return Question(sample, kind, first.point, tuple(mine)), Numbers(
        np.mean([n.value for n in several], axis=0),
        None,
        None,
        np.min([n.patients for n in several], axis=0),
        (fewest[0][0], fewest[0][1]),
        (fewest[1][0], fewest[1][1]),
        tuple(lacking),
    )


_PAIRS = ("by_class", "images_by_class")


def gram_of(terms: Sequence[Term], patients: int) -> Gram:
    """Return the sums over patients of an estimate that is made of several.

    Parameters
    ----------
    terms
        What it is made of.
    patients
        How many patient codes there are.

    Examples
    --------
    >>> gram_of([], 0).products.shape
    (0, 0)
    """
    arms = len(terms[0].influence.table) if terms else 0
    made = Gram(np.zeros((arms, arms)), np.zeros(arms))
    step = max(64, _BLOCK // max(1, arms))
    for start in range(0, patients, step):
        block = np.zeros((arms, min(step, patients - start)))
        add_terms(block, terms, start)
        made += Gram(block @ block.T, np.einsum("ap,ap->a", block**2, block**2))
    return made


def add_terms(block: Reals, terms: Sequence[Term], start: int) -> None:
    """Add the influence values of all terms to a block of patients, shape ``(arms, patients)``.

    Examples
    --------
    >>> block = np.zeros((1, 2))
    >>> add_terms(block, [], 0)
    >>> block.tolist()
    [[0.0, 0.0]]
    """
    for term in terms:
        who = term.counted.sample.patient
        low, high = np.searchsorted(who, [start, start + block.shape[1]])
        own = np.zeros_like(block)
        rows = slice(int(low), int(high))
        add_rows(own, term.influence, term.counted.sample, rows, start)
        block += own * term.share
