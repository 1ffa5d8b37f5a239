"""The stage: cohort and predictions from disk, counts and estimates to disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from equipoise import metrics, tables
from equipoise.audit.auditing import estimated
from equipoise.audit.locking import check_locked
from equipoise.audit.mixing import columns_of
from equipoise.audit.options import Options
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable, nearest
from equipoise.metrics import UNKNOWN, Estimated
from equipoise.metrics.reading import declared_levels, of_split, with_attributes
from equipoise.scope import Scope

_SCORE = "score:"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose predictions are audited.

    Parameters
    ----------
    candidate
        Its name.
    file
        The prediction file, relative to the folder of the predictions.
    evaluation
        *split*, *cross-fit*, or *bundle*: a released model, on images of another place.
    bundle
        Digest and override of that model, to be carried on; empty for others.
    """

    candidate: str
    file: str
    evaluation: str
    bundle: Mapping[str, object] = field(default_factory=dict)

    @property
    def cross_fitted(self) -> bool:
        """Whether each image was scored by a model that had not seen its patient."""
        return self.evaluation == "cross-fit"

    @property
    def released(self) -> bool:
        """Whether it is a bundle's: fitted and chosen elsewhere, so that no image was seen."""
        return self.evaluation == "bundle"

    @property
    def split(self) -> str:
        """Which images are audited if nothing is said."""
        return "all" if self.cross_fitted or self.released else "test"


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Audit the selected candidate of a run.

    Parameters
    ----------
    options
        What is audited.
    inputs
        Folders of *cohort* and *predictions*, and of *splits* if there are any.
    out
        Gets the tables *subgroups*, *counts* and *estimates*, the last as CSV too, and
        ``audit.json``.
    scope
        Told how far it is.

    Raises
    ------
    InvalidConfiguration
        If no attribute is named, or there is no such candidate.
    InvalidTable
        If a table breaks its contract.
    """
    if not options.attributes:
        raise InvalidConfiguration(
            "audit: no attribute is named", hint="as in attributes: {sex: [F, M, unknown]}"
        )
    scope.progress("tables", 0, 3)
    chosen = _chosen(options, inputs["predictions"])
    cohort = tables.read(inputs["cohort"] / "cohort.parquet", tables.COHORT)
    scores = tables.read(inputs["predictions"] / chosen.file, tables.PREDICTIONS)
    frame = _frame(options, inputs, chosen, cohort, scores)
    points = _points(inputs["predictions"], chosen)
    if points is not None and not chosen.released:
        check_locked(points, scores, cohort)
    scope.progress("tables", 1, 3)
    frame = with_attributes(frame, options.attributes)
    levels, found_levels = declared_levels(frame, options.attributes)
    # A model fares better on images that it was fitted or chosen on: nothing there may pass.
    exploratory = found_levels or not (chosen.split == "all" or options.split in {None, "test"})
    table = metrics.subgroups(
        levels, order=options.intersections, exploratory=exploratory, sets=options.sets
    )
    found = estimated(
        frame,
        table,
        options=options,
        patient="patient_id",
        points=points,
        candidate=chosen.candidate,
    )
    scope.progress("tables", 2, 3)
    said = _said(options, chosen, frame, table, found)
    _write(out, table, found, said)
    scope.progress("tables", 3, 3)
    return {
        name: said[name]
        for name in ("candidate", "n_images", "n_patients", "exploratory", "not_assessable")
    }


def _chosen(options: Options, folder: Path) -> Chosen:
    selected = tables.read_json(folder / "selection.json")
    for name in ("candidate", "seed", "file", "evaluation"):
        if name not in selected:
            raise InvalidInput(f"{folder / 'selection.json'}: no '{name}'; got {sorted(selected)}")
    file, evaluation = str(selected["file"]), str(selected["evaluation"])
    name = str(selected["candidate"])
    if options.candidate is not None and options.candidate != name:
        name, file = (
            options.candidate,
            f"predictions/{options.candidate}-{selected['seed']}.parquet",
        )
    if not (folder / file).is_file():
        known = sorted(path.stem for path in (folder / "predictions").glob("*.parquet"))
        raise InvalidConfiguration(
            f"audit: no predictions of the candidate '{name}' ({file}); there are "
            f"{', '.join(known) or 'none'}",
            hint=nearest(name, known),
        )
    # An override under which a model was released is shown wherever it is judged.
    carried: dict[str, object] = {
        name: selected[name] for name in ("bundle", "override") if name in selected
    }
    return Chosen(name, file, evaluation, carried if evaluation == "bundle" else {})


def _frame(
    options: Options,
    inputs: Mapping[str, Path],
    chosen: Chosen,
    cohort: pl.DataFrame,
    scores: pl.DataFrame,
) -> pl.DataFrame:
    """Return labels, attributes and scores of the images that are audited."""
    stray = scores.join(cohort, on="image_id", how="anti")
    if stray.height:
        raise InvalidTable(
            f"predictions: {stray.height} images are not in the cohort, as {stray['image_id'][0]!r}"
        )
    wanted = [name.removeprefix(_SCORE) for name in scores.columns if name.startswith(_SCORE)]
    for finding in wanted:
        tables.labels_of(cohort, finding)
    _check_attributes(options, cohort)
    strata = [name for name in columns_of(options.standardise) if name not in options.attributes]
    columns = ["image_id", "patient_id", *options.attributes, *strata]
    labels = cohort.select(*columns, *[f"label:{finding}" for finding in wanted])
    split = options.split or chosen.split
    # The splits of the study are those of the place where the bundle was made.
    if "splits" in inputs and not chosen.released:
        splits = tables.read(inputs["splits"] / "splits.parquet", tables.SPLITS)
        places = splits.select("image_id", "split")
        everyone = labels.join(places, on="image_id", how="inner").join(
            scores.drop("split", strict=False), on="image_id", how="left"
        )
        return of_split(everyone, split, "patient_id").sort("image_id")
    joined = scores.join(labels, on="image_id", how="left")
    return of_split(joined, split, "patient_id").sort("image_id")


def _check_attributes(options: Options, cohort: pl.DataFrame) -> None:
    for name in (*options.attributes, *columns_of(options.standardise)):
        if name not in cohort.columns:
            known = tables.attributes(cohort)
            raise InvalidTable(
                f"cohort: no attribute '{name}'; known attributes: {', '.join(known) or 'none'}",
                hint=nearest(name, known),
            )


def _points(folder: Path, chosen: Chosen) -> pl.DataFrame | None:
    path = folder / "operating_points.parquet"
    if not path.is_file():
        return None
    points = tables.read(path, tables.OPERATING_POINTS)
    for name in (Path(chosen.file).stem, chosen.candidate):
        mine = points.filter(pl.col("candidate") == name)
        if mine.height:
            return mine
    return None


def _said(
    options: Options, chosen: Chosen, frame: pl.DataFrame, table: pl.DataFrame, found: Estimated
) -> dict[str, object]:
    rows = found.estimates.filter(pl.col("level") == 0.95, interval="pointwise")
    return {
        "candidate": chosen.candidate,
        "file": chosen.file,
        "cross_fitted": chosen.cross_fitted,
        "split": options.split or chosen.split,
        "n_images": frame.height,
        "n_patients": frame["patient_id"].n_unique(),
        "patient_is": options.patient_is,
        "levels": metrics.levels_of(table),
        "references": dict(options.references),
        "exploratory": bool(table["exploratory"].any()),
        "unknown_share": {
            name: _share(frame[name] == UNKNOWN, frame["patient_id"]) for name in options.attributes
        },
        "minimum": options.minimum.model_dump(),
        "images_without_a_score": dict(found.unscored),
        "simultaneous": {
            "level": 0.95,
            "groups": {"family": found.family_groups, "critical_value": found.critical_groups},
            "contrasts": {
                "family": found.family_contrasts,
                "critical_value": found.critical_contrasts,
            },
        },
        "assessed": int((rows["status"] == "assessed").sum()),
        "not_assessable": int((rows["status"] == "not assessable").sum()),
        **chosen.bundle,
    }


def _share(unknown: pl.Series, patient: pl.Series) -> float | None:
    """Return the share of patients of whom an image lacks the attribute; None without any."""
    total = patient.n_unique()
    return patient.filter(unknown).n_unique() / total if total else None


def _write(out: Path, table: pl.DataFrame, found: Estimated, said: Mapping[str, object]) -> None:
    tables.write(table, out / "subgroups.parquet", tables.SUBGROUPS)
    tables.write(found.counts, out / "counts.parquet", tables.COUNTS)
    tables.write(found.estimates, out / "estimates.parquet", tables.ESTIMATES)
    tables.write_text(out / "estimates.csv", found.estimates.write_csv())
    tables.write_json(out / "audit.json", said)
