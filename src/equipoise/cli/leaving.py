"""What a command leaves in the folder of ``--out``: tables as CSV and Parquet, and evidence."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl


def both(frame: "pl.DataFrame", name: str) -> dict[str, bytes]:
    """Return a table as CSV, to be looked at, and as Parquet, which keeps types and nulls.

    Examples
    --------
    >>> import polars as pl
    >>> list(both(pl.DataFrame({"sex": ["F"]}), "table"))
    ['table.parquet', 'table.csv']
    """
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return {f"{name}.parquet": buffer.getvalue(), f"{name}.csv": frame.write_csv().encode()}


def leave(
    kind: str,
    out: Path,
    files: Mapping[str, bytes],
    *,
    sources: Mapping[str, Path | None],
    told: Mapping[str, object],
    result: Mapping[str, object],
) -> None:
    """Write files, each whole or not at all, and the evidence that binds them to their sources.

    Parameters
    ----------
    kind
        The command.
    out
        The folder.
    files
        File → content.
    sources
        Name → what was read; None was not given.
    told
        All that was said, in JSON.
    result
        What came of it, in short.
    """
    from equipoise import __version__, evidence, tables
    from equipoise import audit as engine
    from equipoise.cli.showing import talk

    inputs = {f"source:{k}": tables.file_digest(v) for k, v in sources.items() if v is not None}
    for name, content in files.items():
        tables.write_bytes(out / name, content)
    said = evidence.statement(
        kind,
        subject={name: tables.file_digest(out / name) for name in files},
        inputs=inputs,
        parameters=told,
        result=result,
        code={"equipoise": __version__, "audit": str(engine.VERSION)},
    )
    evidence.write_statement(out, said)
    names = ", ".join(files)
    talk().print(f"wrote {names} and evidence.json to {out}", markup=False, soft_wrap=True)


def own_folder(out: Path | None, kind: str) -> None:
    """Refuse a folder that holds the evidence of another command, which would be lost.

    Parameters
    ----------
    out
        The folder of ``--out``, if one was said.
    kind
        The command that would write there.

    Raises
    ------
    InvalidConfiguration
        With the command whose evidence it is.

    Examples
    --------
    >>> own_folder(Path("nowhere"), "slices")
    """
    from equipoise import evidence

    if out is None or not (out / evidence.EVIDENCE_FILE).is_file():
        return
    predicate = evidence.read_statement(out).get("predicate")
    found = predicate.get("kind") if isinstance(predicate, dict) else None
    if found != kind:
        raise InvalidConfiguration(
            f"--out {out}: holds the evidence of '{found}'; expected a folder of its own for "
            f"'{kind}'"
        )
