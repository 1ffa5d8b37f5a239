"""Whom a run learns from: as many images each time, at random or curated, and who validates.

The curated draw takes images in proportion to the weights of the stage *curate*, nobody twice: rare
cells of label and group are filled with images that the random draw would have passed over, as far
as there are any.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import curate
from equipoise.errors import InvalidConfiguration
from equipoise.mitigations import joined_groups
from equipoise.splits import assign, patient_strata
from equipoise.training import sampler
from equipoise.training.grouping import Groups

Integers = npt.NDArray[np.int64]
FOUND, CURATED = "as found", "curated"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The images of one run.

    Parameters
    ----------
    learnt
        *as found* and *curated* → the images to learn from, as many of each.
    validation
        The images that penalty, candidate and operating points are chosen on.
    """

    learnt: Mapping[str, list[str]]
    validation: list[str]


def drawn(
    cohort: pl.DataFrame,
    finding: str,
    *,
    by: tuple[str, ...],
    images: int,
    validation: float,
    seed: int,
) -> Drawn:
    """Return whom a run learns from, either way, and who validates both.

    Parameters
    ----------
    cohort
        Rows of patients who are not tested.
    finding
        Only images on which it was assessed are drawn.
    by
        Attributes whose intersections are the groups.
    images
        To learn from.
    validation
        Share of the patients who validate; of these nobody is learnt from.
    seed
        Another seed, other patients.

    Raises
    ------
    InvalidConfiguration
        If there are not as many images to draw from.

    Examples
    --------
    >>> ids = [str(i) for i in range(40)]
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "sex": ["F"] * 4 + ["M"] * 36,
    ...                        "label:edema": [True, False] * 20})
    >>> found = drawn(cohort, "edema", by=("sex",), images=10, validation=0.25, seed=0)
    >>> len(found.learnt["as found"]), len(found.learnt["curated"]), len(found.validation)
    (10, 10, 10)
    """
    label = f"label:{finding}"
    told = cohort.filter(pl.col(label).is_not_null()).sort("image_id")
    people = told["patient_id"].to_list()
    strata = patient_strata(people, [told[label].to_list()], [joined_groups(told, by)])
    shares = {"train": 1.0 - validation, "validation": validation}
    split = pl.Series("split", assign(people, strata, shares=shares, seed=seed))
    parts = told.with_columns(split)
    pool = parts.filter(split="train")
    if pool.height < images:
        raise InvalidConfiguration(
            f"stages: {images} images to learn from are asked for, of {pool.height} that neither "
            "test nor validate; expected fewer"
        )
    weights = curate.weights(parts, told, findings=[finding], by=by)
    ordered = pool.select("image_id").join(
        weights, on="image_id", how="left", maintain_order="left"
    )
    by_weight = ordered[f"weight:{finding}"].to_numpy()
    return Drawn(
        {
            FOUND: _taken(pool, np.ones(pool.height), images, seed),
            CURATED: _taken(pool, by_weight, images, seed),
        },
        parts.filter(split="validation")["image_id"].to_list(),
    )


def _taken(
    pool: pl.DataFrame, weights: npt.NDArray[np.float64], images: int, seed: int
) -> list[str]:
    nobody = Groups((), np.zeros(pool.height, dtype=np.int64))
    draw = sampler("weights", groups=nobody, weights=weights, batch=images, seed=seed)
    return [str(image) for image in pool["image_id"].gather(draw(0)).to_list()]
