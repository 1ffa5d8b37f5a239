"""A batch of rows as codes: which cell, which bin with which label, and whose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from equipoise.errors import InvalidTable
from equipoise.metrics.groups import UNKNOWN
from equipoise.metrics.streams.binning import BLOCK, Binning, bins_of

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch comes from, for messages.

    Parameters
    ----------
    file
        Its name.
    first
        The row of the file at which it begins.
    kept
        Which of the rows from there on it holds; None where it holds all.
    """

    file: str
    first: int
    kept: Integers | None = None

    def row(self, rows: Flags) -> str:
        """Return the first of the marked rows in words."""
        marked = int(np.argmax(rows))
        place = marked if self.kept is None else int(self.kept[marked])
        return f"row {self.first + place} of {self.file}"


@dataclass(frozen=True, slots=True)
class Finding:
    """How the rows of a finding become codes.

    Parameters
    ----------
    label, score
        Names of its columns.
    grid
        Its edges.
    bins
        How far apart the codes of the two labels are, at least as many as there are edges.
    """

    label: str
    score: str
    grid: Binning
    bins: int


@dataclass(frozen=True, slots=True)
class Codes:
    """The usable rows of a finding.

    Parameters
    ----------
    code
        ``label * bins + bin``, shape ``(usable,)``.
    rows
        Which rows of the batch they are; None where they are all.
    unscored
        How many rows have a label and no score.
    """

    code: Integers
    rows: Integers | None
    unscored: int


def codes_of(batch: pa.RecordBatch, finding: Finding, at: Place, space: Integers) -> Codes:
    """Return label and bin of the rows of a finding that have a label and a score.

    Parameters
    ----------
    batch
        Label: Boolean, or whole numbers 0 and 1; null = not assessed. Score: in [0, 1].
    finding
        Its columns and edges.
    at
        Where the batch comes from.
    space
        Shape ``(2, n)`` or longer, to work in: the codes lie in it until the next call.

    Raises
    ------
    InvalidTable
        If a label is not 0 or 1, or a score is NaN or outside [0, 1].

    Examples
    --------
    >>> from equipoise.metrics.streams.binning import binning
    >>> batch = pa.record_batch({"label": [True, False, None], "score": [0.9, 0.9, 0.1]})
    >>> finding = Finding("label", "score", binning(np.array([0.0, 0.5])), 2)
    >>> codes_of(batch, finding, Place("a.parquet", 0), np.empty((2, 3), np.int64)).code.tolist()
    [3, 1]
    """
    label, score = batch.column(finding.label), batch.column(finding.score)
    scores = scores_of(score, finding.score, at)
    labels = _labels(label, finding.label, at)
    rows: Integers | None = None
    unscored = 0
    if label.null_count or score.null_count:
        labelled = label.is_valid().to_numpy(zero_copy_only=False)
        usable = labelled & score.is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(usable)
        unscored = int(np.count_nonzero(labelled)) - len(rows)
        scores, labels = scores[rows], labels[rows]
    code, high = space[0, : len(scores)], space[1, : len(scores)]
    bins_of(scores, finding.grid, code)
    np.multiply(labels, finding.bins, out=high, dtype=np.int64)
    return Codes(np.add(code, high, out=code), rows, unscored)


def scores_of(score: pa.Array, name: str, at: Place) -> Reals:
    """Return scores as float32 or float64, 0 where there is none, checked.

    Raises
    ------
    InvalidTable
        If a score is NaN or outside [0, 1], or the column holds no numbers.

    Examples
    --------
    >>> scores_of(pa.array([0.5, None]), "score", Place("a.parquet", 0)).tolist()
    [0.5, 0.0]
    >>> scores_of(pa.array([0.5, 1.5]), "score", Place("a.parquet", 10))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: column 'score': 1.5 in row 11 of a.parquet; \
expected scores in [0, 1]
    """
    dtype = precision(score.type, name)
    values: Reals = _filled(score, 0).astype(dtype, copy=False)
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        bad = ~((values >= 0) & (values <= 1))
        raise InvalidTable(
            f"predictions: column '{name}': {values[np.argmax(bad)]} in {at.row(bad)}; "
            "expected scores in [0, 1]",
            hint="leave the cell empty where the model gave no score; logits are not scores",
        )
    return values


