"""The log of requests, read: a folder of JSON lines becomes the table *requests*.

A folder holds the log of one bundle under one site key: a file a day (UTC), whose first line says
so. What is odd is counted and told, never dropped in silence.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from equipoise.errors import InvalidInput, InvalidTable
from equipoise.tables.contracts import check
from equipoise.tables.nouns import REQUESTS

LOG = "equipoise-requests"
LOG_VERSION = 1
FILES = "requests-*.jsonl"
TORN = "requests-*.torn"
"""What a kill left half written, moved aside when the writer started again."""

_TYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "real": pl.Float64(),
    "time": pl.Datetime("us", "UTC"),
}

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Requests:
    """What a folder of logs holds.

    Parameters
    ----------
    frame
        The table *requests*, a row per case, sorted by time.
    bundle
        Digest of the bundle that answered.
    salt
        Id of the site key under which the pseudonyms were made; empty if there is no row.
    torn
        Lines that a kill or a power cut left half written. Nobody was given an answer to them.
    repeated
        Rows left out because their case was answered before. The first row that was scored
        stands, or the first one if none was.
    disordered
        Rows stamped earlier than one that was written before: the clock was set back.
    """

    frame: pl.DataFrame
    bundle: str
    salt: str
    torn: int
    repeated: int
    disordered: int


def read_requests(folder: Path, *, bundle: str) -> Requests:
    r"""Return what a log folder holds, however its last writer ended.

    Parameters
    ----------
    folder
        The log folder; it may be written to meanwhile.
    bundle
        Digest of the bundle whose log it must be.

    Raises
    ------
    InvalidInput
        If there is no such folder or log, or if it is of another bundle or of two site keys.
    InvalidTable
        If a line that is not a file's last cannot be read, or a column breaks the contract.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> head = {"log": LOG, "version": 1, "bundle": "b1", "salt": "k1"}
    >>> row = {"case_id": "c1", "patient_key": "p1", "at": "2026-01-02T03:04:05.000006+00:00",
    ...        "bundle": "b1", "outcome": "scored", "score:opacity": 0.25, "sex": "F"}
    >>> lines = [json.dumps(one) for one in (head, row, row)] + ['{"case_id": "c2", "pat']
    >>> _ = (folder / "requests-20260102.jsonl").write_text("\n".join(lines))
    >>> found = read_requests(folder, bundle="b1")
    >>> found.frame["score:opacity"].to_list(), found.torn, found.repeated, found.disordered
    ([0.25], 1, 1, 0)
    """
    if not folder.is_dir():
        raise InvalidInput(f"requests: no folder {folder}")
    paths = sorted(folder.glob(FILES))
    if not paths:
        raise InvalidInput(
            f"requests: {folder} holds no file {FILES}",
            hint="name the folder that was given to `equipoise serve` as --log",
        )
    rows: list[dict[str, object]] = []
    salts: set[str] = set()
    torn = len(list(folder.glob(TORN)))
    for path in paths:
        found, salt, cut = _read_file(path, bundle)
        rows += found
        torn += cut
        salts |= {salt} - {""}
    if len(salts) > 1:
        raise InvalidInput(
            f"requests: {folder} was written under {len(salts)} site keys "
            f"({', '.join(sorted(salts))}); expected one",
            hint="one patient has two pseudonyms there: give each key a folder of its own",
        )
    stamps = _stamps(rows, folder)
    frame = _table(rows, stamps)
    kept = _first_scored(frame)
    return Requests(
        frame=check(kept, REQUESTS, where=f"requests ({folder.name})"),
        bundle=bundle,
        salt=next(iter(salts), ""),
        torn=torn,
        repeated=frame.height - kept.height,
        disordered=_disordered(stamps),
    )


def header(bundle: str, salt: str) -> dict[str, object]:
    """Return the first line of a log file.

    Examples
    --------
    >>> header("b1", "k1")["log"]
    'equipoise-requests'
    """
    return {"log": LOG, "version": LOG_VERSION, "bundle": bundle, "salt": salt}


def line_of(row: Mapping[str, object]) -> bytes:
    r"""Return a row as one line of the log; NaN is refused.

    Examples
    --------
    >>> line_of({"case_id": "c1", "distance": 1.5})
    b'{"case_id":"c1","distance":1.5}\n'
    """
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def belongs(first: bytes, path: Path, *, bundle: str) -> str:
    """Return the id of the site key that a file's first line names, if the file is this bundle's.

    Raises
    ------
    InvalidInput
        If it is no log, of another version, or of another bundle.

    Examples
    --------
    >>> belongs(line_of(header("b1", "k1")), Path("requests-20260101.jsonl"), bundle="b2")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: requests-20260101.jsonl: is the log of bundle b1; expected b2
    """
    said = readable(first)
    if said is None or said.get("log") != LOG:
        raise InvalidInput(f"{path}: is no log of requests; expected {LOG!r} in its first line")
    if said.get("version") != LOG_VERSION:
        raise InvalidInput(f"{path}: has version {said.get('version')}; expected {LOG_VERSION}")
    if said.get("bundle") != bundle:
        raise InvalidInput(
            f"{path}: is the log of bundle {str(said.get('bundle'))[:16]}; expected {bundle[:16]}",
            hint="a log folder belongs to one bundle: name the bundle it is of, or another folder",
        )
    return str(said.get("salt", ""))


def _read_file(path: Path, bundle: str) -> tuple[list[dict[str, object]], str, int]:
    """Return rows, the id of the site key, and how many lines are torn (0 or 1)."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror})") from error
    last = lines.pop()
    if not lines:
        # Killed while the first line was written: nothing was answered from this file.
        return [], "", int(bool(last))
    salt = belongs(lines[0], path, bundle=bundle)
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        row = readable(line)
        if row is None or row.get("bundle") != bundle:
            what = "is not readable" if row is None else f"is of bundle {row.get('bundle')!r}"
            raise InvalidTable(
                f"requests: {path.name} line {number} {what}; expected one answered request",
                hint="the file was altered after it was written; only its last line may be torn",
            )
        rows.append(row)
    whole = readable(last) if last else None
    return [*rows, whole] if whole else rows, salt, int(bool(last) and whole is None)


