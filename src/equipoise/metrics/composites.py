"""Metrics at an operating point: each a value and its gradient in the four cells of the table.

The cells are counts (images) of shape ``(4, arms)`` in the order tp, fp, tn, fn. Every value is
the same when all counts are doubled, so the gradient in a cell is the influence value of one image
of that cell, and counts times gradients sum to zero. Where a value is undefined (nothing to divide
by) it is NaN, never 0 or 1, and its gradient is 0.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Composite = Callable[[Reals], tuple[Reals, Reals]]
Cell = Literal["tp", "fp", "tn", "fn"]
Scarce = Literal["positives", "negatives", "images"]

CELLS: tuple[Cell, ...] = ("tp", "fp", "tn", "fn")
_ALL: tuple[Cell, ...] = CELLS

RATES: dict[str, tuple[tuple[Cell, ...], tuple[Cell, ...], Scarce]] = {
    "sensitivity": (("tp",), ("tp", "fn"), "positives"),
    "specificity": (("tn",), ("tn", "fp"), "negatives"),
    "ppv": (("tp",), ("tp", "fp"), "positives"),
    "npv": (("tn",), ("tn", "fn"), "negatives"),
    "false_positive_rate": (("fp",), ("tn", "fp"), "negatives"),
    "false_negative_rate": (("fn",), ("tp", "fn"), "positives"),
    "false_discovery_rate": (("fp",), ("tp", "fp"), "positives"),
    "false_omission_rate": (("fn",), ("tn", "fn"), "negatives"),
    "underdiagnosis_rate": (("fn",), ("tp", "fn"), "positives"),
    "overdiagnosis_rate": (("fp",), ("tn", "fp"), "negatives"),
    "underdiagnosis_rate_of_no_finding": (("fp",), ("tn", "fp"), "negatives"),
    "overdiagnosis_rate_of_no_finding": (("fn",), ("tp", "fn"), "positives"),
    "selection_rate": (("tp", "fp"), _ALL, "images"),
    "prevalence": (("tp", "fn"), _ALL, "images"),
    "accuracy": (("tp", "tn"), _ALL, "images"),
}
"""Name → events, trials (cells; the events are among the trials), and what its trials are.

