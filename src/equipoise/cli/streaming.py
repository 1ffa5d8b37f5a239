"""What ``equipoise audit`` does beyond a table in memory: streams, and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    from equipoise.audit import Options
    from equipoise.metrics import Estimated


def streamed(
    path: Path,
    levels: Mapping[str, Sequence[str] | None],
    patient: str | None,
    points: Mapping[str, float | str],
    table: Path | None,
    options: "Options",
    workers: int,
) -> "Estimated":
    """Return the audit of Parquet files that are read in batches, with a progress bar."""
    from rich.progress import Progress

    from equipoise import audit as engine
    from equipoise.cli.saying import patient_column
    from equipoise.cli.showing import talk
    from equipoise.tables import read_foreign

    if points and table is not None:
        raise InvalidConfiguration("--threshold and --operating-points: expected one of them")
    given = dict(points) if table is None else read_foreign(table, "operating points")
    who = patient_column(patient, _columns(path))
    with Progress(console=talk(), transient=True) as bar:
        task = bar.add_task("rows", total=None)
        return engine.streamed(
            path,
            by={name: some or () for name, some in levels.items()},
            patient=who,
            operating_points=given if len(given) else None,
            options=options,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _columns(path: Path) -> list[str]:
    """Return the columns of the first file, by what the stream itself takes for it."""
    import polars as pl

    from equipoise.metrics import streams

    return list(pl.read_parquet_schema(streams.shards(path)[0].path))


def drawings(made: "Estimated") -> dict[str, bytes]:
    """Return the pictures of an audit, file by file."""
    from equipoise import words
    from equipoise.figures.albums import audit_figures

    drawn = audit_figures(made.estimates, made.counts, texts=words.load())
    return {f"figures/{name}.svg": picture.encode() for name, picture in drawn.items()}
