"""A finding's rows as arrays, sorted by patient, once: all that counts and estimates read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.metrics.groups import Cells, cells
from equipoise.tables import findings as findings_of

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """The images of one finding that have a label and a score, sorted by patient and cell.

    Parameters
    ----------
    finding
        Its name.
    score
        Shape ``(n,)``, in the precision in which it was stored.
    label
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, codes that never fall; the same patient has the same code in each finding.
    cell
        Shape ``(n,)``, the atomic cell.
    called
        Operating point → shape ``(n,)``, whether the image is called positive.
    unscored
        How many images have a label and no score: they are left out, and said.
    """

    finding: str
    score: npt.NDArray[np.floating]
    label: Flags
    patient: Integers
    cell: Integers
    called: Mapping[str, Flags]
    unscored: int


@dataclass(frozen=True, slots=True)
class Population:
    """The samples of all findings over one set of cells.

    Parameters
    ----------
    samples
        One per finding.
    cells
        The atomic cells of all rows.
    patients
        How many patient codes there are.
    clustered
        Whether patients are known; if not, each image stands for itself.
    """

    samples: tuple[Sample, ...]
    cells: Cells
    patients: int
    clustered: bool


def population(
    predictions: pl.DataFrame,
    table: pl.DataFrame,
    *,
    patient: str | None,
    points: pl.DataFrame | None = None,
    findings: Sequence[str] | None = None,
) -> Population:
    """Return predictions as arrays, with every row seen to be in declared subgroups.

    Parameters
    ----------
    predictions
        A row per image: ``label:<finding>`` (Boolean, null = not assessed), ``score:<finding>``,
        the attribute columns, and ``fold`` where thresholds differ by fold.
    table
        The table *subgroups*.
    patient
        The column that says whose image it is; None takes images as independent.
    points
        Rows of `finding`, `operating_point`, `threshold` and perhaps `fold` (null = all). None:
        no image is called anything.
    findings
        Which findings; all that have a label, by default.

    Raises
    ------
    InvalidTable
        If a column is absent, a patient is null, or a threshold is lacking for a fold.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> rows = pl.DataFrame({"sex": ["M", "F"], "label:x": [True, None], "score:x": [0.5, 0.1]})
    >>> population(rows, subgroups({"sex": ["F", "M"]}), patient=None).samples[0].score.tolist()
    [0.5]
    """
    atomic = cells(predictions, table)
    codes = _patients(predictions, patient)
    order = np.argsort(codes * max(1, atomic.n) + atomic.code)
    sorted_codes = codes[order], atomic.code[order]
    wanted = list(findings) if findings is not None else findings_of(predictions)
    samples = tuple(_sample(predictions, name, order, sorted_codes, points) for name in wanted)
    n = int(codes.max()) + 1 if len(codes) else 0
    return Population(samples, atomic, n, clustered=patient is not None)


def patient_ids(predictions: pl.DataFrame, patient: str | None) -> list[str]:
    """Return the id behind each patient code of `population`; without ids, the row's number.

    Examples
    --------
    >>> patient_ids(pl.DataFrame({"who": ["b", "a", "b"]}), "who")
    ['b', 'a']
    """
    codes = _patients(predictions, patient)
    _, first = np.unique(codes, return_index=True)
    if patient is None:
        return [str(row) for row in first.tolist()]
    return predictions[patient].cast(pl.String)[first].to_list()


def _patients(frame: pl.DataFrame, patient: str | None) -> Integers:
    if patient is None:
        return np.arange(frame.height, dtype=np.int64)
    if patient not in frame.columns:
        raise InvalidTable(
            f"predictions: no column '{patient}'; got {frame.columns}",
            hint=nearest(patient, frame.columns)
            or "without patient ids, say so: then images are taken as independent",
        )
    # An empty text, or NaN, would make one patient of all whose patient is not known.
    missing = _unnamed(frame[patient])
    if missing:
        raise InvalidTable(f"predictions: column '{patient}': {missing} nulls; expected none")
    return _codes(frame[patient])


def _unnamed(who: pl.Series) -> int:
    if who.dtype == pl.String:
        return who.null_count() + int((who == "").sum())
    return who.null_count() + (int(who.is_nan().sum()) if who.dtype.is_float() else 0)


def _codes(who: pl.Series) -> Integers:
    """Return a whole number per distinct value, counted from 0 without gaps."""
    if not who.dtype.is_integer():
        # By first appearance: as good as any order, and no text is sorted for it.
        text = who if who.dtype == pl.String else who.cast(pl.String)
        code = text.cast(pl.Categorical).to_physical().to_numpy().astype(np.int64)
    else:
        code = who.to_numpy().astype(np.int64)
        code = code - (code.min() if len(code) else 0)
    if len(code) and int(code.max()) < 8 * len(code) + 1024:
        place = np.cumsum(np.bincount(code) > 0) - 1
        return np.asarray(place[code], dtype=np.int64)
    return np.asarray(np.unique(code, return_inverse=True)[1], dtype=np.int64)


def _sample(
    frame: pl.DataFrame,
    finding: str,
    order: Integers,
    codes: tuple[Integers, Integers],
    points: pl.DataFrame | None,
) -> Sample:
    for column in (f"label:{finding}", f"score:{finding}"):
        if column not in frame.columns:
            raise InvalidTable(
                f"predictions: no column '{column}'; got {frame.columns}",
                hint=nearest(column, frame.columns),
            )
    labels, scores = frame[f"label:{finding}"], frame[f"score:{finding}"]
    labelled, rows, unscored = labels.is_not_null(), order, 0
    patient, cell = codes
    if labels.null_count() or scores.null_count():
        usable = (labelled & scores.is_not_null()).to_numpy()
        unscored = int(labelled.sum()) - int(usable.sum())
        mine = usable[order]
        rows, patient, cell = order[mine], patient[mine], cell[mine]
        labels, scores = labels.fill_null(value=False), scores.fill_null(0.0)
    score = scores.to_numpy()[rows]
    return Sample(
        finding=finding,
        score=score,
        label=labels.to_numpy().astype(bool, copy=False)[rows],
        patient=patient,
        cell=cell,
        called=_called(frame, finding, points, (score, rows)),
        unscored=unscored,
    )


def _called(
    frame: pl.DataFrame,
    finding: str,
    points: pl.DataFrame | None,
    chosen: tuple[npt.NDArray[np.floating], Integers],
) -> dict[str, Flags]:
    if points is None:
        return {}
    score, rows = chosen
    called: dict[str, Flags] = {}
    mine = points.filter(pl.col("finding") == finding)
    for (name,), some in mine.group_by("operating_point", maintain_order=True):
        threshold = _thresholds(frame, some, f"{finding} at {name}", rows)
        # A threshold of 0.7 must catch the Float32 score that was stored from 0.7.
        called[str(name)] = score >= threshold.astype(score.dtype)
    return called


def _thresholds(
    frame: pl.DataFrame, points: pl.DataFrame, what: str, rows: Integers
) -> npt.NDArray[np.float64]:
    """Return the threshold of each of the rows, shape ``(len(rows),)``."""
    if "fold" not in points.columns or points["fold"].null_count() == points.height:
        if points.height != 1:
            raise InvalidTable(
                f"operating points: {points.height} thresholds for {what}; expected 1"
            )
        return np.full(len(rows), points["threshold"][0])
    if "fold" not in frame.columns:
        raise InvalidTable(
            f"predictions: no column 'fold', but the thresholds for {what} differ by fold"
        )
    by_fold = points.select(pl.col("fold").cast(pl.Int64), "threshold")
    if by_fold["fold"].is_duplicated().any():
        raise InvalidTable(
            f"operating points: several thresholds for {what} in one fold; expected 1"
        )
    folds = frame.select(pl.col("fold").cast(pl.Int64))[rows]
    found = folds.join(by_fold, on="fold", how="left", maintain_order="left")
    if found["threshold"].null_count():
        fold = found.filter(pl.col("threshold").is_null())["fold"][0]
        raise InvalidTable(f"operating points: no threshold for {what} in fold {fold}")
    return found["threshold"].to_numpy()
