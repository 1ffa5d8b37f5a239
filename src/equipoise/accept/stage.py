"""The stage: power, then shift, then the scores that the audit reads."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles, evidence, tables
from equipoise.accept import checking, shift
from equipoise.accept.options import Options
from equipoise.accept.power import power
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.scope import Scope

FILE = "predictions/bundle.parquet"


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the bundle, if it is not given by a stage.

    Examples
    --------
    >>> sources(Options(bundle="model.zip"), Scope())["bundle"].name
    'model.zip'
    """
    return {} if options.bundle is None else {"bundle": scope.resolve(options.bundle)}


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Write ``power.json`` before any score is made, ``shift.json``, and the predictions.

    Parameters
    ----------
    options
        The bundle, and how it is tested.
    inputs
        Folders of *cohort* and *embeddings*; of *images* and *bundle* if there are any.
    out
        An existing folder.
    scope
        Where relative paths start, and where a zip is unpacked.

    Raises
    ------
    Refused
        If the bundle may not be used, or was made from this very cohort.
    InvalidInput
        If cohort, images or embeddings are not what the bundle needs.
    """
    bundle = bundles.opened(_place(options, inputs, scope), scope)
    bundles.check_usable(bundle, on=options.today)
    cohort, vectors = _local(bundle, inputs)
    stated = power(bundle, cohort, options, progress=scope.progress)
    tables.write_json(out / "power.json", stated)
    scores = bundles.scores(bundle, vectors)
    moved = {
        "version": 1,
        "bundle": bundle.digest,
        "method": "distances beside a parametric bootstrap in which a patient's images are one "
        "draw; shares with Wilson's interval, clustered by patient",
        "mixes": shift.mixes(bundle, cohort, draws=options.shift_draws, seed=options.seed),
        "input_gate": shift.refused(bundle, cohort),
        "distances": shift.far_off(bundle, cohort, vectors),
        "scores": shift.scores_moved(
            bundle, cohort, scores, draws=options.shift_draws, seed=options.seed
        ),
        "reason": None if bundle.reference else "not available: the bundle describes no reference",
    }
    tables.write_json(out / "shift.json", moved)
    _write_predictions(bundle, cohort, scores, out)
    said = _said(bundle, cohort)
    tables.write_json(out / "acceptance.json", said)
    return said


def _place(options: Options, inputs: Mapping[str, Path], scope: Scope) -> Path:
    if options.bundle is not None:
        return scope.resolve(options.bundle)
    if "bundle" not in inputs:
        raise InvalidConfiguration(
            "accept: no bundle: neither a stage gives one nor is 'bundle' said",
            hint="say 'bundle', its folder or zip",
        )
    folder = inputs["bundle"]
    return folder / "bundle" if (folder / "bundle").is_dir() else folder


def _local(
    bundle: bundles.Bundle, inputs: Mapping[str, Path]
) -> tuple[pl.DataFrame, npt.NDArray[np.float32]]:
    """Return the local cohort and its embeddings, in one order, once they are what is needed."""
    cohort = ready(bundle, inputs["cohort"], inputs.get("images"))
    checking.check_embeddings(bundle, inputs["embeddings"])
    embeddings = tables.read(inputs["embeddings"] / "embeddings.parquet", tables.EMBEDDINGS)
    missing = cohort.join(embeddings, on="image_id", how="anti")
    if missing.height:
        raise InvalidTable(
            f"embeddings: {missing.height} of {cohort.height} images of the cohort are missing, "
            f"as '{missing['image_id'][0]}'"
        )
    both = cohort.join(embeddings, on="image_id", how="inner").sort("image_id")
    return both.drop("vector"), both["vector"].rechunk().to_numpy()


def ready(bundle: bundles.Bundle, folder: Path, images: Path | None) -> pl.DataFrame:
    """Return the local cohort, once all is seen to be as the bundle needs it but its embeddings.

    Whoever embeds first asks this before: with a large encoder that takes hours.

    Parameters
    ----------
    bundle
        The bundle.
    folder, images
        Of the stages that gave the cohort and its images, if these are there.

    Raises
    ------
    Refused
        If the bundle was made from this very cohort.
    InvalidInput
        If a finding, an attribute, a level or the size of the images is not what it must be.

    Examples
    --------
    >>> ready(None, Path("nowhere"), None)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: cohort: no file nowhere/cohort.parquet
    """
    path = folder / "cohort.parquet"
    cohort = tables.read(path, tables.COHORT)
    checking.check_elsewhere(bundle, path)
    checking.check_cohort(bundle, cohort)
    if images is not None:
        checking.check_images(bundle, images, _fit(images))
    return cohort


def _fit(folder: Path) -> object:
    """Return how the images were brought to their size, if their stage says."""
    if not (folder / evidence.EVIDENCE_FILE).is_file():
        return None
    predicate = evidence.read_statement(folder)["predicate"]
    parameters = predicate.get("parameters") if isinstance(predicate, dict) else None
    return parameters.get("fit") if isinstance(parameters, dict) else None


def _write_predictions(
    bundle: bundles.Bundle,
    cohort: pl.DataFrame,
    scores: Mapping[str, npt.NDArray[np.float32]],
    out: Path,
) -> None:
    columns = [pl.Series(f"score:{name}", found) for name, found in scores.items()]
    frame = cohort.select("image_id").with_columns(columns)
    tables.write(frame, out / FILE, tables.PREDICTIONS)
    tables.write(bundle.operating_points, out / "operating_points.parquet", tables.OPERATING_POINTS)
    override = bundle.override
    chosen = {
        "candidate": bundle.candidate,
        "seed": 0,
        "file": FILE,
        "evaluation": "bundle",
        "evaluation_reason": f"the released model '{bundle.name}' as it is, on local images",
        "evidence_about": "one released model, at another place than it was made",
        "cross_fitted": False,
        "rule": "released",
        "reason": "it is what the bundle holds",
        "bundle": bundle.digest,
        "override": None if override is None else override.model_dump(mode="json"),
    }
    tables.write_json(out / "selection.json", chosen)


def _said(bundle: bundles.Bundle, cohort: pl.DataFrame) -> dict[str, object]:
    override = bundle.override
    return {
        "bundle": bundle.digest,
        "name": bundle.name,
        "findings": list(bundle.findings),
        "candidate": bundle.candidate,
        "intended_use": bundle.manifest.intended_use,
        "released_with": {"verdict": bundle.manifest.verdict, "reason": bundle.manifest.reason},
        "override": None if override is None else override.model_dump(mode="json"),
        "reference": bundle.reference is not None,
        "n_images": cohort.height,
        "n_patients": cohort["patient_id"].n_unique(),
        "not_assessed": dict(checking.findings_present(bundle, cohort)),
    }
