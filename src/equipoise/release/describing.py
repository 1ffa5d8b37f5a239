"""The parts of a bundle that are read off the cohort: contract, audit plan, reference."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles, tables
from equipoise.errors import InvalidInput, InvalidTable
from equipoise.metrics import Minimum
from equipoise.release.gathering import Material
from equipoise.release.options import Options
from equipoise.tables.nouns import ACQUISITION

NOT_SAID = "not said"
_WORDS = {"modality": "modalities", "view": "views", "photometric": "photometric"}
_NOT_MIXED = ("device_id",)
"""A serial number tells the very device, and with it perhaps the hospital."""

_ENOUGH_PAIRS = 20


def of_split(material: Material, *names: str) -> pl.DataFrame:
    """Return the cohort's rows of some splits, each with its vector.

    Raises
    ------
    InvalidTable
        If none are left.
    """
    places = material.splits.filter(pl.col("split").is_in(names)).select("image_id")
    rows = places.join(material.cohort, on="image_id", how="inner").join(
        material.embeddings, on="image_id", how="inner"
    )
    if not rows.height:
        raise InvalidTable(f"release: the split has no images of {' or '.join(names)}")
    return rows.sort("image_id")


def contract(
    material: Material, reference: bundles.Reference, options: Options
) -> bundles.InputContract:
    """Return what images the model takes: what those it was made from were like."""
    seen = of_split(material, "train", "validation")
    height, width, channels = _size(material)
    fit = material.parameter("cohort", "fit") or "stretch"
    words = {field: _levels(seen, name) for name, field in _WORDS.items()}
    said = {
        **words,
        "may_lack": [
            name for name in _WORDS if name in seen.columns and seen[name].null_count() > 0
        ],
        "rows": _span(seen, "rows", options.size_margin),
        "columns": _span(seen, "columns", options.size_margin),
        "height": height,
        "width": width,
        "channels": channels,
        "fit": fit,
        "distance_limit": _limit(reference, options.distance_quantile),
    }
    return bundles.InputContract.model_validate(said)


def _size(material: Material) -> tuple[int, int, int]:
    if "images" in material.folders:
        return tables.ImageCache.open(material.folders["images"]).size
    size, channels = (material.parameter("cohort", name) for name in ("size", "channels"))
    both = [size, size] if isinstance(size, int) else size
    if not isinstance(both, list) or len(both) != 2 or not isinstance(channels, int):
        raise InvalidInput("release: the evidence of the cohort does not say its image size")
    return int(both[0]), int(both[1]), channels


def _levels(seen: pl.DataFrame, name: str) -> list[str] | None:
    if name not in seen.columns:
        return None
    found = seen[name].drop_nulls().unique().sort().to_list()
    return [str(level) for level in found] or None


def _span(seen: pl.DataFrame, name: str, margin: float) -> list[int] | None:
    if name not in seen.columns or seen[name].null_count() == seen.height:
        return None
    numbers = seen[name].drop_nulls().cast(pl.Float64).to_numpy()
    return [int(numbers.min() / margin), int(np.ceil(numbers.max() * margin))]


def _limit(reference: bundles.Reference, quantile: float) -> float | None:
    """Return the distance at a quantile, between those that the reference states."""
    if not reference.distances:
        return None
    known = sorted(reference.distances.items())
    return float(np.interp(quantile, [q for q, _ in known], [value for _, value in known]))


def audit_plan(material: Material) -> bundles.AuditPlan:
    """Return how the model was audited, all levels declared, for the audit of any other place."""
    told = {
        name: material.parameter("estimates", name)
        for name in ("references", "intersections", "metrics", "seed")
    }
    bands = material.parameter("cohort", "bands")
    levels = material.audit["levels"]
    attributes = levels if isinstance(levels, dict) else {}
    mine = {k: v for k, v in bands.items() if k in attributes} if isinstance(bands, dict) else {}
    cut = {name: _band(band) for name, band in mine.items()}
    return bundles.AuditPlan.model_validate(
        {
            **{name: value for name, value in told.items() if value is not None},
            "attributes": attributes,
            "minimum": Minimum.model_validate(material.audit["minimum"]),
            "bands": cut,
        }
    )


def _band(band: Mapping[str, object]) -> dict[str, object]:
    return {"from": band.get("source", band.get("from")), "edges": band["edges"]}


def reference(material: Material, findings: Sequence[str]) -> bundles.Reference:
    """Return what the training images looked like; distances are those of validation images.

    The test split shapes nothing that is later used to refuse an image. Its counts and estimates
    travel as what was measured.
    """
    train, held = of_split(material, "train"), of_split(material, "validation")
    both = pl.concat([train, held])
    folder = material.folders["estimates"]
    return bundles.described(
        _vectors(train),
        _vectors(held),
        mix=_mix(both, _attributes(material)),
        n_patients=both["patient_id"].n_unique(),
        within_patient={finding: _agreement(material, finding) for finding in findings},
        counts=tables.read(folder / "counts.parquet", tables.COUNTS),
        estimates=tables.read(folder / "estimates.parquet", tables.ESTIMATES),
    )


def _vectors(rows: pl.DataFrame) -> npt.NDArray[np.float32]:
    return rows["vector"].rechunk().to_numpy()


def _attributes(material: Material) -> list[str]:
    levels = material.audit["levels"]
    return list(levels) if isinstance(levels, dict) else []


def _mix(rows: pl.DataFrame, attributes: Sequence[str]) -> dict[str, dict[str, int]]:
    words = [name for name, column in ACQUISITION.items() if column.kind == "text"]
    names = [n for n in words if n in rows.columns and n not in _NOT_MIXED]
    found = {}
    for name in [*names, *(n for n in attributes if n in rows.columns)]:
        counted = rows[name].fill_null(NOT_SAID).value_counts().sort(name)
        if counted[name].to_list() != [NOT_SAID]:
            found[name] = {str(level): int(n) for level, n in counted.iter_rows()}
    return found


def _agreement(material: Material, finding: str) -> float | None:
    """Return the correlation of normal scores of two test images of a patient with one label.

    Over all pairs, each patient weighed by its number of pairs, as the pairwise intraclass
    correlation of Karlin, Cameron & Williams 1981 (PNAS 78:2664).
    """
    from scipy.special import ndtri

    people = material.cohort.select("image_id", "patient_id", label=f"label:{finding}")
    test = material.splits.filter(split="test").select("image_id")
    rows = (
        material.scores.select("image_id", score=f"score:{finding}")
        .join(test, on="image_id", how="inner")
        .join(people, on="image_id", how="inner")
        .drop_nulls()
        .sort("image_id")
    )
    first: list[float] = []
    second: list[float] = []
    for label in (False, True):
        mine = rows.filter(label=label)
        rank = mine["score"].rank("average").to_numpy()
        normal = ndtri((rank - 0.5) / max(mine.height, 1))
        for _, part in mine.with_columns(z=pl.Series(normal, dtype=pl.Float64)).group_by(
            "patient_id", maintain_order=True
        ):
            for one, other in combinations(part["z"].to_list(), 2):
                first += [one, other]
                second += [other, one]
    if len(first) < 2 * _ENOUGH_PAIRS or np.std(first) == 0.0:
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], 0.0, 1.0))
