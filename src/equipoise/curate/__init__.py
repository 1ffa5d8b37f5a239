"""Curate: splits by patient, frozen by a digest, and weights that balance label and group.

No image leaves here. What is too thin to say anything is listed, not dropped.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise import evidence
from equipoise.curate.balance import weights
from equipoise.curate.given import given_split
from equipoise.curate.options import Options
from equipoise.curate.tally import cell_counts, small_cells
from equipoise.errors import InvalidTable
from equipoise.mitigations import joined_groups
from equipoise.scope import Scope
from equipoise.splits import assign, patient_folds, patient_strata
from equipoise.tables import (
    COHORT,
    SPLITS,
    WEIGHTS,
    attributes,
    findings,
    labels_of,
    read,
    write,
    write_json,
)

VERSION = 1
NEEDS = ("cohort",)
WANTS: tuple[str, ...] = ()
GIVES = ("splits",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Options",
    "cell_counts",
    "frozen",
    "run",
    "small_cells",
    "splits",
    "weights",
]


def splits(cohort: pl.DataFrame, options: Options | None = None) -> pl.DataFrame:
    """Return the table *splits*: the split and the fold of each image, by patient.

    Patients are stratified by label and group, each patient by its most telling image: positive
    if any image is; the first level in alphabetical order that is known.

    Parameters
    ----------
    cohort
        The table *cohort*.
    options
        Shares, strata, folds and seed, or the column with a split of your own.

    Raises
    ------
    InvalidTable
        If a finding or attribute is not there, or your own split is no split by patient.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": ["a", "b", "c"], "patient_id": ["p", "p", "q"],
    ...                        "site": ["s"] * 3, "label:edema": [True, False, False]})
    >>> table = splits(cohort, Options(folds=2))
    >>> table["split"].to_list(), table["fold"].to_list()
    (['test', 'test', 'train'], [1, 1, 0])
    """
    chosen = options or Options()
    patients = cohort["patient_id"].to_list()
    labels = [labels_of(cohort, name).to_list() for name in _findings(cohort, chosen)]
    groups = [joined_groups(cohort, [name]) for name in _attributes(cohort, chosen)]
    strata = patient_strata(patients, labels, groups)
    if chosen.given is None:
        split = assign(patients, strata, shares=chosen.shares, seed=chosen.seed).tolist()
    else:
        split = given_split(cohort, chosen.given)
    fold = patient_folds(patients, strata, n=chosen.folds, seed=chosen.seed)
    table = cohort.select("image_id", "patient_id").with_columns(
        split=pl.Series(split, dtype=pl.String), fold=pl.Series(fold, dtype=pl.Int64)
    )
    return table.sort("image_id")


def frozen(table: pl.DataFrame) -> str:
    """Return the SHA-256 over image, split and fold, whatever the row order: the split's seal.

    Examples
    --------
    >>> table = pl.DataFrame({"image_id": ["a", "b"], "split": ["train", "test"], "fold": [0, 1]})
    >>> frozen(table) == frozen(table.reverse())
    True
    """
    rows = table.select("image_id", "split", "fold").sort("image_id")
    return evidence.digest([list(row) for row in rows.iter_rows()])


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Read the cohort, write ``splits.parquet``, ``weights.parquet`` and ``curation.json``.

    Parameters
    ----------
    options
        What is asked.
    inputs
        The folder of *cohort*.
    out
        An existing folder.
    scope
        Not needed.

    Returns
    -------
    The digest of the split, images and patients by split, and the number of small cells.
    """
    del scope
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    table = splits(cohort, options)
    names, by = _findings(cohort, options), _attributes(cohort, options)
    counts = cell_counts(table, cohort, findings=names, by=by)
    small = small_cells(counts, least=options.small_cell)
    result = {
        "splits_digest": frozen(table),
        "split_by": options.given or "equipoise",
        "images": _by_split(table, pl.len()),
        "patients": _by_split(table, pl.col("patient_id").n_unique()),
        "folds": options.folds,
        "stratify_by": list(by),
        "n_small_cells": len(small),
    }
    write(table, out / "splits.parquet", SPLITS)
    write(weights(table, cohort, findings=names, by=by), out / "weights.parquet", WEIGHTS)
    least = {"small_cell": options.small_cell, "small_cells": small}
    write_json(out / "curation.json", {**result, **least, "counts": counts.to_dicts()})
    return result


def _findings(cohort: pl.DataFrame, options: Options) -> list[str]:
    names = list(options.findings) if options.findings is not None else findings(cohort)
    for name in names:
        labels_of(cohort, name)
    if not names:
        raise InvalidTable(f"cohort: no column 'label:…'; got {cohort.columns}")
    return names


def _attributes(cohort: pl.DataFrame, options: Options) -> list[str]:
    if options.stratify_by is None:
        return [name for name in attributes(cohort) if name != options.given]
    joined_groups(cohort.clear(), options.stratify_by)
    return list(options.stratify_by)


def _by_split(table: pl.DataFrame, what: pl.Expr) -> dict[str, int]:
    rows = table.group_by("split").agg(what.alias("n")).sort("split")
    return {str(split): int(n) for split, n in rows.iter_rows()}