def readable(line: bytes) -> dict[str, object] | None:
    """Return the object on a line of the log, or nothing if it is torn.

    Examples
    --------
    >>> readable(b'{"a": 1}'), readable(b'{"a": ')
    ({'a': 1}, None)
    """
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _stamps(rows: Sequence[Row], folder: Path) -> list[dt.datetime]:
    stamps = []
    for row in rows:
        said = row.get("at")
        stamp = _time(said)
        if stamp is None:
            raise InvalidTable(
                f"requests ({folder.name}): column 'at' holds {said!r}; expected an ISO 8601 time "
                "with its offset from UTC"
            )
        stamps.append(stamp.astimezone(dt.UTC))
    return stamps


def _time(said: object) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return found if found.utcoffset() is not None else None


def _disordered(stamps: Iterable[dt.datetime]) -> int:
    latest, n = dt.datetime.min.replace(tzinfo=dt.UTC), 0
    for stamp in stamps:
        n += stamp < latest
        latest = max(latest, stamp)
    return n


def _table(rows: Sequence[Row], stamps: Sequence[dt.datetime]) -> pl.DataFrame:
    """Return rows as they were written, every column of the contract's type."""
    names = dict.fromkeys(name for row in rows for name in row)
    required = [name for name, column in REQUESTS.columns.items() if column.required]
    columns = []
    for name in dict.fromkeys([*required, *names]):
        values = list(stamps) if name == "at" else [row.get(name) for row in rows]
        columns.append(_column(name, values))
    return pl.DataFrame(columns)


def _column(name: str, values: Sequence[object]) -> pl.Series:
    said = REQUESTS.column(name, pl.String())
    kind = pl.Float32() if name.startswith("score:") else _TYPES[said.kind if said else "text"]
    if name not in REQUESTS.columns and kind == pl.String():
        values = ["unknown" if value is None else value for value in values]
    try:
        return pl.Series(name, values, dtype=kind, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise InvalidTable(f"requests: column '{name}' is not {kind} throughout") from error


def _first_scored(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row a case, sorted by time; equal times stay as they were written."""
    if not frame.height:
        return frame
    order = frame.with_row_index("_row").sort("at", "_row").with_row_index("_order")
    first = order.sort(pl.col("outcome") != "scored", "_order").unique("case_id", keep="first")
    return first.sort("_order").drop("_row", "_order")
