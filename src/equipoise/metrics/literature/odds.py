"""Parity, opportunity and odds: Fairlearn's differences, MEDFAIR's and FairMedFM's scores.

They share names and run in opposite directions. A *difference* is 0 where groups are equal; a
*score* (MEDFAIR, FairMedFM's *eod*) is 1 there. All take rates at one operating point. MEDFAIR
prints its scores for two groups; of more, they are here of the largest and the smallest, as
FairMedFM does it, which for two is the same.
"""

from equipoise.metrics.literature.published import (
    Groups,
    Published,
    first_reason,
    quotient,
    same_groups,
    spread,
    undefined,
)

SENSITIVITY, FALSE_POSITIVES = "sensitivity", "false positive rate"
SELECTION = "selection rate"


def demographic_parity_difference_fairlearn(selection_rate: Groups) -> Published:
    """Return the largest less the smallest share that is called positive.

    Parameters
    ----------
    selection_rate
        Group → share of its images that are called positive, in [0, 1].

    References
    ----------
    Weerts et al. 2023, JMLR 24:257 (Fairlearn); printed as DPD by FairCLIP (Luo et al. 2024, CVPR).

    Examples
    --------
    >>> demographic_parity_difference_fairlearn({"A": 0.25, "B": 0.5}).value
    0.25
    """
    return spread(selection_rate, SELECTION)


def demographic_parity_ratio_fairlearn(selection_rate: Groups) -> Published:
    """Return the smallest over the largest share that is called positive.

    References
    ----------
    Weerts et al. 2023, JMLR 24:257 (Fairlearn).

    Examples
    --------
    >>> demographic_parity_ratio_fairlearn({"A": 0.25, "B": 0.5}).value
    0.5
    """
    return quotient(selection_rate, SELECTION)


def demographic_parity_medfair(selection_rate: Groups) -> Published:
    """Return 1 less the difference of the shares that are called positive: 1 is parity.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR: *DP*.

    Examples
    --------
    >>> demographic_parity_medfair({"A": 0.25, "B": 0.5}).value
    0.75
    """
    return _score([spread(selection_rate, SELECTION)])


def equal_opportunity_difference_fairlearn(sensitivity: Groups) -> Published:
    """Return the largest less the smallest sensitivity.

    References
    ----------
    Hardt, Price & Srebro 2016, NeurIPS; Weerts et al. 2023, JMLR 24:257 (Fairlearn).

    Examples
    --------
    >>> equal_opportunity_difference_fairlearn({"A": 0.5, "B": 0.75}).value
    0.25
    """
    return spread(sensitivity, SENSITIVITY)


def equal_opportunity_ratio_fairlearn(sensitivity: Groups) -> Published:
    """Return the smallest over the largest sensitivity.

    References
    ----------
    Weerts et al. 2023, JMLR 24:257 (Fairlearn).

    Examples
    --------
    >>> equal_opportunity_ratio_fairlearn({"A": 0.25, "B": 0.5}).value
    0.5
    """
    return quotient(sensitivity, SENSITIVITY)


def equal_opportunity_fairmedfm(sensitivity: Groups) -> Published:
    """Return the largest less the smallest sensitivity: FairMedFM's *eo*, where 0 is equal.

    The formula is Fairlearn's; FairMedFM takes the sensitivities at another threshold and leaves
    out images that lie on it: see `called_fairmedfm` and `best_f1_threshold_fairmedfm`.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks.

    Examples
    --------
    >>> equal_opportunity_fairmedfm({"A": 0.5, "B": 0.75}).value
    0.25
    """
    return spread(sensitivity, SENSITIVITY)


def eq_opp_0_medfair(sensitivity: Groups) -> Published:
    """Return 1 less the difference of *sensitivities*: what MEDFAIR's code prints as *EqOpp0*.

    Elsewhere *EqOpp0* is of images whose label is 0, that is of false positive rates: see
    `eq_opp_0_by_label`. In MEDFAIR's code the two names stand the other way round.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR: the code of its evaluation.

    Examples
    --------
    >>> eq_opp_0_medfair({"A": 0.5, "B": 0.75}).value
    0.75
    """
    return _score([spread(sensitivity, SENSITIVITY)])


def eq_opp_1_medfair(false_positive_rate: Groups) -> Published:
    """Return 1 less the difference of *false positive rates*: MEDFAIR's *EqOpp1*.

    Elsewhere *EqOpp1* is of images whose label is 1, that is of sensitivities: see
    `eq_opp_1_by_label`.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR: the code of its evaluation.

    Examples
    --------
    >>> eq_opp_1_medfair({"A": 0.5, "B": 0.75}).value
    0.75
    """
    return _score([spread(false_positive_rate, FALSE_POSITIVES)])


