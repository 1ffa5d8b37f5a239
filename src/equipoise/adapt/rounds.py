"""Who is fitted on, who is validated on and who is scored: one round, or one per fold."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise.adapt.material import Rows
from equipoise.adapt.options import Options
from equipoise.metrics import UNKNOWN
from equipoise.splits import assign

Evaluation = Literal["split", "cross-fit"]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Round:
    """One fit: no patient is in two of its parts, save that all are scored in a split.

    Parameters
    ----------
    fold
        The fold that is scored, or None: all images are.
    fit, validation, scored
        Which images ``(n,)``.
    """

    fold: int | None
    fit: Mask
    validation: Mask
    scored: Mask

    @property
    def chosen_on(self) -> str:
        """Where penalty and operating points are chosen, in words."""
        return "validation" if self.fold is None else f"validation outside fold {self.fold}"


def decided(rows: Rows, options: Options) -> tuple[Evaluation, str]:
    """Return how the candidates are evaluated, and why.

    Parameters
    ----------
    rows
        The images.
    options
        With *auto*, the test split is used unless it has in some group fewer than `minimum`
        positives or negatives of some finding, or patients with them.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import rows
    >>> ids = ["a", "b", "c", "d"]
    >>> labels = {"label:edema": [True, False, True, False]}
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, **labels})
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 4, "fold": [0, 0, 1, 1]})
    >>> vectors = pl.Series([[1.0], [0.0]] * 2, dtype=pl.Array(pl.Float32, 1))
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> decided(images, Options(minimum=1))[1]
    "finding 'edema': the test split has 0 positive images in all; expected at least 1"
    """
    if options.evaluation != "auto":
        return options.evaluation, "asked for"
    test = rows.split == "test"
    groups = [None, *sorted(set(rows.groups.tolist()) - {UNKNOWN})]
    for finding in rows.labels:
        for group in groups:
            inside = rows.assessed(finding, test)
            if group is not None:
                inside &= rows.groups == group
            few = _few(rows, finding, inside, options.minimum)
            if few is not None:
                where = "in all" if group is None else f"in group '{group}'"
                return "cross-fit", (
                    f"finding '{finding}': the test split has {few} {where}; "
                    f"expected at least {options.minimum}"
                )
    return "split", "the test split has enough positives and negatives in every group"


def _few(rows: Rows, finding: str, inside: Mask, minimum: int) -> str | None:
    """Return of which kind there are too few images, or patients with them."""
    truth = rows.truth(finding)
    for kind, chosen in (("positive", inside & truth), ("negative", inside & ~truth)):
        images, people = int(chosen.sum()), len(np.unique(rows.patients[chosen]))
        if images < minimum:
            return f"{images} {kind} images"
        if people < minimum:
            return f"{people} patients with {kind} images"
    return None


def rounds(rows: Rows, evaluation: Evaluation, *, seed: int, inner: float) -> list[Round]:
    """Return the rounds of one seed.

    In cross-fitting the patients outside a fold are divided again, by patient and stratum, so
    that penalty and operating point are chosen without the fold.

    Parameters
    ----------
    rows
        The images.
    evaluation
        *split* or *cross-fit*.
    seed
        Of the inner division.
    inner
        Share of the patients outside a fold kept for validation.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import rows
    >>> ids = ["a", "b", "c", "d"]
    >>> labels = {"label:edema": [True, False, True, False]}
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, **labels})
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 4, "fold": [0, 0, 1, 1]})
    >>> vectors = pl.Series([[1.0], [0.0]] * 2, dtype=pl.Array(pl.Float32, 1))
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> [one.scored.tolist() for one in rounds(images, "cross-fit", seed=0, inner=0.5)]
    [[True, True, False, False], [False, False, True, True]]
    """
    if evaluation == "split":
        everyone = np.ones(len(rows.split), dtype=bool)
        return [Round(None, rows.split == "train", rows.split == "validation", everyone)]
    found = []
    folds = [int(fold) for fold in np.unique(rows.fold)]
    shares = {"train": 1.0 - inner, "validation": inner}
    for fold in folds:
        outside = np.flatnonzero(rows.fold != fold)
        part = assign(
            [rows.patient_ids[i] for i in outside],
            [rows.strata[i] for i in outside],
            shares=shares,
            seed=seed * len(folds) + fold,
        )
        fit, validation = np.zeros((2, len(rows.fold)), dtype=bool)
        fit[outside[part == "train"]] = True
        validation[outside[part == "validation"]] = True
        found.append(Round(fold, fit, validation, rows.fold == fold))
    return found
