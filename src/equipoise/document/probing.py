"""One probe of the battery: cross-fitted by patient, crude and given view and site."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from equipoise.document.options import Options
from equipoise.document.origins import Source
from equipoise.metrics.strata import Discrimination, Flags, Integers, Reals, within
from equipoise.probes import cross_fitted_scores
from equipoise.splits import patient_folds, patient_strata


@dataclass(frozen=True, slots=True)
class Task:
    """A finding with the images in which it was assessed.

    Parameters
    ----------
    finding
        Its name.
    rows
        Of the cohort.
    label, patient, stratum, fold
        Of these rows; the stratum is view × site.
    strata
        How many of view × site there are.
    lacking
        What is lacking for any probe, if so.
    """

    finding: str
    rows: Integers
    label: Flags
    patient: Integers
    stratum: Integers
    fold: Integers
    strata: int
    lacking: str | None


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe of one source says of one finding.

    Parameters
    ----------
    finding, source, kind
        What is told, and from what.
    crude
        Over all images, or nothing if it cannot be told.
    conditional
        Given view and site, or nothing.
    lacking
        Why there is no crude one.
    constant
        Whether the source is the same for all images.
    strata
        How many of view × site there are.
    """

    finding: str
    source: str
    kind: str
    crude: Discrimination | None
    conditional: Discrimination | None
    lacking: str | None
    constant: bool = False
    strata: int = 0


def task(cohort: pl.DataFrame, finding: str, options: Options) -> Task:
    """Return a finding with folds, or with what is lacking.

    `cohort` has ``view`` as text that is never null.

    Examples
    --------
    >>> rows = {"patient_id": ["p"], "site": ["n"], "view": ["AP"], "label:mass": [True]}
    >>> task(pl.DataFrame(rows), "mass", Options()).lacking
    '1 patient with the finding; 20 are needed'
    """
    labels = cohort[f"label:{finding}"]
    rows = np.flatnonzero(labels.is_not_null().to_numpy())
    part = cohort[rows]
    label = part[f"label:{finding}"].to_numpy().astype(bool)
    ids = part["patient_id"].to_list()
    lacking = _lacking(part["patient_id"], label, options.minimum_patients)
    fold = np.zeros(len(rows), np.int64)
    if lacking is None:
        dealt = patient_strata(ids, [label.tolist()], [])
        fold = patient_folds(ids, dealt, n=options.folds, seed=options.seed)
    stratum = _codes(pl.Series([f"{s}\n{v}" for s, v in part.select("site", "view").iter_rows()]))
    strata = int(stratum.max()) + 1 if len(stratum) else 0
    return Task(finding, rows, label, _codes(part["patient_id"]), stratum, fold, strata, lacking)


def probed(source: Source, asked: Task, options: Options) -> Probed:
    """Return how well a source tells a finding from images whose patients it has not seen.

    The error is that of a cross-fitted AUROC: a source that says nothing is found above 0.5 as
    often as the level says. With 30 patients of a label it still falls short: 6 to 12 % at 5 %.

    Examples
    --------
    >>> n = 80
    >>> rows = {
    ...     "patient_id": [f"p{row}" for row in range(n)],
    ...     "site": ["n"] * n,
    ...     "view": ["AP"] * n,
    ...     "label:mass": [row % 2 == 0 for row in range(n)],
    ... }
    >>> asked = task(pl.DataFrame(rows), "mass", Options())
    >>> told = Source("kvp", "content_free", np.arange(n)[:, None] % 2 * 1.0)
    >>> probed(told, asked, Options()).crude.auroc
    1.0
    """
    empty = Probed(asked.finding, source.name, source.kind, None, None, None)
    lacking = source.lacking or asked.lacking
    if lacking is not None:
        return _with(empty, lacking=lacking)
    x = source.columns[asked.rows]
    varying = np.ptp(x, axis=0) > 0 if x.shape[1] else np.zeros(0, bool)
    if not varying.any():
        return _with(empty, constant=True)
    few = source.kind == "content_free" or source.name == "file_size"
    penalty = options.penalty_content_free if few else options.penalty_content
    score = cross_fitted_scores(x[:, varying], asked.label, asked.fold, penalty=penalty)
    given = _given(score, asked)
    fewest = 0 if given is None else min(given.n_positive, given.n_negative)
    return Probed(
        asked.finding,
        source.name,
        source.kind,
        within(score, asked.label, asked.patient, asked.fold).cross_fitted,
        given if given is not None and fewest >= options.minimum_patients else None,
        None,
        strata=asked.strata,
    )


def _given(score: Reals, asked: Task) -> Discrimination | None:
    """Return how well a score tells the label given view and site; None if all share them."""
    if asked.strata == 1:
        return None
    stratum = asked.stratum * (asked.fold.max() + 1) + asked.fold
    return within(score, asked.label, asked.patient, stratum).cross_fitted


def _with(probe: Probed, *, lacking: str | None = None, constant: bool = False) -> Probed:
    return Probed(probe.finding, probe.source, probe.kind, None, None, lacking, constant)


def _lacking(patients: pl.Series, label: Flags, minimum: int) -> str | None:
    for side, what in ((label, "with"), (~label, "without")):
        n = patients.filter(pl.Series(side)).n_unique()
        if n < minimum:
            return f"{n} patient{'s' * (n != 1)} {what} the finding; {minimum} are needed"
    return None


def _codes(values: pl.Series) -> Integers:
    return np.asarray(np.unique(values.to_numpy(), return_inverse=True)[1], np.int64)
