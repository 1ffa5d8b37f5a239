"""The only step that sees patients in the first round: a part's counts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.arms import Contrast
from equipoise.metrics.groups import levels_of
from equipoise.metrics.parts.agreements import Agreed, compared_in
from equipoise.metrics.parts.grid import histograms
from equipoise.metrics.parts.merging import without
from equipoise.metrics.parts.messages import CELLS, LIMB, PEOPLE, Counts, Part, shapes
from equipoise.metrics.parts.suppression import level_joins, withheld
from equipoise.metrics.samples import Population, Sample
from equipoise.metrics.tallies import NEGATIVE, POSITIVE, images, patients, tally

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


def first(people: Population, agreed: Agreed, *, name: str) -> Part:
    """Return what a part tells in the first round: its counts, small subgroups withheld.

    A histogram tells the scores of single images to one part in `bins`, without their ids: in a
    subgroup of the minimum size most of its counts are ones. Who knows a score of a patient, from
    a report or a log, may find it there, and with it the label. Agree on fewer bins to tell less.

    Parameters
    ----------
    people
        The predictions of the part, from `population_of`.
    agreed
        What is counted.
    name
        Of the part, as the site is called.

    Raises
    ------
    InvalidTable
        If the population has other findings or operating points than are agreed.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import population_of
    >>> agreed = Agreed(subgroups({"sex": ["F", "M"]}), Plan({}, ("auroc",), Minimum(), "probe"),
    ...                 ("x",))
    >>> rows = pl.DataFrame({"sex": ["F"] * 20 + ["M"] * 2, "label:x": [True] * 22,
    ...                      "score:x": [0.5] * 22})
    >>> made = first(population_of(rows, agreed, patient=None), agreed, name="site-1")
    >>> made.counts.of("images").tolist(), made.withheld.tolist()
    ([[22, 0, 0, 0, 0]], [[False, True, True, True, True]])
    """
    check_asked(people, agreed, name)
    compared = compared_in(agreed, people.cells)
    hidden = np.zeros((len(agreed.findings), len(compared.names)), dtype=bool)
    if agreed.rules.minimum_cell > 1:
        minimum, groups = agreed.rules.minimum_cell, len(compared.subgroups)
        sizes = [len(levels) for levels in levels_of(agreed.table).values()]
        joins = level_joins(agreed.whole.inside, sizes)
        for position, sample in enumerate(people.samples):
            found = withheld(sample, compared.inside, minimum, groups=groups, joins=joins)
            hidden[position] = _together(found, compared.contrasts)
    return Part(name, people.clustered, agreed.head, counted(people, agreed, hidden), hidden)


def counted(people: Population, agreed: Agreed, hidden: Flags) -> Counts:
    """Return the counts of a part, zeros of what is hidden.

    Parameters
    ----------
    people, agreed
        As for `first`.
    hidden
        Of which arms nothing is told, shape ``(findings, arms)``.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import population_of
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> rows = pl.DataFrame({"sex": ["F"], "label:x": [True], "score:x": [0.5]})
    >>> people = population_of(rows, agreed, patient=None)
    >>> counted(people, agreed, np.array([[False, True, True]])).of("positive").tolist()
    [[1, 0, 0]]
    """
    inside = compared_in(agreed, people.cells).inside
    shape = shapes(agreed)
    by_finding = (len(people.samples), len(PEOPLE), len(inside))
    people_of = _whole([_people(sample, inside) for sample in people.samples], by_finding)
    bins = agreed.rules.bins
    counts = Counts(
        people=np.ascontiguousarray(people_of.swapaxes(0, 1)),
        histogram=_whole([histograms(s, inside, bins) for s in people.samples], shape["histogram"]),
        confusion=_whole(_confusions(people, agreed, inside), shape["confusion"]),
        trial_patients=_whole(_trial_patients(people, agreed, inside), shape["trial_patients"]),
        loss=_losses(people, agreed, inside),
        unscored=np.array([sample.unscored for sample in people.samples], dtype=np.int64),
    )
    return without(counts, agreed, hidden)


def _whole(rows: Sequence[Integers], shape: tuple[int, ...]) -> Integers:
    """Return rows as one array, of its shape though there be none."""
    return np.array(rows, dtype=np.int64).reshape(shape)


def _confusions(people: Population, agreed: Agreed, inside: Flags) -> list[Integers]:
    """Return the cells at each operating point, each of shape ``(4, arms)``."""
    tallies = [tally(sample) for sample in people.samples]
    return [
        np.array([images(tallies[finding], point, (name,), inside) for name in CELLS])
        for finding, point in agreed.named_points
    ]


def _trial_patients(people: Population, agreed: Agreed, inside: Flags) -> list[Integers]:
    """Return the patients with a trial of each question that is of a rate, else zeros."""
    made = []
    for finding, metric, point in agreed.questions:
        if point is None:
            made.append(np.zeros(len(inside), dtype=np.int64))
            continue
        name = agreed.named_points[point][1]
        made.append(patients(tally(people.samples[finding]), name, metric.trials, inside))
    return made


def _losses(people: Population, agreed: Agreed, inside: Flags) -> Integers:
    """Return the sum of the loss of each question that is of a mean, ``(questions, 2, arms)``."""
    made = np.zeros((len(agreed.questions), 2, len(inside)), dtype=np.int64)
    for rows, (finding, metric, _) in zip(made, agreed.questions, strict=True):
        if metric.loss is not None:
            sample = people.samples[finding]
            rows[:] = _sums(
                metric.loss(sample.score.astype(np.float64), sample.label), sample, inside
            )
    return made


def _people(sample: Sample, inside: Flags) -> Integers:
    """Return the numbers of `PEOPLE`, shape ``(6, arms)``."""
    tallied, everyone = tally(sample), (*NEGATIVE, *POSITIVE)
    return np.array(
        [
            images(tallied, None, everyone, inside),
            patients(tallied, None, everyone, inside),
            images(tallied, None, POSITIVE, inside),
            images(tallied, None, NEGATIVE, inside),
            patients(tallied, None, POSITIVE, inside),
            patients(tallied, None, NEGATIVE, inside),
        ]
    )


def _sums(loss: Reals, sample: Sample, inside: Flags) -> Integers:
    """Return the sum of a loss over the images of each arm, ``(2, arms)``: high and low part.

    Whole numbers add without rounding, so that not even the last bit tells in which cells of an
    arm its images are.
    """
    if len(loss) and not 0.0 <= float(loss.min()) <= float(loss.max()) <= 1.0:
        raise InvalidTable(
            f"parts: finding '{sample.finding}': losses from {loss.min()} to {loss.max()}; "
            "expected them in [0, 1]"
        )
    scale = float(1 << LIMB)
    high = np.floor(loss * scale)
    low = np.rint((loss * scale - high) * scale)
    made = np.zeros((2, len(inside)), dtype=np.int64)
    for row, limb in zip(made, (high, low), strict=True):
        by_cell = np.zeros(inside.shape[1], dtype=np.int64)
        np.add.at(by_cell, sample.cell, limb.astype(np.int64))
        row[:] = inside.astype(np.int64) @ by_cell
    return made


def _together(hidden: Flags, contrasts: Sequence[Contrast]) -> Flags:
    """Return what is hidden, and what would be compared with it: a contrast is of equal parts."""
    both = hidden.copy()
    for contrast in contrasts:
        both[contrast.against] |= hidden[contrast.group]
    return both


def check_asked(people: Population, agreed: Agreed, name: str) -> None:
    """Raise if a population is not one of the findings and operating points that are agreed.

    Raises
    ------
    InvalidTable
        With what it has and what is agreed.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.metrics import Minimum, Plan, population, subgroups
    >>> table = subgroups({"sex": ["F"]})
    >>> agreed = Agreed(table, Plan({}, ("auroc",), Minimum(), "probe"), ("effusion",))
    >>> rows = pl.DataFrame({"sex": ["F"], "label:x": [True], "score:x": [0.5]})
    >>> check_asked(population(rows, table, patient=None), agreed, "site-1")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: 'site-1' has the findings ['x']; agreed are ['effusion']
    """
    found = [sample.finding for sample in people.samples]
    if found != list(agreed.findings):
        raise InvalidTable(
            f"parts: '{name}' has the findings {found}; agreed are {list(agreed.findings)}"
        )
    for position, sample in enumerate(people.samples):
        points = [point for mine, point in agreed.named_points if mine == position]
        if sorted(sample.called) != sorted(points):
            raise InvalidTable(
                f"parts: '{name}': finding '{sample.finding}' is called at "
                f"{sorted(sample.called)}; agreed are {sorted(points)}"
            )
