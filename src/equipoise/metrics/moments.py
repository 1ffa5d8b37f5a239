"""Influence values of all questions and arms, summed per patient, and their second moments.

An estimate minus its truth is, but for smaller terms, the sum over patients of their influence
values. So the variance of any estimate, and the covariance of any two, of overlapping subgroups,
of several metrics and findings, is a sum of products over patients. A small family is taken
jointly, of all questions together; a large one question by question, jointly over its subgroups:
taking questions as independent makes simultaneous intervals no narrower.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.counting import Counted
from equipoise.metrics.grams import Calls, Gram, gram
from equipoise.metrics.influences import Influence, influence
from equipoise.metrics.macro import Term, add_terms, gram_of
from equipoise.metrics.numbers import Numbers, Question

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_BLOCK = 4_000_000
"""Influence values held at once (8 bytes each)."""

_MEMBERS = 600
_PRODUCTS = 3e9
"""A family is taken jointly up to so many members, and products of members over patients."""


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
class Block:
    """Members of a family that are taken jointly.

    Parameters
    ----------
    members
        Their positions in the family, shape ``(n,)``.
    covariance
        Shape ``(n, n)``.
    """

    members: Integers
    covariance: Reals


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
        Their covariances, in blocks; between blocks they are taken as independent.
    """

    variance: Reals
    fourth: Reals
    covariance: Reals
    values: Family
    differences: Family
    joint_values: tuple[Block, ...]
    joint_differences: tuple[Block, ...]


def moments(
    asked: Sequence[Question],
    counted: Sequence[Counted],
    found: Sequence[Numbers],
    compared: Arms,
    *,
    patients: int,
) -> Moments:
    """Return the second moments over all patients.

    Parameters
    ----------
    asked, counted, found
        The questions, what is counted of the finding of each, and the answers to them.
    compared
        The arms and contrasts.
    patients
        How many patient codes there are.

    References
    ----------
    Royen 2014, Far East Journal of Theoretical Statistics 48:139: joint normal values stay inside
    symmetric limits no less often than blocks of them that are taken as independent.

    Examples
    --------
    >>> from equipoise.metrics.counting import counted_of
    >>> from equipoise.metrics.definitions import Minimum
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> asked = Question(sample, metric("auroc"), None)
    >>> counted = counted_of(sample, compared, ranked=True)
    >>> found = numbers(asked, counted, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> moments([asked], [counted], [found], compared, patients=4).variance.round(9).tolist()
    [[0.125]]
    """
    made = terms_of(asked, counted, found, compared)
    members = sum(len(family.question) for family in families(found, compared))
    if members <= _MEMBERS and float(members) ** 2 * patients <= _PRODUCTS:
        return summed(_blocks(made, compared, patients), found, compared)
    calls: dict[tuple[int, str | None], Calls] = {}
    grams = (
        gram(terms[0].influence, terms[0].counted, calls)
        if len(terms) == 1
        else gram_of(terms, patients)
        for terms in made
    )
    return by_question(grams, found, compared)


def terms_of(
    asked: Sequence[Question],
    counted: Sequence[Counted],
    found: Sequence[Numbers],
    compared: Arms,
) -> list[list[Term]]:
    """Return what each estimate is made of: its own influence values, or those it averages.

    Parameters
    ----------
    asked, counted, found, compared
        As of `moments`.

    Examples
    --------
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> terms_of([], [], [], compared)
    []
    """
    own = [
        Influence.nothing() if one[0].averages else influence(*one, compared)
        for one in zip(asked, counted, found, strict=True)
    ]
    return [
        [Term(own[q], counted[q], 1.0 / len(question.averages)) for q in question.averages]
        or [Term(own[position], counted[position], 1.0)]
        for position, question in enumerate(asked)
    ]


def summed(blocks: Iterable[Reals], found: Sequence[Numbers], compared: Arms) -> Moments:
    """Return the second moments of influence values, given block by block, all taken jointly.

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
    >>> made.variance.round(9).tolist(), made.joint_values[0].covariance.round(9).tolist()
    ([[0.05]], [[0.05]])
    """
    values, differences = families(found, compared)
    shape = len(found), len(compared.names)
    variance, fourth = np.zeros(shape), np.zeros(shape)
    covariance = np.zeros((len(found), len(compared.contrasts)))
    joint_values = np.zeros((len(values.question),) * 2)
    joint_differences = np.zeros((len(differences.question),) * 2)
    first, second = _both_arms(compared)
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
        variance,
        fourth,
        covariance,
        values,
        differences,
        (Block(np.arange(len(values.question)), joint_values),),
        (Block(np.arange(len(differences.question)), joint_differences),),
    )


def by_question(grams: Iterable[Gram], found: Sequence[Numbers], compared: Arms) -> Moments:
    """Return the second moments, of each question by itself.

    Parameters
    ----------
    grams
        Of each question.
    found, compared
        What says which estimates there are.

    Examples
    --------
    >>> n = np.array([40])
    >>> found = Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> by_question([Gram(np.array([[0.05]]), np.array([0.001]))], [found], compared).variance
    array([[0.05]])
    """
    values, differences = families(found, compared)
    first, second = _both_arms(compared)
    variance, fourth, covariance = [], [], []
    of_values, of_differences = [], []
    for position, of in enumerate(grams):
        variance.append(np.diag(of.products))
        fourth.append(of.fourth)
        covariance.append(of.products[first, second])
        mine = np.flatnonzero(values.question == position)
        arms = values.member[mine]
        of_values.append(Block(mine, of.products[np.ix_(arms, arms)]))
        mine = np.flatnonzero(differences.question == position)
        one, other = first[differences.member[mine]], second[differences.member[mine]]
        half = of.products[one] - of.products[other]
        of_differences.append(Block(mine, half[:, one] - half[:, other]))
    return Moments(
        np.array(variance),
        np.array(fourth),
        np.array(covariance),
        values,
        differences,
        tuple(of_values),
        tuple(of_differences),
    )


def families(found: Sequence[Numbers], compared: Arms) -> tuple[Family, Family]:
    """Return the family of group values and that of contrasts: all that is assessable.

    Examples
    --------
    >>> n = np.array([40])
    >>> found = Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
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


def _both_arms(compared: Arms) -> tuple[Integers, Integers]:
    first = np.array([c.group for c in compared.contrasts], dtype=np.int64)
    return first, np.array([c.against for c in compared.contrasts], dtype=np.int64)


def _blocks(made: Sequence[Sequence[Term]], compared: Arms, patients: int) -> Iterator[Reals]:
    shape = len(made), len(compared.names)
    step = max(64, _BLOCK // max(1, shape[0] * shape[1]))
    for start in range(0, patients, step):
        stop = min(start + step, patients)
        block = np.zeros((*shape, stop - start))
        for place, terms in zip(block, made, strict=True):
            add_terms(place, terms, start)
        yield block
