"""Many tests at once: e-values average, so that a family is controlled without much loss."""

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]


def closed(logs: Reals) -> Reals:
    """Return the logarithm of each e-value after closed testing over the family.

    The adjusted e-value of a hypothesis is the least mean e-value over all sets of hypotheses
    that hold it. Call those wrong whose adjusted value reaches 1/α: then the chance that any true
    one is called wrong, at any time of a sequential test, is at most α. It is never below the
    Bonferroni value, the e-value over the number of hypotheses.

    Parameters
    ----------
    logs
        Natural logarithms of the e-values, ``(k,)`` or ``(k, times)``.

    Over time this asks that each e-value be one given all that is known by then, of the other
    questions too (Choe & Ramdas 2024, arXiv 2402.09698). Questions that see one patient at
    different times meet it but for that patient; the Bonferroni value needs nothing of the kind.

    References
    ----------
    Vovk & Wang 2021, Annals of Statistics 49:1736, algorithm 1.

    Examples
    --------
    >>> np.exp(closed(np.log([60.0, 1.0, 0.1]))).round(2).tolist()
    [20.37, 0.55, 0.1]
    """
    if logs.ndim == 1:
        return np.asarray(closed(logs[:, None])[:, 0], dtype=np.float64)
    k = len(logs)
    order = np.argsort(logs, axis=0, kind="stable")
    ranked = np.take_along_axis(logs, order, axis=0)  # smallest first
    sums = np.logaddexp.accumulate(ranked, axis=0) if k else ranked
    best = np.empty_like(ranked)
    for place in range(k):
        # Beside itself, the worst company is that of the smallest e-values below it.
        alone = ranked[place]
        joined = np.logaddexp(alone, sums[:place]) - np.log(np.arange(2, place + 2))[:, None]
        best[place] = np.minimum(alone, joined.min(axis=0, initial=np.inf))
    made = np.empty_like(best)
    np.put_along_axis(made, order, best, axis=0)
    return made
