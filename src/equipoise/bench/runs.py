"""Several runs of adaptation, and what each candidate says of the images that are tested."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import adapt
from equipoise.errors import InvalidTable, UnknownName, nearest
from equipoise.metrics import UNKNOWN, Answers

Flags = npt.NDArray[np.bool_]
METRICS = ("auroc", "sensitivity", "specificity")


@dataclass(slots=True)
class Said:
    """What one candidate said of one finding, run by run.

    Parameters
    ----------
    scores
        Of all images, one array ``(n,)`` per run that was fitted.
    thresholds
        Operating point → threshold of each of these runs.
    failed
        Why the other runs failed.
    """

    scores: list[npt.NDArray[np.float32]] = field(default_factory=list)
    thresholds: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def answers(self, point: str | None, tested: Flags) -> Answers:
        """Return scores and calls of the tested images; without a point, nobody is called."""
        score = np.stack(self.scores)[:, tested]
        if point is None:
            return Answers(score, np.zeros(score.shape, dtype=bool))
        return Answers(score, score >= np.array(self.thresholds[point])[:, None])


def add_run(
    said: dict[tuple[str, str], Said], images: adapt.Rows, options: adapt.Options, *, seed: int
) -> None:
    """Fit all candidates once more; what fails is noted, and the others go on.

    Parameters
    ----------
    said
        Finding and candidate → what was said so far; it grows.
    images
        Cohort, split and embeddings.
    options
        Candidates, penalties, operating points.
    seed
        Of the candidates.

    Examples
    --------
    See `equipoise.bench.label_curve`, every fraction and seed of which is such a run.
    """
    chosen = options.model_copy(update={"evaluation": "split", "seeds": (seed,)})
    for finding, labels in images.labels.items():
        # Each by itself: a finding too rare for its share of labels shall not fail the others.
        _add_finding(
            said, finding, dataclasses.replace(images, labels={finding: labels}), chosen, seed
        )


def _add_finding(
    said: dict[tuple[str, str], Said],
    finding: str,
    images: adapt.Rows,
    options: adapt.Options,
    seed: int,
) -> None:
    own = {c.name: said.setdefault((finding, c.name), Said()) for c in options.compared()}
    try:
        adapted = adapt.predictions(images, options)
    except InvalidTable as error:
        # Plain training itself failed, as with one label only among few: no number for this run.
        for one in own.values():
            one.failed.append(f"seed {seed}: {error}")
        return
    points = {
        (row["candidate"], row["operating_point"]): row["threshold"]
        for row in adapted.operating_points.iter_rows(named=True)
    }
    for outcome in adapted.outcomes:
        one = own[outcome.candidate]
        if outcome.reason is not None:
            one.failed.append(f"seed {seed}: {outcome.reason}")
            continue
        one.scores.append(outcome.scores)
        for point in options.operating_points:
            threshold = points[outcome.candidate, point.name]
            one.thresholds.setdefault(point.name, []).append(threshold)


def check_fitted(said: Iterable[Said]) -> None:
    """Refuse experiments in which no run could be fitted at all.

    Raises
    ------
    InvalidTable
        With the first reason.

    Examples
    --------
    >>> check_fitted([Said(failed=["seed 0: why"])])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: bench: no run could be fitted; seed 0: why
    """
    everything = list(said)
    if not any(one.scores for one in everything):
        first = next((why for one in everything for why in one.failed), "nothing was asked")
        raise InvalidTable(f"bench: no run could be fitted; {first}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A group and what it is held against, None for the group by itself.

    Parameters
    ----------
    group, against
        Their names.
    place, other
        Their places among the groups of `masks`.
    """

    group: str
    against: str | None
    place: int
    other: int | None


def pairs(groups: npt.NDArray[np.str_], reference: str | None) -> tuple[list[Pair], list[Flags]]:
    """Return all groups, their contrasts, and who is in each.

    Parameters
    ----------
    groups
        Of each image ``(n,)``; unknown is reported and held against nobody.
    reference
        The group that the others are held against; None for the rest.

    Raises
    ------
    UnknownName
        If there is no such group.

    Examples
    --------
    >>> found, masks = pairs(np.array(["F", "M", "unknown"]), "M")
    >>> [(one.group, one.against) for one in found]
    [('everybody', None), ('F', None), ('M', None), ('unknown', None), ('F', 'M')]
    """
    known = sorted(set(groups.tolist()) - {UNKNOWN})
    if reference is not None and reference not in known:
        raise UnknownName(
            f"no group '{reference}' to hold others against; groups: {', '.join(known)}",
            hint=nearest(reference, known),
        )
    names = ["everybody", *[name for name in known if name != "everybody"]]
    masks: list[Flags] = [np.ones(len(groups), dtype=bool)]
    masks += [groups == name for name in names[1:]]
    if UNKNOWN in groups:
        names.append(UNKNOWN)
        masks.append(groups == UNKNOWN)
    found = [Pair(name, None, place, None) for place, name in enumerate(names)]
    for place, name in enumerate(names):
        if name in {"everybody", UNKNOWN, reference} or len(known) < 2:
            continue
        if reference is not None:
            found.append(Pair(name, reference, place, names.index(reference)))
            continue
        masks.append((groups != name) & (groups != UNKNOWN))
        found.append(Pair(name, "rest", place, len(masks) - 1))
    return found, masks


def asked(options: adapt.Options) -> Iterator[tuple[str, str | None]]:
    """Yield metric and operating point; AUROC needs none.

    Examples
    --------
    >>> list(asked(adapt.Options()))[:2]
    [('auroc', None), ('sensitivity', 'specificity_0.9')]
    """
    yield "auroc", None
    for point in options.operating_points:
        yield "sensitivity", point.name
        yield "specificity", point.name


def unlabelled(images: adapt.Rows, without: Flags) -> adapt.Rows:
    """Return the images with the labels of some of them taken away.

    Examples
    --------
    >>> labels = pl.Series([True, False])
    >>> rows = adapt.Rows(["a", "b"], ["p", "q"], np.zeros((2, 1)), {"x": labels},
    ...                   np.array(["F", "M"]), ["", ""], np.arange(2), np.array(["train"] * 2),
    ...                   np.arange(2))
    >>> unlabelled(rows, np.array([True, False])).labels["x"].to_list()
    [None, False]
    """
    kept = pl.Series(~without)
    labels = {
        finding: pl.select(pl.when(kept).then(series)).to_series()
        for finding, series in images.labels.items()
    }
    return dataclasses.replace(images, labels=labels)


def numbers_of(numbers: Sequence[int]) -> Mapping[str, int]:
    """Return images, patients, positives and negatives under their names.

    Examples
    --------
    >>> numbers_of((4, 3, 2, 2))["n_patients"]
    3
    """
    names = ("n_images", "n_patients", "n_positive", "n_negative")
    return dict(zip(names, numbers, strict=True))