def eq_opp_0_by_label(false_positive_rate: Groups) -> Published:
    """Return 1 less the difference of false positive rates: *EqOpp0* named by the label, 0.

    References
    ----------
    Reddy et al. 2021, Benchmarking bias mitigation algorithms in representation learning through
    fairness metrics, NeurIPS Datasets and Benchmarks.

    Examples
    --------
    >>> eq_opp_0_by_label({"A": 0.5, "B": 0.75}).value
    0.75
    """
    return _score([spread(false_positive_rate, FALSE_POSITIVES)])


def eq_opp_1_by_label(sensitivity: Groups) -> Published:
    """Return 1 less the difference of sensitivities: *EqOpp1* named by the label, 1.

    References
    ----------
    Reddy et al. 2021, as of `eq_opp_0_by_label`.

    Examples
    --------
    >>> eq_opp_1_by_label({"A": 0.5, "B": 0.75}).value
    0.75
    """
    return _score([spread(sensitivity, SENSITIVITY)])


def equalised_odds_difference_fairlearn(
    sensitivity: Groups, false_positive_rate: Groups
) -> Published:
    """Return the larger of the two differences, of sensitivities and of false positive rates.

    Parameters
    ----------
    sensitivity, false_positive_rate
        Group → rate in [0, 1], of the same groups.

    Raises
    ------
    InvalidTable
        If the groups differ, or a rate cannot be.

    References
    ----------
    Hardt, Price & Srebro 2016, NeurIPS; Fairlearn's ``agg="worst_case"``, its default; printed as
    DEOdds by FairCLIP and FairVision (Luo et al. 2024).

    Examples
    --------
    >>> equalised_odds_difference_fairlearn({"A": 0.5, "B": 0.75}, {"A": 0.0, "B": 0.125}).value
    0.25
    """
    parts = _both(sensitivity, false_positive_rate)
    values = [part.value for part in parts if part.value is not None]
    reason = first_reason(parts)
    return undefined(reason) if reason else Published(max(values))


def equalised_odds_mean_fairlearn(sensitivity: Groups, false_positive_rate: Groups) -> Published:
    """Return the mean of the two differences.

    Raises
    ------
    InvalidTable
        As of `equalised_odds_difference_fairlearn`.

    References
    ----------
    Fairlearn's ``agg="mean"``: Weerts et al. 2023, JMLR 24:257.

    Examples
    --------
    >>> equalised_odds_mean_fairlearn({"A": 0.5, "B": 0.75}, {"A": 0.0, "B": 0.125}).value
    0.1875
    """
    parts = _both(sensitivity, false_positive_rate)
    values = [part.value for part in parts if part.value is not None]
    reason = first_reason(parts)
    return undefined(reason) if reason else Published(sum(values) / 2.0)


def equalised_odds_ratio_fairlearn(sensitivity: Groups, false_positive_rate: Groups) -> Published:
    """Return the smaller of the two ratios, of sensitivities and of false positive rates.

    Undefined where a rate is 0 in all groups; Fairlearn then gives the ratio of the other rate, or
    NaN, according to which of the two it is.

    Raises
    ------
    InvalidTable
        As of `equalised_odds_difference_fairlearn`.

    References
    ----------
    Weerts et al. 2023, JMLR 24:257 (Fairlearn).

    Examples
    --------
    >>> equalised_odds_ratio_fairlearn({"A": 0.5, "B": 0.75}, {"A": 0.125, "B": 0.25}).value
    0.5
    """
    same_groups([sensitivity, false_positive_rate], [SENSITIVITY, FALSE_POSITIVES])
    parts = [quotient(sensitivity, SENSITIVITY), quotient(false_positive_rate, FALSE_POSITIVES)]
    values = [part.value for part in parts if part.value is not None]
    reason = first_reason(parts)
    return undefined(reason) if reason else Published(min(values))


def equalised_odds_medfair(sensitivity: Groups, false_positive_rate: Groups) -> Published:
    """Return 1 less the mean of the two differences: 1 is equal. FairMedFM's *eod*.

    It runs against `equalised_odds_mean_fairlearn`, though *eod* reads like its name.

    Raises
    ------
    InvalidTable
        As of `equalised_odds_difference_fairlearn`.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR: *EqOdd*, of two groups; Jin et al. 2024, FairMedFM,
    NeurIPS Datasets and Benchmarks: *eod*.

    Examples
    --------
    >>> equalised_odds_medfair({"A": 0.5, "B": 0.75}, {"A": 0.0, "B": 0.125}).value
    0.8125
    """
    return _score(_both(sensitivity, false_positive_rate))


def _both(sensitivity: Groups, false_positive_rate: Groups) -> list[Published]:
    same_groups([sensitivity, false_positive_rate], [SENSITIVITY, FALSE_POSITIVES])
    return [spread(sensitivity, SENSITIVITY), spread(false_positive_rate, FALSE_POSITIVES)]


def _score(parts: list[Published]) -> Published:
    """Return 1 less the mean of differences."""
    values = [part.value for part in parts if part.value is not None]
    reason = first_reason(parts)
    return undefined(reason) if reason else Published(1.0 - sum(values) / len(parts))
