"""A plan for a folder of PNG, JPEG and the like, described by a table."""

import posixpath
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import polars as pl

from equipoise.images import RASTER_ENDINGS, Decoded
from equipoise.ingest import cells, mapping
from equipoise.ingest.foreign import read_table
from equipoise.ingest.leaving import Left
from equipoise.ingest.options import Columns, Options
from equipoise.ingest.places import listed
from equipoise.ingest.reading import Plan, Row
from equipoise.ingest.subjects import site_name
from equipoise.tables.nouns import ACQUISITION

_PLACE = "table"


def plan(options: Options, folder: Path, table_path: Path) -> Plan:
    r"""Return what shall be read of a folder of raster files, by the rows of a table.

    Raises
    ------
    InvalidInput
        If there is no such folder.
    InvalidTable
        If the table cannot be read, a column is absent or two rows share an image.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.png").write_bytes(b"")
    >>> table = folder / "table.csv"
    >>> _ = table.write_text("image\na.png\nb.png\n")
    >>> made = plan(Options(format="files", folder="", table=""), folder, table)
    >>> made.paths, [one.unit for one in made.left]
    (['a.png'], ['b.png'])
    """
    table = read_table(table_path, _PLACE)
    mapping.check_where(options, table.columns, _PLACE)
    mapping.check_bands(options, options.columns.keep.keys() - ACQUISITION.keys())
    paths = _paths(table, options)
    frame = _rows(table, paths, options)
    present = listed(folder, without=[table_path])
    rows: dict[str, Row] = {}
    left = _nameless(present, {path for path in paths if path is not None})
    pairs = zip(frame.iter_rows(named=True), table.iter_rows(named=True), strict=True)
    there = set(present)
    for number, (row, raw) in enumerate(pairs):
        gone = _gone(number, row, raw, there, options)
        if gone is None:
            rows[str(row["path"])] = row
        else:
            left.append(gone)

    def made(one: Decoded, path: str) -> Row | Left:
        said = {name: value for name, value in rows[path].items() if value is not None}
        return {**one.facts, **said, "image_digest": one.digest}

    columns = mapping.described(table.head(0), options.columns, _PLACE).columns
    notes = _not_understood(table, frame, options.columns)
    return Plan(folder, sorted(rows), made, lambda path: rows[path], left, list, columns, notes)


def _paths(table: pl.DataFrame, options: Options) -> list[str | None]:
    said = cells.texts(cells.column(table, options.columns.image or "image", _PLACE))
    paths = [
        None if value is None else posixpath.normpath(value.replace("\\", "/") + options.ending)
        for value in said
    ]
    mapping.one_each(paths, "image", _PLACE)
    return paths


def _rows(table: pl.DataFrame, paths: Sequence[str | None], options: Options) -> pl.DataFrame:
    """Return what the table says of each image, a row per row of the table."""
    columns = options.columns
    path = pl.Series("path", paths, pl.String)
    image = path if columns.image_id is None else _texts(table, columns.image_id)
    mapping.one_each(image.to_list(), "image id", _PLACE)
    patient = image if columns.patient is None else _texts(table, columns.patient)
    site = _site(table, options)
    found = mapping.described(table, columns, _PLACE)
    return pl.DataFrame(
        {
            "image_id": image,
            "patient_id": pl.Series([_patient(s, p) for s, p in zip(site, patient, strict=True)]),
            "site": site,
            "path": path,
            **_optional(table, columns),
            **{name: found[name] for name in found.columns},
        }
    )


def _optional(table: pl.DataFrame, columns: Columns) -> dict[str, pl.Series]:
    readers = {
        "study_id": (columns.study, cells.texts),
        "acquired_on": (columns.acquired_on, cells.dates),
        "age_years": (columns.age, cells.ages),
        "view": (columns.view, cells.texts),
    }
    return {
        name: reader(cells.column(table, column, _PLACE))
        for name, (column, reader) in readers.items()
        if column is not None
    }


def _not_understood(table: pl.DataFrame, frame: pl.DataFrame, columns: Columns) -> dict[str, int]:
    """Return how many cells say something that is no age or date: they count as not known."""
    asked = (
        ("age_years", columns.age, "not an age from 0 to 130 years"),
        ("acquired_on", columns.acquired_on, "not a date"),
    )
    notes = {}
    for name, column, what in asked:
        if column is not None:
            said = cells.levels(cells.column(table, column, _PLACE)) != cells.UNKNOWN
            if n := int((said & frame[name].is_null()).sum()):
                notes[f"column '{column}': {what}"] = n
    return notes


def _site(table: pl.DataFrame, options: Options) -> pl.Series:
    if options.site is not None or options.columns.site is None:
        return pl.Series("site", [site_name(options.site)] * table.height, pl.String)
    return pl.Series("site", [site_name(value) for value in _texts(table, options.columns.site)])


def _texts(table: pl.DataFrame, name: str) -> pl.Series:
    return cells.texts(cells.column(table, name, _PLACE))


def _patient(site: str, patient: str | None) -> str | None:
    return None if patient is None else f"{site}/{patient}"


def _gone(
    number: int,
    row: Row,
    raw: Mapping[str, object],
    present: Collection[str],
    options: Options,
) -> Left | None:
    """Return why a row cannot be read, or nothing."""
    if row["path"] is None or row["image_id"] is None:
        return Left(f"row {number}", "no image named", f"row {number} names no image", row)
    path = str(row["path"])
    if row["patient_id"] is None:
        return Left(path, "no patient id", f"row {number} names no patient", row)
    why = mapping.kept(raw, options.where)
    if why is not None:
        return Left(path, "filtered", why, row)
    if path not in present:
        return Left(path, "no file", "the table names it, the folder does not hold it", row)
    return None


def _nameless(present: Sequence[str], named: Collection[str]) -> list[Left]:
    return [
        Left(path, "no row", "the table does not name it")
        if path.lower().endswith(RASTER_ENDINGS)
        else Left(path, "not an image", "its ending is not that of an image")
        for path in present
        if path not in named
    ]
