"""Roughly how many more images would decide what is inconclusive."""

import math
from collections.abc import Mapping

_COUNTED = {
    "auroc": ("n_positive", "positives, and as many times the negatives"),
    "sensitivity": ("n_positive", "positives"),
    "specificity": ("n_negative", "negatives"),
}
_HOPELESS = 100.0


def more_needed(row: Mapping[str, object], metric: str, group: str, factor: float) -> str:
    """Return in words how many more images would decide, if the estimate stayed as it is.

    Standard errors shrink with the square root of the numbers; no more is taken into account.

    Parameters
    ----------
    row
        The estimate's row.
    metric, group
        Of the estimate.
    factor
        By how much the numbers must grow.

    Examples
    --------
    >>> more_needed({"n_positive": 50}, "sensitivity", "sex=F", 2.5)
    'if it stayed so, about 75 more positives in sex=F and in proportion elsewhere would decide'
    >>> more_needed({"n_positive": 50}, "sensitivity", "sex=F", 1e9)
    'it is so close to the bound that more images would hardly decide'
    """
    if not factor < _HOPELESS:
        return "it is so close to the bound that more images would hardly decide"
    column, noun = _COUNTED.get(metric, ("n_images", "images"))
    have = row[column]
    n = int(have) if isinstance(have, int) else 0
    more = max(1, math.ceil(n * (factor - 1.0)))
    where = "" if group == "everybody" else f" in {group} and in proportion elsewhere"
    return f"if it stayed so, about {more} more {noun}{where} would decide"