*positives*: images with the finding, or called positive; *negatives*: without it, or called
negative; *images*: all. Underdiagnosis is to miss disease: of the label of a disease it is the
false negative rate, but of the label *No Finding*, where a positive is a healthy patient, it is the
false positive rate (Seyyed-Kalantari et al. 2021, Nature Medicine 27:2176); overdiagnosis is the
other one. So each has two names, and which one applies is for whoever declares the label.
"""


def rate(cells: Reals, *, name: str) -> tuple[Reals, Reals]:
    """Return a rate of `RATES`, and its gradient.

    Parameters
    ----------
    cells
        Shape ``(4, arms)``: tp, fp, tn, fn.
    name
        A key of `RATES`.

    Examples
    --------
    >>> value, gradient = rate(np.array([[8.0], [1], [9], [2]]), name="sensitivity")
    >>> value.tolist(), gradient[:, 0].round(9).tolist()
    ([0.8], [0.02, 0.0, 0.0, -0.08])
    """
    events, trials, _ = RATES[name]
    return _ratio(cells, _weights(events), _weights(trials))


def balanced_accuracy(cells: Reals) -> tuple[Reals, Reals]:
    """Return the mean of sensitivity and specificity: accuracy as if half the images had it.

    Examples
    --------
    >>> balanced_accuracy(np.array([[8.0], [1], [9], [2]]))[0].round(9).tolist()
    [0.85]
    """
    value, gradient = youden(cells)
    return (value + 1) / 2, gradient / 2


def youden(cells: Reals) -> tuple[Reals, Reals]:
    """Return Youden's J: sensitivity + specificity - 1, from -1 to 1.

    References
    ----------
    Youden 1950, Cancer 3:32.

    Examples
    --------
    >>> youden(np.array([[8.0], [1], [9], [2]]))[0].round(9).tolist()
    [0.7]
    """
    first, by_first = rate(cells, name="sensitivity")
    second, by_second = rate(cells, name="specificity")
    return _defined(first + second - 1, by_first + by_second)


def f1(cells: Reals) -> tuple[Reals, Reals]:
    """Return the harmonic mean of sensitivity and PPV; it moves with prevalence.

    NaN where no image has the finding: it could only be 0 there, whatever the model does.

    References
    ----------
    van Rijsbergen 1979, Information Retrieval, chapter 7.

    Examples
    --------
    >>> f1(np.array([[8.0], [2], [9], [2]]))[0].round(9).tolist()
    [0.8]
    """
    value, gradient = _ratio(cells, _weights(("tp",)) * 2, np.array([2.0, 1.0, 0.0, 1.0]))
    return _defined(np.where(cells[0] + cells[3] > 0, value, np.nan), gradient)


def net_benefit(cells: Reals, *, threshold_probability: float) -> tuple[Reals, Reals]:
    """Return the net benefit: true positives less false ones at the declared exchange, per image.

    Parameters
    ----------
    cells
        Shape ``(4, arms)``: tp, fp, tn, fn, at the operating point to be judged.
    threshold_probability
        In (0, 1): at which probability of disease acting and not acting are worth the same; a
        false positive then costs p / (1 - p) true positives. It need not be the operating point.

    References
    ----------
    Vickers & Elkin 2006, Medical Decision Making 26:565.

    Examples
    --------
    >>> cells = np.array([[8.0], [5], [85], [2]])
    >>> net_benefit(cells, threshold_probability=0.2)[0].round(9).tolist()
    [0.0675]
    """
    cost = threshold_probability / (1 - threshold_probability)
    return _ratio(cells, np.array([1.0, -cost, 0.0, 0.0]), _weights(_ALL))


def standardized_net_benefit(cells: Reals, *, threshold_probability: float) -> tuple[Reals, Reals]:
    """Return the net benefit over the prevalence: at most 1, so that groups can be compared.

    References
    ----------
    Kerr, Brown, Zhu & Janes 2016, Journal of Clinical Oncology 34:2534.

    Examples
    --------
    >>> cells = np.array([[8.0], [5], [85], [2]])
    >>> standardized_net_benefit(cells, threshold_probability=0.2)[0].round(9).tolist()
    [0.675]
    """
    cost = threshold_probability / (1 - threshold_probability)
    return _ratio(cells, np.array([1.0, -cost, 0.0, 0.0]), _weights(("tp", "fn")))


def net_benefit_of_treating_all(
    cells: Reals, *, threshold_probability: float
) -> tuple[Reals, Reals]:
    """Return the net benefit of acting on every image: what a model must exceed.

    References
    ----------
    Vickers & Elkin 2006, Medical Decision Making 26:565.

    Examples
    --------
    >>> cells = np.array([[8.0], [5], [85], [2]])
    >>> net_benefit_of_treating_all(cells, threshold_probability=0.2)[0].round(9).tolist()
    [-0.125]
    """
    cost = threshold_probability / (1 - threshold_probability)
    return _ratio(cells, np.array([1.0, -cost, -cost, 1.0]), _weights(_ALL))


def positive_likelihood_ratio(cells: Reals) -> tuple[Reals, Reals]:
    """Return sensitivity over false positive rate; NaN (not infinite) without false positives.

    References
    ----------
    Deeks & Altman 2004, BMJ 329:168.

    Examples
    --------
    >>> positive_likelihood_ratio(np.array([[8.0], [1], [9], [2]]))[0].round(9).tolist()
    [8.0]
    """
    return _quotient(rate(cells, name="sensitivity"), rate(cells, name="false_positive_rate"))


def negative_likelihood_ratio(cells: Reals) -> tuple[Reals, Reals]:
    """Return false negative rate over specificity; NaN (not infinite) without true negatives.

    References
    ----------
    Deeks & Altman 2004, BMJ 329:168.

    Examples
    --------
    >>> negative_likelihood_ratio(np.array([[8.0], [2], [8], [2]]))[0].round(9).tolist()
    [0.25]
    """
    return _quotient(rate(cells, name="false_negative_rate"), rate(cells, name="specificity"))


COMPOSITES: dict[str, Callable[..., tuple[Reals, Reals]]] = {
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
    "negative_likelihood_ratio": negative_likelihood_ratio,
    "net_benefit": net_benefit,
    "net_benefit_of_treating_all": net_benefit_of_treating_all,
    "positive_likelihood_ratio": positive_likelihood_ratio,
    "standardized_net_benefit": standardized_net_benefit,
    "youden": youden,
}
"""Name → function of the cells, of what is no plain rate; those of net benefit need a
``threshold_probability``. The *adjusted accuracy* of the literature is, per group, the balanced
accuracy; over groups see ``literature.adjusted_accuracy``."""


def _weights(cells: tuple[Cell, ...]) -> Reals:
    return np.array([float(cell in cells) for cell in CELLS])


def _ratio(cells: Reals, events: Reals, trials: Reals) -> tuple[Reals, Reals]:
    counts = np.asarray(cells, dtype=np.float64)
    total = trials @ counts
    safe = np.where(total > 0, total, 1.0)
    value = np.where(total > 0, (events @ counts) / safe, np.nan)
    return _defined(value, (events[:, None] - trials[:, None] * value) / safe)


def _quotient(above: tuple[Reals, Reals], below: tuple[Reals, Reals]) -> tuple[Reals, Reals]:
    safe = np.where(below[0] > 0, below[0], np.nan)
    value = above[0] / safe
    return _defined(value, (above[1] - value * below[1]) / safe)


def _defined(value: Reals, gradient: Reals) -> tuple[Reals, Reals]:
    return value, np.where(np.isnan(value), 0.0, gradient)
