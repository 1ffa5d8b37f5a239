"""A plan for a folder of DICOM files, with labels joined to their headers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from equipoise.images import Decoded
from equipoise.ingest import cells, mapping, subjects
from equipoise.ingest.foreign import read_table
from equipoise.ingest.leaving import Left
from equipoise.ingest.options import Columns, Options
from equipoise.ingest.places import listed
from equipoise.ingest.reading import Plan, Row
from equipoise.tables.nouns import ACQUISITION, COHORT

_KEY_COLUMNS = {"image": "sop_instance_uid", "patient": "patient_id", "path": "path"}
_IN_HEADER = {"image": "SOP instance UID", "patient": "patient id", "path": "path"}
_PLACE = "labels"


@dataclass(frozen=True, slots=True)
class _Labels:
    """Labels by key; `raw` is what the user's table says, for filters."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    raw: Mapping[str, Row] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    raw_columns: tuple[str, ...] = ()
    unnamed: int = 0


def plan(options: Options, folder: Path, labels: Path | None) -> Plan:
    """Return what shall be read of a folder of DICOM files.

    Raises
    ------
    InvalidInput
        If there is no such folder.
    InvalidTable
        If the labels cannot be read or joined.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "1.dcm").write_bytes(b"")
    >>> plan(Options(), folder, None).paths
    ['1.dcm']
    """
    joined = _Labels() if labels is None else _read(labels, options)
    known = [*COHORT.columns, "sex", *joined.columns, *joined.raw_columns]
    mapping.check_where(options, known, "ingest")
    mapping.check_bands(options, options.columns.keep.keys() - ACQUISITION.keys())
    used: set[str] = set()

    def row(one: Decoded, path: str) -> Row | Left:
        made = subjects.row(one, path, options)
        if isinstance(made, Left):
            return made
        key = {"image": one.subject["image_id"], "patient": one.subject["patient_id"]}.get(
            options.label_key, path
        )
        used.add(key)
        made |= joined.rows.get(key, {})
        why = mapping.kept({**joined.raw.get(key, {}), **made}, options.where)
        return made if why is None else Left(path, "filtered", why, made)

    return Plan(
        folder=folder,
        paths=listed(folder, without=[] if labels is None else [labels]),
        row=row,
        known=lambda path: joined.rows.get(path, {}) if options.label_key == "path" else {},
        left=[],
        leftover=lambda: _unmatched(joined, used, options),
        columns=("sex", *(name for name in joined.columns if name != "sex")),
    )


def _read(path: Path, options: Options) -> _Labels:
    table = read_table(path, _PLACE)
    columns: Columns = mapping.with_named_labels(options.columns, table, _PLACE)
    said = columns.patient if options.label_key == "patient" else columns.image
    name = said or _KEY_COLUMNS[options.label_key]
    keys = cells.texts(cells.column(table, name, _PLACE)).to_list()
    mapping.one_each(keys, _IN_HEADER[options.label_key], _PLACE)
    found = mapping.described(table, columns, _PLACE)
    return _Labels(
        _by_key(keys, found),
        _by_key(keys, table),
        tuple(found.columns),
        tuple(table.columns),
        sum(key is None for key in keys),
    )


def _by_key(keys: list[str | None], frame: pl.DataFrame) -> dict[str, Row]:
    rows = frame.iter_rows(named=True)
    return {key: row for key, row in zip(keys, rows, strict=True) if key is not None}


def _unmatched(labels: _Labels, used: set[str], options: Options) -> list[Left]:
    what = _IN_HEADER[options.label_key]
    left = [
        Left(key, "label without image", f"no DICOM file has this {what}", row)
        for key, row in labels.rows.items()
        if key not in used
    ]
    nameless = Left("(a row of the labels)", "label without key", f"the row names no {what}")
    return left + [nameless] * labels.unnamed
