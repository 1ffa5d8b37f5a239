"""What candidates said of validation images in a cross-fit: by this they were selected.

An image validates in several rounds, each with a probe of its own, so that the table of
predictions, which has one score per image, cannot hold it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from equipoise.adapt.material import Rows
from equipoise.adapt.outcomes import Outcome


def validations(rows: Rows, outcomes: Sequence[Outcome]) -> Mapping[str, pl.DataFrame]:
    """Return file → the table *predictions* of the validation images of one round.

    Operating points carry the digest of these scores and of the labels.

    Parameters
    ----------
    rows
        The images.
    outcomes
        Of all candidates, findings and seeds. A round without folds is left out: there the
        predictions hold every image.

    Examples
    --------
    >>> from equipoise.adapt.outcomes import Held
    >>> labels = {"x": pl.Series([True, False, None])}
    >>> rows = Rows(["a", "b", "c"], ["p", "q", "r"], np.zeros((3, 1)), labels,
    ...             np.array(["F"] * 3), [""] * 3, np.arange(3), np.array(["train"] * 3),
    ...             np.array([0, 1, 1]))
    >>> held = {0: Held(np.array([1]), np.array([0.5], np.float32))}
    >>> one = Outcome("x", "a", "a", 0, "a-0", {}, {}, held[0].score, [], None, held)
    >>> [(name, table.rows()) for name, table in validations(rows, [one]).items()]
    [('validation/a-0-fold0.parquet', [('b', 0, 0.5)])]
    """
    rounds = dict.fromkeys(
        (one.file, fold) for one in outcomes for fold in one.held if fold is not None
    )
    return {
        f"validation/{file}-fold{fold}.parquet": _table(
            rows, [one for one in outcomes if one.file == file], fold
        )
        for file, fold in rounds
    }


def _table(rows: Rows, outcomes: Sequence[Outcome], fold: int) -> pl.DataFrame:
    """Return the images that validate for some finding; null where one has no label."""
    n = len(rows.image_ids)
    columns, inside = [], np.zeros(n, dtype=bool)
    for one in outcomes:
        score = np.full(n, np.nan, dtype=np.float32)
        if fold in one.held:
            score[one.held[fold].rows] = one.held[fold].score
            inside[one.held[fold].rows] = True
        columns.append(pl.Series(f"score:{one.finding}", score).fill_nan(None))
    place = pl.Series("fold", [fold] * n, dtype=pl.Int64)
    return pl.DataFrame([pl.Series("image_id", rows.image_ids), place, *columns]).filter(inside)
