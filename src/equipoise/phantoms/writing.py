"""The stage: scenes drawn, files written, truth told."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from equipoise.errors import StorageFailure
from equipoise.phantoms.cohorts import labels_text, truth
from equipoise.phantoms.draws import Scene, listed, scenes
from equipoise.phantoms.files import save
from equipoise.phantoms.lateness import late_labels, late_text
from equipoise.phantoms.options import Options
from equipoise.phantoms.pictures import spread
from equipoise.phantoms.population import independent, judged
from equipoise.scope import Scope
from equipoise.tables import make_folder, write_json, write_text


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Write a bench: ``dicom/<site>/*.dcm``, ``labels.csv`` and ``truth.json``.

    If labels are to come late, ``labels_late.csv`` says when each did.

    The same options give the same bytes, whatever the number of workers.

    Parameters
    ----------
    options
        The bench.
    inputs
        Nothing is needed.
    out
        An existing folder.
    scope
        Workers and progress.

    Returns
    -------
    Numbers of patients, of images, and of images by site.

    Raises
    ------
    StorageFailure
        If the disk is full or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> small = Options(patients=2, truth_patients=2, size=32)
    >>> run(small, {}, Path(tempfile.mkdtemp()), Scope())["patients"]
    2
    """
    del inputs
    table = scenes(options)
    folder = out / "dicom"
    for site in options.sites:
        make_folder(folder / site.name)
    others = independent(options)
    work = [*listed(table), *listed(others)]
    found: list[float] = []
    done = 0
    # One crew for both: starting processes costs as much as some hundred images.
    for n, scores in spread(partial(_made, options, folder), work, workers=scope.workers):
        done, found = done + n, found + scores
        scope.progress("images", done, len(work))
    write_text(out / "labels.csv", labels_text(table))
    if options.labels_late is not None:
        made = late_labels(table, options, options.labels_late)
        write_text(out / "labels_late.csv", late_text(made))
    observed = others.with_columns(pl.Series("score", found, dtype=pl.Float64))
    write_json(out / "truth.json", truth(table, observed, options))
    by_site = table.group_by("site").len().sort("site")
    return {
        "patients": table["patient"].n_unique(),
        "images": table.height,
        "images_by_site": dict(by_site.iter_rows()),
        "biases": [bias.kind for bias in options.biases],
    }


def _made(options: Options, folder: Path, part: Sequence[Scene]) -> tuple[int, list[float]]:
    """Save the scenes of the bench, score those of the population."""
    try:
        for scene in part:
            if scene.stream == "bench":
                save(scene, options, folder)
    except OSError as error:
        raise StorageFailure(
            f"{folder}: cannot be written ({error.strerror or error})",
            hint="free some space or choose another folder, then run again",
        ) from error
    return len(part), judged(options, [scene for scene in part if scene.stream != "bench"])
