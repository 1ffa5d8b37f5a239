"""Ingest: a DICOM folder, or a folder of PNG and JPEG with a table, become a cohort.

Every file, row and label that does not make it stands in the attrition with its reason.
"""

from collections.abc import Mapping
from pathlib import Path

from equipoise.errors import InvalidConfiguration
from equipoise.ingest import from_dicom, from_files
from equipoise.ingest.assembling import Ingested, assembled, summary
from equipoise.ingest.options import Band, Columns, Finding, Options
from equipoise.ingest.reading import read
from equipoise.scope import Scope
from equipoise.tables import ATTRITION, COHORT, IMAGE_CACHE, check, write

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Band",
    "Columns",
    "Finding",
    "Ingested",
    "Options",
    "cohort",
    "run",
    "sources",
]

VERSION = 1
NEEDS: tuple[str, ...] = ()
WANTS: tuple[str, ...] = ("dicom",)
GIVES: tuple[str, ...] = ("cohort", "images")


def cohort(
    options: Options,
    *,
    pixels: Path,
    folder: Path | None = None,
    labels: Path | None = None,
    scope: Scope | None = None,
) -> Ingested:
    r"""Read a folder of images into a cohort, its attrition and an image cache.

    Parameters
    ----------
    options
        What the files and columns mean.
    pixels
        The file ``images.npy`` that is written.
    folder, labels
        Where they are, if not where the options say.
    scope
        Workers, progress, and where relative paths start.

    Raises
    ------
    InvalidConfiguration
        If no folder is given.
    InvalidTable
        If a table breaks its contract, a column is absent or images share an id.
    InvalidImage
        If nothing could be read.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> place = Path(tempfile.mkdtemp())
    >>> Image.new("L", (4, 4), 9).save(place / "a.png")
    >>> _ = (place / "table.csv").write_text("image,sex,mass\na.png,F,1\n")
    >>> options = Options(
    ...     format="files", folder=str(place), table=str(place / "table.csv"), size=2,
    ...     columns=Columns(attributes={"sex": "sex"}, findings={"mass": "mass"}),
    ... )
    >>> found = cohort(options, pixels=place / "images.npy")
    >>> found.cohort.select("image_id", "sex", "label:mass").rows()
    [('a.png', 'F', True)]
    """
    scope = scope or Scope()
    given = sources(options, scope)
    place = folder or given.get("folder")
    if place is None:
        raise InvalidConfiguration(
            "ingest: no images: neither a stage gives DICOM files nor is 'folder' said",
            hint="say 'folder', or put a stage that gives DICOM before this one",
        )
    if options.format == "files":
        plan = from_files.plan(options, place, given["table"])
    else:
        plan = from_dicom.plan(options, place, labels or given.get("labels"))
    made = assembled(plan, read(plan, options, pixels, scope), options)
    check(made.cohort, COHORT)
    return made


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the files and folders that are read from outside the run.

    Examples
    --------
    >>> list(sources(Options(folder="scans"), Scope()))
    ['folder']
    """
    said = {"folder": options.folder, "table": options.table, "labels": options.labels}
    return {name: scope.resolve(path) for name, path in said.items() if path is not None}


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Write ``cohort.parquet``, ``attrition.parquet``, ``images.npy`` and ``images.parquet``."""
    folder, labels = None, None
    if "dicom" in inputs:
        folder = inputs["dicom"] / "dicom"
        beside = inputs["dicom"] / "labels.csv"
        labels = beside if options.labels is None and beside.is_file() else None
    made = cohort(options, pixels=out / "images.npy", folder=folder, labels=labels, scope=scope)
    said = {"patient_means": made.patient_means}
    write(made.cohort, out / "cohort.parquet", COHORT, more=said)
    write(made.attrition, out / "attrition.parquet", ATTRITION)
    write(made.images, out / "images.parquet", IMAGE_CACHE)
    return summary(made)
