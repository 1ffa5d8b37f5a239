"""Cohort, splits and embeddings brought together: one row per image, in the order of its id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations import joined_groups
from equipoise.splits import patient_strata
from equipoise.tables import findings as all_findings
from equipoise.tables import labels_of


@dataclass(frozen=True, slots=True)
class Rows:
    """The images to adapt to.

    Parameters
    ----------
    image_ids, patient_ids
        Of each image.
    x
        Embeddings ``(n, d)``.
    labels
        Finding → Boolean ``(n,)``, null = not assessed.
    groups
        Group of each image, ``"unknown"`` where it is not known.
    strata
        Stratum of each image, the same for all of a patient.
    patients
        Code of the patient of each image.
    split, fold
        Of each image.
    """

    image_ids: list[str]
    patient_ids: list[str]
    x: probes.Embeddings
    labels: Mapping[str, pl.Series]
    groups: npt.NDArray[np.str_]
    strata: list[str]
    patients: npt.NDArray[np.int64]
    split: npt.NDArray[np.str_]
    fold: npt.NDArray[np.int64]

    def assessed(self, finding: str, among: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which of the images in `among` have a label."""
        found: npt.NDArray[np.bool_] = among & self.labels[finding].is_not_null().to_numpy()
        return found

    def truth(self, finding: str) -> npt.NDArray[np.bool_]:
        """Return the labels with False where there is none: use with `assessed`."""
        return self.labels[finding].fill_null(value=False).to_numpy().astype(bool)


def rows(
    cohort: pl.DataFrame,
    splits: pl.DataFrame,
    embeddings: pl.DataFrame,
    *,
    findings: Sequence[str] | None,
    group_by: Sequence[str],
) -> Rows:
    """Return the images of a split with their labels, groups and embeddings.

    Raises
    ------
    InvalidTable
        If an image of the split is not in the cohort or has no embedding, a patient is on two
        sides, an embedding is NaN, or a finding or attribute is not there.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": ["a"], "patient_id": ["p"], "label:edema": [True]})
    >>> splits = pl.DataFrame({"image_id": ["a"], "split": ["train"], "fold": [0]})
    >>> nothing = pl.DataFrame({"image_id": ["b"], "vector": [[0.0]]})
    >>> rows(cohort, splits, nothing, findings=None, group_by=[])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: embeddings: 1 of 1 images of the split are missing, as 'a'
    """
    names = list(findings) if findings is not None else all_findings(cohort)
    if not names:
        raise InvalidTable(f"cohort: no column 'label:…'; got {cohort.columns}")
    table = splits.select("image_id", "split", "fold").sort("image_id")
    image_ids = table["image_id"].to_list()
    _check_present(image_ids, cohort, "cohort")
    _check_present(image_ids, embeddings, "embeddings")
    _check_patients(table, cohort)
    people = table.join(cohort, on="image_id", how="left", maintain_order="left")
    vectors = table.select("image_id").join(
        embeddings, on="image_id", how="left", maintain_order="left"
    )["vector"]
    x = vectors.rechunk().to_numpy()
    _check_numbers(x, image_ids)
    groups = joined_groups(people, group_by)
    labels = {name: labels_of(people, name) for name in names}
    patient_ids = people["patient_id"].to_list()
    strata = patient_strata(patient_ids, [labels[name].to_list() for name in names], [groups])
    return Rows(
        image_ids=image_ids,
        patient_ids=patient_ids,
        x=x,
        labels=labels,
        groups=np.array(groups, dtype=np.str_),
        strata=strata,
        patients=np.unique(patient_ids, return_inverse=True)[1].astype(np.int64),
        split=np.array(table["split"].to_list(), dtype=np.str_),
        fold=table["fold"].to_numpy().astype(np.int64),
    )


def _check_present(image_ids: Sequence[str], table: pl.DataFrame, name: str) -> None:
    there = set(table["image_id"])
    missing = [image for image in image_ids if image not in there]
    if missing:
        raise InvalidTable(
            f"{name}: {len(missing)} of {len(image_ids)} images of the split are missing, "
            f"as '{missing[0]}'"
        )


def _check_numbers(x: probes.Embeddings, image_ids: Sequence[str]) -> None:
    """Refuse embeddings that are no numbers, by the image: rows stand in an order of their own."""
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise InvalidTable(
            f"embeddings: {bad.sum()} of {len(x)} images of the split hold NaN or infinity, as "
            f"'{image_ids[int(bad.argmax())]}'"
        )


def _check_patients(table: pl.DataFrame, cohort: pl.DataFrame) -> None:
    """Refuse splits in which a probe would be scored on patients that it was fitted on."""
    people = table.join(cohort.select("image_id", "patient_id"), on="image_id", how="left")
    for column in ("split", "fold"):
        sides = people.group_by("patient_id").agg(pl.col(column).n_unique())
        torn = sides.filter(pl.col(column) > 1).sort("patient_id")
        if torn.height:
            have = "1 patient has" if torn.height == 1 else f"{torn.height} patients have"
            raise InvalidTable(
                f"splits: {have} images in more than one {column}, as '{torn['patient_id'][0]}'; "
                "expected all images of a patient on one side"
            )
