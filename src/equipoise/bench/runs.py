"""Several runs of adaptation, and what each candidate says of the images that are tested."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import adapt
from equipoise.adapt.outcomes import Outcome, over_findings
from equipoise.adapt.rounds import Evaluation, Round, rounds
from equipoise.errors import InvalidTable, UnknownName, nearest
from equipoise.metrics import UNKNOWN, Answers
from equipoise.splits import assign, patient_folds

Flags = npt.NDArray[np.bool_]
METRICS = ("auroc", "sensitivity", "specificity")
_VALIDATION = 0.25


@dataclass(slots=True)
class Said:
    """What one candidate said of one finding, run by run.

    Parameters
    ----------
    scores
        Of all images, one array ``(n,)`` per run that was fitted.
    called
        Operating point → whom it calls in each of these runs ``(n,)``.
    failed
        Why the other runs failed.
    """

    scores: list[npt.NDArray[np.float32]] = field(default_factory=list)
    called: dict[str, list[Flags]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def add(self, one: Outcome, folds: npt.NDArray[np.int64]) -> None:
        """Note one more run, at the operating points of each fold, or why it failed."""
        if one.reason is not None:
            self.failed.append(f"seed {one.seed}: {one.reason}")
            return
        self.scores.append(one.scores)
        for name in dict.fromkeys(str(point["operating_point"]) for point in one.points):
            cut = np.full(len(folds), np.nan)
            for point in one.points:
                if point["operating_point"] == name:
                    inside = slice(None) if point["fold"] is None else folds == point["fold"]
                    cut[inside] = float(str(point["threshold"]))
            self.called.setdefault(name, []).append(one.scores >= cut)

    def answers(self, point: str | None, tested: Flags) -> Answers:
        """Return scores and calls of the tested images; without a point, nobody is called."""
        score = np.stack(self.scores)[:, tested]
        if point is None:
            return Answers(score, np.zeros(score.shape, dtype=bool))
        return Answers(score, np.stack(self.called[point])[:, tested])


def add_run(
    said: dict[tuple[str, str], Said],
    images: adapt.Rows,
    options: adapt.Options,
    evaluation: Evaluation,
    *,
    seed: int,
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
    evaluation
        *split*, or *cross-fit*: every image is scored by a probe that has not seen its patient.
    seed
        Of the candidates.

    Examples
    --------
    See `equipoise.bench.label_curve`, every fraction and seed of which is such a run.
    """
    parts = rounds(images, evaluation, seed=seed, inner=options.inner_validation)
    for candidate in options.compared():
        add_fit(said, images, candidate, parts, options, seed=seed)


def add_fit(
    said: dict[tuple[str, str], Said],
    images: adapt.Rows,
    candidate: adapt.Candidate,
    parts: list[Round],
    options: adapt.Options,
    *,
    seed: int,
) -> None:
    """Fit one candidate to all findings; what fails is noted.

    Parameters
    ----------
    said
        Finding and candidate → what was said so far; it grows.
    images
        Cohort, split and embeddings.
    candidate
        Which.
    parts
        Who is fitted on, who validates and who is scored.
    options
        Penalties, operating points.
    seed
        Of the candidate.

    Examples
    --------
    See `equipoise.bench.members`, every run of which is such a fit for each candidate.
    """
    alone = options.model_copy(update={"seeds": (seed,)})
    for one in over_findings(images, list(images.labels), candidate, parts, alone, seed=seed):
        said.setdefault((one.finding, candidate.name), Said()).add(one, images.fold)


def redrawn(images: adapt.Rows, evaluation: Evaluation, seed: int) -> adapt.Rows:
    """Return the images with who trains and who validates drawn anew, or the folds, by patient.

    As large as they were; without anybody who validates, a quarter of those who are not tested do.
    Who is tested stays. Otherwise what another draw would have chosen is in no interval.

    Examples
    --------
    >>> rows = adapt.Rows(list("abcd"), list("pqrs"), np.zeros((4, 1)), {}, np.array(["F"] * 4),
    ...                   [""] * 4, np.arange(4), np.array(["train"] * 4), np.array([0, 0, 1, 1]))
    >>> sorted(redrawn(rows, "cross-fit", 3).fold.tolist())
    [0, 0, 1, 1]
    >>> sorted(redrawn(rows, "split", 3).split.tolist())
    ['train', 'train', 'train', 'validation']
    """
    if evaluation == "cross-fit":
        n = len(np.unique(images.fold))
        folds = patient_folds(images.patient_ids, images.strata, n=n, seed=seed)
        return dataclasses.replace(images, fold=np.asarray(folds, dtype=np.int64))
    outside = np.flatnonzero(images.split != "test")
    validating = images.split[outside] == "validation"
    people = images.patients[outside]
    share = len(np.unique(people[validating])) / max(len(np.unique(people)), 1) or _VALIDATION
    split = images.split.astype("<U10")
    split[outside] = assign(
        [images.patient_ids[i] for i in outside],
        [images.strata[i] for i in outside],
        shares={"train": 1.0 - share, "validation": share},
        seed=seed,
    )
    return dataclasses.replace(images, split=split)


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
