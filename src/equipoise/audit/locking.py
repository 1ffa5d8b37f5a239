"""Operating points are locked: what is audited is what was chosen on validation, to the digest."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.points import rule, seal, threshold
from equipoise.tables import labels_of

_VALIDATION = "validation"
_OFF = 1e-9


def check_locked(points: pl.DataFrame, scores: pl.DataFrame, cohort: pl.DataFrame) -> None:
    """Refuse operating points that do not belong to the validation scores and labels beside them.

    Parameters
    ----------
    points
        The table *operating points* of one candidate.
    scores
        The table *predictions* with the splits of all images. Without a split, as in a cross-fit,
        nothing is checked: there the validation scores of each round lie in tables of their own.
    cohort
        The table *cohort*, for the labels.

    Raises
    ------
    InvalidTable
        If scores or labels on validation are not those that a threshold was chosen on, or it is
        not the one that its rule gives.

    Examples
    --------
    >>> scores = pl.DataFrame({"image_id": ["a", "b"], "split": ["validation"] * 2,
    ...                        "score:x": pl.Series([0.2, 0.8], dtype=pl.Float32)})
    >>> cohort = pl.DataFrame({"image_id": ["a", "b"], "label:x": [False, True]})
    >>> points = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "rule": ["youden"],
    ...     "fold": [None], "threshold": [0.8], "chosen_on": ["validation"], "digest": ["0"]})
    >>> check_locked(points, scores, cohort)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: operating points: 'p' of finding 'x': its digest is not that \
of the validation scores and labels; expected those it was chosen on
    """
    if "split" not in scores.columns:
        return
    held = scores.filter(split=_VALIDATION)
    chosen = points.filter((pl.col("chosen_on") == _VALIDATION) & pl.col("fold").is_null())
    for finding in chosen["finding"].unique(maintain_order=True):
        _check(finding, chosen.filter(finding=finding), held, cohort)


def _check(finding: str, points: pl.DataFrame, held: pl.DataFrame, cohort: pl.DataFrame) -> None:
    labels = cohort.select("image_id", label=labels_of(cohort, finding))
    rows = held.select("image_id", score=f"score:{finding}").join(
        labels, on="image_id", how="left", maintain_order="left"
    )
    rows = rows.drop_nulls(["score", "label"])
    score, label = rows["score"].to_numpy(), rows["label"].to_numpy().astype(bool)
    digest = seal(rows["image_id"].to_list(), score, label)
    for one in points.iter_rows(named=True):
        which = f"operating points: '{one['operating_point']}' of finding '{finding}'"
        if one["digest"] != digest:
            raise InvalidTable(
                f"{which}: its digest is not that of the validation scores and labels; expected "
                "those it was chosen on",
                hint="run adapt again; scores, labels or splits were changed after it",
            )
        _check_threshold(which, one, score, label)


def _check_threshold(
    which: str,
    one: Mapping[str, object],
    score: npt.NDArray[np.float32],
    label: npt.NDArray[np.bool_],
) -> None:
    said = str(one["rule"]).replace(" >= ", "=")
    if "," in said:  # chosen in each group, on scores before they were moved
        return
    known = rule(said)
    expected = threshold(score, label, rule=known.kind, at=known.at)
    if abs(expected - float(str(one["threshold"]))) > _OFF:
        raise InvalidTable(
            f"{which}: threshold {one['threshold']}; its rule '{one['rule']}' gives {expected}",
            hint="run adapt again; a threshold is chosen on validation, and then locked",
        )