def precision(kind: pa.DataType, name: str) -> type[np.float32] | type[np.float64]:
    """Return the precision in which a column's scores are compared.

    Raises
    ------
    InvalidTable
        If it holds no numbers.

    Examples
    --------
    >>> precision(pa.float32(), "score").__name__, precision(pa.int64(), "score").__name__
    ('float32', 'float64')
    """
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        return np.float32
    if pa.types.is_float64(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return np.float64
    raise InvalidTable(f"predictions: column '{name}' is {kind}; expected scores in [0, 1]")


def cells_of(
    columns: Sequence[pa.Array],
    levels: Mapping[str, tuple[str, ...]],
    at: Place,
    out: Integers | None = None,
) -> tuple[Integers | None, Integers]:
    """Return the cell of each row, and how many rows of each attribute have none.

    Parameters
    ----------
    columns
        One per attribute, in the order of `levels`. A null is read as *unknown*.
    levels
        The declared levels.
    at
        Where the batch comes from.
    out
        Where to put the cells, shape ``(n,)`` or longer.

    Returns
    -------
    The cells, shape ``(n,)``, None where no attribute is declared; the nulls, ``(attributes,)``.

    Raises
    ------
    InvalidTable
        If a level occurs that is not declared.

    Examples
    --------
    >>> levels = {"sex": ("F", "M")}
    >>> cells_of([pa.array(["M", "F"])], levels, Place("a.parquet", 0))[0].tolist()
    [1, 0]
    >>> cells_of([pa.array(["M", "X"])], levels, Place("a.parquet", 0))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: column 'sex': undeclared level 'X' in row 1 of \
a.parquet; declared: F, M
    """
    nulls = np.array([column.null_count for column in columns], dtype=np.int64)
    if not columns:
        return None, nulls
    coded = [
        _coded(column, name, declared)
        for column, (name, declared) in zip(columns, levels.items(), strict=True)
    ]
    cell = np.empty(len(columns[0]), dtype=np.int64) if out is None else out[: len(columns[0])]
    for start in range(0, len(cell), BLOCK):
        block = slice(start, start + BLOCK)
        some = cell[block]
        some[:] = 0
        for (index, table), (name, declared) in zip(coded, levels.items(), strict=True):
            position = np.take(table, index[block], mode="clip")
            if position.min() < 0:
                column = columns[list(levels).index(name)]
                _refuse(column, table[index] < 0, name, declared, at)
            np.multiply(some, len(declared), out=some)
            np.add(some, position, out=some)
    return cell, nulls


def patients_of(column: pa.Array, name: str, at: Place) -> npt.NDArray[np.uint64]:
    """Return 64 bits that stand for the patient of each row, shape ``(n,)``.

    Two of 100 million patients share them with a probability of about 3 in 10,000. They are the
    same in each process, and may differ between versions of polars: they are never written down.

    Raises
    ------
    InvalidTable
        If a patient is null.

    Examples
    --------
    >>> found = patients_of(pa.array(["a", "b", "a"]), "patient_id", Place("a.parquet", 0))
    >>> (found[0] == found[2], found[0] == found[1])
    (np.True_, np.False_)
    """
    if column.null_count:
        empty = column.is_null().to_numpy(zero_copy_only=False)
        raise InvalidTable(
            f"predictions: column '{name}': {column.null_count} nulls, as in {at.row(empty)}; "
            "expected none"
        )
    series = pl.Series(name, pl.from_arrow(column))
    return series.hash(1).to_numpy()


def _filled(column: pa.Array, value: float) -> npt.NDArray[np.number]:
    if pa.types.is_null(column.type):
        return np.zeros(len(column))
    whole = column.fill_null(value) if column.null_count else column
    return np.asarray(whole.to_numpy(zero_copy_only=False))


def _labels(label: pa.Array, name: str, at: Place) -> npt.NDArray[np.number]:
    if pa.types.is_null(label.type):
        return np.zeros(len(label), dtype=np.uint8)
    if pa.types.is_boolean(label.type):
        whole = label.fill_null(False) if label.null_count else label
        return np.asarray(whole.cast(pa.uint8()).to_numpy())
    if not pa.types.is_integer(label.type):
        raise InvalidTable(
            f"predictions: column '{name}' is {label.type}; expected true and false, or 0 and 1",
            hint="write labels as Booleans, null where a finding was not assessed",
        )
    values = _filled(label, 0)
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise InvalidTable(
            f"predictions: column '{name}': {values[np.argmax(bad)]} in {at.row(bad)}; "
            "expected 0, 1 or null"
        )
    return values


def _coded(
    column: pa.Array, name: str, declared: tuple[str, ...]
) -> tuple[npt.NDArray[np.integer], Integers]:
    """Return a code for each row, and the declared position of each code: -1 of no level."""
    if pa.types.is_floating(column.type):
        raise InvalidTable(
            f"predictions: column '{name}' is {column.type}; expected levels",
            hint="cut it into bands first, as 0-39, 40-64, 65+",
        )
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    known = {level: place for place, level in enumerate(declared)}
    seen = coded.dictionary.cast(pa.string()).to_pylist()
    # The last place of the table is for nulls.
    levels = [UNKNOWN if level is None else level for level in [*seen, None]]
    table = np.array([known.get(level, -1) for level in levels], dtype=np.int64)
    index = coded.indices
    if index.null_count:
        index = index.fill_null(len(seen))
    return index.to_numpy(), table


def _refuse(column: pa.Array, bad: Flags, name: str, declared: tuple[str, ...], at: Place) -> None:
    """Raise with the first level that is not declared."""
    said = column[int(np.argmax(bad))].as_py()
    what = "a null" if said is None else f"undeclared level {str(said)!r}"
    level = UNKNOWN if said is None else said
    raise InvalidTable(
        f"predictions: column '{name}': {what} in {at.row(bad)}; declared: {', '.join(declared)}",
        hint=f"declare it: {name}={','.join([*declared, str(level)])}",
    )
