"""The facts of a cohort, put together from counts, leakage and the shortcut battery."""

import hashlib
from collections.abc import Mapping

import polars as pl

from equipoise.document.leakage import duplicates, leakage
from equipoise.document.options import Options
from equipoise.document.origins import content_bearing, content_free, encoder
from equipoise.document.probing import Probed, probed, task
from equipoise.document.representation import (
    counts,
    intersections,
    missing,
    prevalences,
    with_groupings,
)
from equipoise.document.shortcuts import WARNING, battery
from equipoise.errors import InvalidTable, nearest
from equipoise.scope import Scope
from equipoise.tables import COHORT, ImageCache, attributes, check, findings, labels_of

_PLACES = ("site", "device", "view")


def facts(
    cohort: pl.DataFrame,
    images: ImageCache,
    *,
    options: Options | None = None,
    embeddings: pl.DataFrame | None = None,
    splits: pl.DataFrame | None = None,
    scope: Scope | None = None,
) -> dict[str, object]:
    """Return the facts of a cohort, as they are written to ``facts.json``.

    Parameters
    ----------
    cohort
        The table *cohort*.
    images
        Its image cache.
    options
        What is counted, and when the battery warns.
    embeddings
        The table *embeddings*, to compare low-resolution probes with.
    splits
        The table *splits*, to look for leakage in it too.
    scope
        Progress.

    Raises
    ------
    InvalidTable
        If the cohort breaks its contract, or has no attribute, finding or column asked for.

    Examples
    --------
    >>> import numpy as np
    >>> rows = {"image_id": ["a"], "patient_id": ["n/p"], "site": ["n"], "sex": ["F"]}
    >>> index = pl.DataFrame({"image_id": ["a"], "row": [0], "pixel_digest": ["x"]})
    >>> cache = ImageCache(index, np.zeros((1, 32, 32), np.uint8))
    >>> facts(pl.DataFrame(rows), cache)["representation"]["by_attribute"]
    [{'attribute': 'sex', 'level': 'F', 'images': 1, 'patients': 1, 'share_of_images': 1.0}]
    """
    options, scope = options or Options(), scope or Scope()
    check(cohort, COHORT)
    named = _attributes(cohort, options)
    told = options.findings if options.findings is not None else findings(cohort)
    for finding in told:
        labels_of(cohort, finding)
    seen = with_groupings(cohort)
    leaks, same = _leakage(cohort, splits, options), duplicates(cohort, images.index)
    shortcuts = _shortcuts(seen, images, embeddings, told, options, scope)
    return {
        "images": cohort.height,
        "patients": cohort["patient_id"].n_unique(),
        "attributes": named,
        "findings": list(told),
        "representation": _representation(seen, named, told),
        "missingness": missing(cohort, named, told),
        "leakage": leaks,
        "duplicates": same,
        "shortcuts": shortcuts,
        "warnings": warnings(shortcuts, leaks, same),
    }


def _representation(
    cohort: pl.DataFrame, named: list[str], told: list[str]
) -> dict[str, list[dict[str, object]]]:
    return {
        "by_attribute": counts(cohort, named),
        "by_place": counts(cohort, _PLACES),
        "by_intersection": intersections(cohort, named),
        "labels": prevalences(cohort, told, [*named, *_PLACES]),
    }


def _attributes(cohort: pl.DataFrame, options: Options) -> list[str]:
    """Return the attributes to count by, without the column that holds splits."""
    known = [name for name in attributes(cohort) if name != options.given_splits]
    for name in options.attributes or []:
        if name not in known:
            raise InvalidTable(
                f"cohort: no attribute '{name}'; known: {', '.join(known) or 'none'}",
                hint=nearest(name, known),
            )
    return known if options.attributes is None else list(options.attributes)


def _leakage(
    cohort: pl.DataFrame, splits: pl.DataFrame | None, options: Options
) -> dict[str, object]:
    return {
        "given": None if options.given_splits is None else leakage(cohort, options.given_splits),
        "curated": None if splits is None else leakage(splits, "split"),
    }


def _shortcuts(
    cohort: pl.DataFrame,
    images: ImageCache,
    embeddings: pl.DataFrame | None,
    told: list[str],
    options: Options,
    scope: Scope,
) -> list[dict[str, object]]:
    if not told:
        return []
    part = _drawn(cohort, options)
    sources = [*content_free(part), *content_bearing(images, part), encoder(embeddings, part)]
    found: list[Probed] = []
    total = len(told) * len(sources)
    for finding in told:
        asked = task(part, finding, options)
        for source in sources:
            found.append(probed(source, asked, options))
            scope.progress("probes", len(found), total)
    return battery(found, options)


def _drawn(cohort: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Return the images that probes use: all, or those of patients drawn by a hash."""
    if cohort.height <= options.most_images:
        return cohort
    sizes = cohort.group_by("patient_id").len().sort("patient_id")
    hashes = [
        hashlib.sha256(f"probes:{options.seed}:{patient}".encode()).hexdigest()
        for patient in sizes["patient_id"]
    ]
    order = sizes.with_columns(pl.Series("hash", hashes)).sort("hash")
    chosen = order.filter(pl.col("len").cum_sum() <= options.most_images)
    return cohort.join(chosen.select("patient_id"), on="patient_id", how="semi")


def warnings(
    shortcuts: list[dict[str, object]], leaks: Mapping[str, object], same: Mapping[str, object]
) -> list[str]:
    """Return what a reader must not miss, each as a sentence.

    Examples
    --------
    >>> warnings([], {"given": None}, {"across_patients": 0})
    []
    """
    said = [str(row["sentence"]) for row in shortcuts if row["verdict"] == WARNING]
    for leak in leaks.values():
        if isinstance(leak, Mapping) and leak["patients_in_several"]:
            said.append(str(leak["sentence"]))
    if same["across_patients"]:
        said.append(str(same["sentence"]))
    return said
