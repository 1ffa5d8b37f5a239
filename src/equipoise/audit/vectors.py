"""Embeddings beside the cohort: what reading attributes and finding hidden groups start from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.metrics.reading import declared_levels, with_attributes
from equipoise.probes import Embeddings, check_embeddings
from equipoise.tables import labels_of

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The images of a cohort that have an embedding, by image id.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``.
    rows
        Their rows of the cohort, attributes as text.
    patient
        A code per patient ``(n,)``, from 0 in the order of their ids.
    label
        Of the finding ``(n,)``: 1, 0, or -1 where it was not assessed.
    finding
        Its name.
    """

    x: Embeddings
    rows: pl.DataFrame
    patient: Integers
    label: Integers
    finding: str


def embedded(
    embeddings: pl.DataFrame,
    cohort: pl.DataFrame,
    *,
    finding: str,
    attributes: Sequence[str] = (),
    patient: str = "patient_id",
) -> Embedded:
    """Return the images of the cohort that have an embedding; how many have none is logged.

    Parameters
    ----------
    embeddings
        The table *embeddings*: `image_id` and `vector`.
    cohort
        A row per image: `image_id`, the patient, the attributes, ``label:<finding>``.
    finding
        The finding whose label is taken along.
    attributes
        The columns that are made text.
    patient
        The column that says whose image it is.

    Raises
    ------
    InvalidTable
        If a column is absent, a patient is null, an embedded image is not in the cohort, no image
        of the cohort is embedded, or an embedding holds NaN.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": ["b", "a"], "patient_id": ["q", "p"],
    ...                        "label:edema": [None, True]})
    >>> vectors = pl.DataFrame({"image_id": ["a", "b"], "vector": [[0.5], [1.5]]})
    >>> found = embedded(vectors, cohort, finding="edema")
    >>> found.x.tolist(), found.label.tolist()
    ([[0.5], [1.5]], [1, -1])
    """
    _need(embeddings, ("image_id", "vector"), "embeddings")
    _need(cohort, ("image_id", patient), "cohort")
    stray = embeddings.join(cohort, on="image_id", how="anti")
    if stray.height:
        raise InvalidTable(
            f"embeddings: {stray.height} images are not in the cohort, as {stray['image_id'][0]!r}"
        )
    there = cohort.join(embeddings.select("image_id", "vector"), on="image_id").sort("image_id")
    if not there.height:
        raise InvalidTable(f"embeddings: none of the {cohort.height} images of the cohort")
    if there.height < cohort.height:
        _log.warning(
            "embeddings: %d images of the cohort have none and are in no number",
            cohort.height - there.height,
        )
    if there[patient].null_count():
        raise InvalidTable(f"cohort: column '{patient}': {there[patient].null_count()} nulls")
    label = labels_of(there, finding).cast(pl.Int64).fill_null(-1).to_numpy()
    x = _matrix(there["vector"])
    check_embeddings(x)
    _, code = np.unique(there[patient].cast(pl.String).to_numpy(), return_inverse=True)
    rows = with_attributes(there.drop("vector"), list(attributes))
    return Embedded(x, rows, code.astype(np.int64), label, finding)


def levels_declared(
    rows: pl.DataFrame, by: Mapping[str, Sequence[str] | None] | Sequence[str]
) -> tuple[dict[str, list[str]], bool]:
    """Return the levels of each attribute, and whether any were taken from the data.

    Raises
    ------
    InvalidTable
        If a level occurs that is not declared.

    Examples
    --------
    >>> levels_declared(pl.DataFrame({"sex": ["F", "X"]}), {"sex": ["F", "M"]})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: cohort: 1 images of an undeclared level, as sex='X'
    """
    levels, exploratory = declared_levels(rows, by)
    for name, known in levels.items():
        stray = rows[name].filter(~rows[name].is_in(known))
        if stray.len():
            raise InvalidTable(
                f"cohort: {stray.len()} images of an undeclared level, as {name}={stray[0]!r}",
                hint=f"declare it: {name}={','.join([*known, str(stray[0])])}",
            )
    return levels, exploratory


def one_per_patient(eligible: Flags, patient: Integers, priority: Integers) -> Integers:
    """Return one row of each patient who has an eligible one: that of the lowest priority.

    Tests that take rows as independent may be given these, and no more. The priority is a random
    order of all rows, so that which image stands for a patient has nothing to do with what it
    shows.

    Examples
    --------
    >>> one_per_patient(np.ones(4, bool), np.array([0, 0, 0, 1]), np.array([3, 0, 1, 2])).tolist()
    [1, 3]
    """
    rows = np.flatnonzero(eligible)
    rows = rows[np.argsort(priority[rows])]
    _, first = np.unique(patient[rows], return_index=True)
    return np.sort(rows[first]).astype(np.int64)


def _matrix(vectors: pl.Series) -> Embeddings:
    if isinstance(vectors.dtype, pl.List):
        lengths = vectors.list.len().unique().to_list()
        if len(lengths) != 1:
            raise InvalidTable(f"embeddings: vectors of lengths {sorted(lengths)}; expected one")
        vectors = vectors.list.to_array(lengths[0])
    x = vectors.rechunk().to_numpy()
    if x.dtype == np.float64:
        return np.asarray(x, np.float64)
    return np.asarray(x, np.float32)


def _need(table: pl.DataFrame, names: Sequence[str], what: str) -> None:
    for name in names:
        if name not in table.columns:
            raise InvalidTable(
                f"{what}: no column '{name}'; got {table.columns}",
                hint=nearest(name, table.columns),
            )
