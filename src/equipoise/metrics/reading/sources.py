"""Where predictions come from: files, and tables of other libraries, none of which is imported."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.reading.layouts import is_score
from equipoise.tables import read_foreign


@runtime_checkable
class ArrowTable(Protocol):
    """What hands its columns over as Arrow: a pyarrow or a pandas table, and many more."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the PyCapsule of an Arrow stream."""


class _Column(Protocol):
    @property
    def dtype(self) -> object: ...

    def to_numpy(self) -> npt.NDArray[np.generic]: ...


class _Index(Protocol):
    @property
    def name(self) -> object: ...


@runtime_checkable
class _Pandas(Protocol):
    @property
    def columns(self) -> Iterable[object]: ...

    @property
    def index(self) -> _Index: ...

    def __getitem__(self, name: object) -> _Column: ...

    def reset_index(self) -> "_Pandas": ...


Source = Path | str | pl.DataFrame | pl.LazyFrame | ArrowTable
"""What may be audited: a file, or a table in memory."""


def table_of(source: Source, name: str = "predictions") -> pl.DataFrame:
    """Return any table that may be given, with its columns as they are.

    Parameters
    ----------
    source
        A path (CSV, TSV, Parquet, Arrow or Feather, by its ending), a polars frame, or whatever
        hands over Arrow, as a pyarrow or a pandas table. In a pandas table NaN stands for what is
        missing and becomes null, save in a score, where it stays NaN and is refused later: a model
        that failed must not look like an image that nobody scored. There, write ``pd.NA``.
    name
        Whose table it is, for messages.

    Raises
    ------
    InvalidTable
        If it is absent, cannot be read, or is no table.

    Examples
    --------
    >>> table_of(pl.LazyFrame({"label": [1]})).rows()
    [(1,)]
    >>> table_of([0.5])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: got a list; expected a path, or a table of polars, \
pandas or pyarrow
    """
    if isinstance(source, str | Path):
        return read_foreign(Path(source), name)
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if type(source).__module__.partition(".")[0] == "pandas" and isinstance(source, _Pandas):
        return _of_pandas(source, name)
    if isinstance(source, ArrowTable):
        return pl.DataFrame(source)
    raise InvalidTable(
        f"{name}: got a {type(source).__name__}; expected a path, or a table of polars, pandas or "
        "pyarrow",
        hint="arrays go through audit.from_arrays",
    )


def from_arrays(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    sensitive_features: Mapping[str, npt.ArrayLike],
    patient_id: npt.ArrayLike | None = None,
) -> pl.DataFrame:
    """Return the table of predictions that separate arrays are, as Fairlearn is given them.

    Parameters
    ----------
    y_true
        Labels ``(n,)``: 0, 1, or null for what was not assessed.
    y_score
        Scores in [0, 1], ``(n,)``.
    sensitive_features
        Attribute → its levels ``(n,)``.
    patient_id
        Whose image each is ``(n,)``, if it is known.

    Raises
    ------
    InvalidTable
        If the arrays are not of one length, paired by position.

    Examples
    --------
    >>> from_arrays([1, 0], [0.9, 0.2], sensitive_features={"sex": ["F", "M"]}).rows()
    [(1, 0.9, 'F'), (0, 0.2, 'M')]
    """
    arrays: dict[str, npt.ArrayLike] = {
        "label": y_true,
        "score": y_score,
        **sensitive_features,
        **({} if patient_id is None else {"patient_id": patient_id}),
    }
    if len(arrays) != 2 + len(sensitive_features) + (patient_id is not None):
        raise InvalidTable(
            f"predictions: sensitive features {list(sensitive_features)}; expected names other "
            "than label, score and patient_id"
        )
    columns = {name: np.asarray(values) for name, values in arrays.items()}
    n = len(columns["label"])
    for name, column in columns.items():
        if column.shape != (n,):
            raise InvalidTable(
                f"predictions: '{name}' has the shape {column.shape}; expected ({n},) as of y_true",
                hint="for several classes, give a table with a column score:<class> for each",
            )
    return pl.DataFrame([_series(name, column) for name, column in columns.items()])


def _of_pandas(frame: _Pandas, name: str) -> pl.DataFrame:
    columns = [str(column) for column in frame.columns]
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise InvalidTable(f"{name}: two columns are named '{twice[0]}'; expected one")
    if frame.index.name is not None:
        frame = frame.reset_index()
    found = {str(column): frame[column] for column in frame.columns}
    fast = _through_arrow(frame)
    return pl.DataFrame(
        [
            fast[column]
            if column in fast and not (is_score(column) and _is_plain_float(values))
            else _series(column, values.to_numpy())
            for column, values in found.items()
        ]
    )


def _is_plain_float(column: _Column) -> bool:
    return str(column.dtype) in {"float16", "float32", "float64"}


def _through_arrow(frame: _Pandas) -> dict[str, pl.Series]:
    """Return the columns as Arrow hands them over; none if pyarrow is absent or refuses one."""
    if not isinstance(frame, ArrowTable):
        return {}
    try:
        return {column.name: column for column in pl.DataFrame(frame)}
    except (ImportError, ValueError, TypeError, pl.exceptions.PolarsError):
        return {}


def _series(name: str, values: npt.NDArray[np.generic]) -> pl.Series:
    """Return a column from numpy: NaN is null save in a score, and objects are what they are."""
    if values.dtype.kind == "f":
        column = pl.Series(name, values)
        return column if is_score(name) else column.fill_nan(None)
    if values.dtype.kind != "O":
        return pl.Series(name, values)
    known = [None if _is_missing(value) else value for value in values.tolist()]
    kinds = {type(value) for value in known if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float, bool}:
        # A column of 0, '1' and 'F' is a text of which some cells look like numbers.
        return pl.Series(name, [None if value is None else str(value) for value in known])
    return pl.Series(name, known, strict=False)


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in {"NAType", "NaTType"}
