"""The definitions by name: source, formula, range, which end is better, and what each needs."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import polars as pl

from equipoise.errors import UnknownName, nearest
from equipoise.metrics.literature import odds, scaled
from equipoise.metrics.literature.published import Published

OVERALL = "overall:"
"""Before the name of a metric: its value of everybody, not of the groups."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One published number.

    Parameters
    ----------
    name
        That of the function, by which it is told from others of its name in the literature.
    called
        What the source calls it.
    source
        Paper or package.
    formula
        In words.
    function
        Group → value, one or two of them → `Published`.
    low, high
        Between which it lies; None where it has no end.
    better
        Which end is better.
    needs
        What the function takes, in order: metrics as `metrics.names` has them, ``overall:`` before
        one where it is of everybody.
    """

    name: str
    called: str
    source: str
    formula: str
    function: Callable[..., Published]
    low: float | None
    high: float | None
    better: Literal["low", "high"]
    needs: tuple[str, ...]


_FAIRLEARN, _MEDFAIR = "Fairlearn (Weerts et al. 2023)", "MEDFAIR (Zong et al. 2023)"
_FAIRMEDFM, _FAIRCLIP = "FairMedFM (Jin et al. 2024)", "FairCLIP (Luo et al. 2024)"
_FAIRVISION, _REDDY = "FairVision (Luo et al. 2024)", "Reddy et al. 2021"
_TPR, _FPR, _SELECTED = "sensitivity", "false_positive_rate", "selection_rate"
_ODDS, _AUROC, _DICE = (_TPR, _FPR), ("overall:auroc", "auroc"), ("dice",)
_BEST_F1 = "; FairMedFM's own at its best F1, score > threshold"

Row = tuple[
    Callable[..., Published],
    str,
    str,
    str,
    float | None,
    float | None,
    Literal["low", "high"],
    tuple[str, ...],
]

_ROWS: tuple[Row, ...] = (
    (odds.demographic_parity_difference_fairlearn, "demographic_parity_difference", _FAIRLEARN,
     "largest less smallest share called positive", 0, 1, "low", (_SELECTED,)),
    (odds.demographic_parity_ratio_fairlearn, "demographic_parity_ratio", _FAIRLEARN,
     "smallest over largest share called positive", 0, 1, "high", (_SELECTED,)),
    (odds.demographic_parity_medfair, "DP", _MEDFAIR,
     "1 - difference of the shares called positive", 0, 1, "high", (_SELECTED,)),
    (odds.equal_opportunity_difference_fairlearn, "equal_opportunity_difference", _FAIRLEARN,
     "largest less smallest sensitivity", 0, 1, "low", (_TPR,)),
    (odds.equal_opportunity_ratio_fairlearn, "equal_opportunity_ratio", _FAIRLEARN,
     "smallest over largest sensitivity", 0, 1, "high", (_TPR,)),
    (odds.equal_opportunity_fairmedfm, "eo", _FAIRMEDFM,
     f"largest less smallest sensitivity{_BEST_F1}", 0, 1, "low", (_TPR,)),
    (odds.eq_opp_0_medfair, "EqOpp0", _MEDFAIR,
     "1 - difference of sensitivities (label 1)", 0, 1, "high", (_TPR,)),
    (odds.eq_opp_1_medfair, "EqOpp1", _MEDFAIR,
     "1 - difference of false positive rates (label 0)", 0, 1, "high", (_FPR,)),
    (odds.eq_opp_0_by_label, "EqOpp0", _REDDY,
     "1 - difference of false positive rates (label 0)", 0, 1, "high", (_FPR,)),
    (odds.eq_opp_1_by_label, "EqOpp1", _REDDY,
     "1 - difference of sensitivities (label 1)", 0, 1, "high", (_TPR,)),
    (odds.equalised_odds_difference_fairlearn, "equalized_odds_difference", _FAIRLEARN,
     "larger of the differences of sensitivity and false positive rate", 0, 1, "low", _ODDS),
    (odds.equalised_odds_mean_fairlearn, "equalized_odds_difference, agg='mean'", _FAIRLEARN,
     "mean of the differences of sensitivity and false positive rate", 0, 1, "low", _ODDS),
    (odds.equalised_odds_ratio_fairlearn, "equalized_odds_ratio", _FAIRLEARN,
     "smaller of the ratios of sensitivity and false positive rate", 0, 1, "high", _ODDS),
    (odds.equalised_odds_medfair, "EqOdd; eod", f"{_MEDFAIR}; {_FAIRMEDFM}",
     f"1 - mean of the differences of sensitivity and false positive rate{_BEST_F1}",
     0, 1, "high", _ODDS),
    (scaled.auroc_gap_fairmedfm, "auc-gap", _FAIRMEDFM,
     "largest less smallest AUROC", 0, 1, "low", ("auroc",)),
    (scaled.worst_auroc_fairmedfm, "worst-auc", _FAIRMEDFM,
     "smallest AUROC", 0, 1, "high", ("auroc",)),
    (scaled.accuracy_gap_fairmedfm, "acc-gap", _FAIRMEDFM,
     f"largest less smallest accuracy{_BEST_F1}", 0, 1, "low", ("accuracy",)),
    (scaled.cross_entropy_gap_fairmedfm, "bce-gap", _FAIRMEDFM,
     "largest less smallest binary cross-entropy (nats)", 0, None, "low", ("log_loss",)),
    (scaled.calibration_gap_fairmedfm, "ece-gap", _FAIRMEDFM,
     "largest less smallest calibration error, 10 bins on each group's own range of scores",
     0, 1, "low", ("ece_data_range",)),
    (scaled.equity_scaled_fairclip, "ES-AUC, ES-Acc, ES-Dice", f"{_FAIRCLIP}; FairVision; FairSeg",
     "M / (1 + sum over groups of |M - M of the group|); M here AUROC", 0, 1, "high", _AUROC),
    (scaled.equity_scaled_fairmedfm, "es_dice", _FAIRMEDFM,
     "mean Dice of all images / (1 + standard deviation of the groups' means, divisor k)",
     0, 1, "high", ("overall:dice", "dice")),
    (scaled.disparity_std_fairvision, "between-group disparity, std", _FAIRVISION,
     "standard deviation of the groups' AUROC (divisor k) / AUROC of everybody",
     0, None, "low", _AUROC),
    (scaled.disparity_range_fairvision, "between-group disparity, max", _FAIRVISION,
     "largest less smallest AUROC / AUROC of everybody", 0, None, "low", _AUROC),
    (scaled.disparity_std_half_fairvision, "between-group disparity half, std", _FAIRVISION,
     "standard deviation of the groups' AUROC (divisor k) / |AUROC of everybody - 0.5|",
     0, None, "low", _AUROC),
    (scaled.disparity_range_half_fairvision, "between-group disparity half, max", _FAIRVISION,
     "largest less smallest AUROC / |AUROC of everybody - 0.5|", 0, None, "low", _AUROC),
    (scaled.dice_gap_fairmedfm, "delta_dice", _FAIRMEDFM,
     "largest less smallest mean Dice", 0, 1, "low", _DICE),
    (scaled.skewness_fairmedfm, "skewness_dice", f"Wang & Deng 2020; {_FAIRMEDFM}",
     "(1 - smallest mean Dice) / (1 - largest)", 1, None, "low", _DICE),
    (scaled.adjusted_accuracy, "adjusted accuracy", "SubpopBench (Yang et al. 2023)",
     "unweighted mean of accuracy over cells of group and label", 0, 1, "high",
     (_TPR, "specificity")),
    (scaled.adjusted_average_accuracy_sagawa, "adjusted average accuracy", "Sagawa et al. 2020",
     "mean of accuracy over cells of group and label, weighted by their images in training",
     0, 1, "high", ("accuracy of cells", "training images of cells")),
)  # fmt: skip

DEFINITIONS = MappingProxyType(
    {
        function.__name__: Definition(
            function.__name__, called, source, formula, function, low, high, better, needs
        )
        for function, called, source, formula, low, high, better, needs in _ROWS
    }
)
"""Name → definition."""


def definition(name: str) -> Definition:
    """Return a definition by its name.

    Raises
    ------
    UnknownName
        If there is none.

    Examples
    --------
    >>> found = definition("equalised_odds_medfair")
    >>> found.better, found.function({"A": 0.5, "B": 0.75}, {"A": 0.0, "B": 0.125}).value
    ('high', 0.8125)
    """
    if name not in DEFINITIONS:
        raise UnknownName(
            f"no published definition '{name}'",
            hint=nearest(name, DEFINITIONS) or f"known: {', '.join(sorted(DEFINITIONS))}",
        )
    return DEFINITIONS[name]


def definitions() -> pl.DataFrame:
    """Return all definitions as a table, to be searched.

    Returns
    -------
    `name`, `called` (in the source), `source`, `formula`, `low`, `high` (null: no end), `better`,
    `needs` (a list).

    Examples
    --------
    >>> found = definitions().filter(pl.col("called").str.starts_with("EqOpp0"))
    >>> found["name", "formula"].rows()[0]
    ('eq_opp_0_medfair', '1 - difference of sensitivities (label 1)')
    """
    return pl.DataFrame(
        [
            (d.name, d.called, d.source, d.formula, d.low, d.high, d.better, list(d.needs))
            for d in DEFINITIONS.values()
        ],
        schema={
            **dict.fromkeys(("name", "called", "source", "formula"), pl.String()),
            "low": pl.Float64(),
            "high": pl.Float64(),
            "better": pl.String(),
            "needs": pl.List(pl.String()),
        },
        orient="row",
    )
