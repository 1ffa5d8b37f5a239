"""Gaps, and performance scaled by how unequal it is: FairMedFM, FairCLIP, FairVision, SubpopBench.

*Equity-scaled* names two formulas, *adjusted accuracy* two weightings. Standard deviations are
those of the papers' code, with divisor k.
"""

import numpy as np

from equipoise.metrics.literature.odds import SENSITIVITY
from equipoise.metrics.literature.published import (
    Groups,
    Published,
    Reals,
    lacking,
    same_groups,
    spread,
    told,
    undefined,
)

AUROC, DICE, SPECIFICITY = "AUROC", "mean Dice", "specificity"


def auroc_gap_fairmedfm(auroc: Groups) -> Published:
    """Return the largest less the smallest AUROC.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *auc-gap*.

    Examples
    --------
    >>> auroc_gap_fairmedfm({"A": 0.5, "B": 0.75}).value
    0.25
    """
    return spread(auroc, AUROC)


def accuracy_gap_fairmedfm(accuracy: Groups) -> Published:
    """Return the largest less the smallest accuracy; FairMedFM's own is at the best F1.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *acc-gap*.

    Examples
    --------
    >>> accuracy_gap_fairmedfm({"A": 0.5, "B": 0.75}).value
    0.25
    """
    return spread(accuracy, "accuracy")


def cross_entropy_gap_fairmedfm(log_loss: Groups) -> Published:
    """Return the largest less the smallest binary cross-entropy, in nats.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *bce-gap*.

    Examples
    --------
    >>> cross_entropy_gap_fairmedfm({"A": 0.5, "B": 1.75}).value
    1.25
    """
    return spread(log_loss, "binary cross-entropy", high=np.inf)


def calibration_gap_fairmedfm(ece_data_range: Groups) -> Published:
    """Return the largest less the smallest calibration error on each group's own range.

    The bins differ from group to group, so it mixes calibration with the spread of scores.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *ece-gap*.

    Examples
    --------
    >>> calibration_gap_fairmedfm({"A": 0.125, "B": 0.25}).value
    0.125
    """
    return spread(ece_data_range, "calibration error")


def worst_auroc_fairmedfm(auroc: Groups) -> Published:
    """Return the smallest AUROC.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *worst-auc*.

    Examples
    --------
    >>> worst_auroc_fairmedfm({"A": 0.5, "B": 0.75}).value
    0.5
    """
    reason = lacking(auroc, AUROC)
    return undefined(reason) if reason else Published(float(told(auroc, AUROC).min()))


def equity_scaled_fairclip(overall: float | None, groups: Groups) -> Published:
    """Return M / (1 + the sum of the groups' absolute differences from M).

    Parameters
    ----------
    overall
        M of everybody together, in [0, 1]: AUROC, accuracy, Dice.
    groups
        Group → the same M.

    Raises
    ------
    InvalidTable
        If a value cannot be.

    References
    ----------
    Luo et al. 2024, FairCLIP, CVPR (ES-AUC); so too FairVision, and FairSeg (Tian et al. 2024,
    ICLR: ES-Dice).

    Examples
    --------
    >>> equity_scaled_fairclip(0.75, {"A": 0.5, "B": 0.75}).value
    0.6
    """
    found = _with_overall(overall, groups, "M")
    if isinstance(found, Published):
        return found
    whole, values = found
    return Published(float(whole / (1.0 + np.abs(values - whole).sum())))


def equity_scaled_fairmedfm(overall: float | None, groups: Groups) -> Published:
    """Return M / (1 + the standard deviation of the groups' values, divisor k).

    M is the mean over all images, so that large groups weigh more in it, and not the mean over
    groups.

    Parameters
    ----------
    overall, groups
        As of `equity_scaled_fairclip`, which goes by the same name; there it is Dice.

    Raises
    ------
    InvalidTable
        If a value cannot be.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *es_dice*.

    Examples
    --------
    >>> equity_scaled_fairmedfm(0.75, {"A": 0.5, "B": 1.0}).value
    0.6
    """
    found = _with_overall(overall, groups, "M")
    if isinstance(found, Published):
        return found
    return Published(float(found[0] / (1.0 + found[1].std())))


def disparity_std_fairvision(overall: float | None, auroc: Groups) -> Published:
    """Return the standard deviation of the groups' AUROC (divisor k) over the AUROC of everybody.

    References
    ----------
    Luo et al. 2024, FairVision: between-group disparity.

    Examples
    --------
    >>> disparity_std_fairvision(0.75, {"A": 0.5, "B": 1.0}).value
    0.3333333333333333
    """
    return _over(overall, auroc, "std", chance=0.0)


def disparity_range_fairvision(overall: float | None, auroc: Groups) -> Published:
    """Return the largest less the smallest AUROC over the AUROC of everybody.

    References
    ----------
    Luo et al. 2024, FairVision: between-group disparity, *max*.

    Examples
    --------
    >>> disparity_range_fairvision(0.75, {"A": 0.5, "B": 1.0}).value
    0.6666666666666666
    """
    return _over(overall, auroc, "range", chance=0.0)


def disparity_std_half_fairvision(overall: float | None, auroc: Groups) -> Published:
    """Return the same over the distance of the AUROC of everybody from 0.5.

    References
    ----------
    Luo et al. 2024, FairVision: the code's *half* version.

    Examples
    --------
    >>> disparity_std_half_fairvision(0.75, {"A": 0.5, "B": 1.0}).value
    1.0
    """
    return _over(overall, auroc, "std", chance=0.5)


def disparity_range_half_fairvision(overall: float | None, auroc: Groups) -> Published:
    """Return the range of AUROC over the distance of the AUROC of everybody from 0.5.

    References
    ----------
    Luo et al. 2024, FairVision: the code's *half* version, *max*.

    Examples
    --------
    >>> disparity_range_half_fairvision(0.75, {"A": 0.5, "B": 1.0}).value
    2.0
    """
    return _over(overall, auroc, "range", chance=0.5)


def dice_gap_fairmedfm(dice: Groups) -> Published:
    """Return the largest less the smallest mean Dice.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: *delta_dice*.

    Examples
    --------
    >>> dice_gap_fairmedfm({"A": 0.5, "B": 0.75}).value
    0.25
    """
    return spread(dice, DICE)


def skewness_fairmedfm(dice: Groups) -> Published:
    """Return the largest over the smallest error of the groups, (1 - min) / (1 - max): 1 is equal.

    Undefined where a group has no error at all.

    References
    ----------
    Wang & Deng 2020, CVPR (skewed error ratio); Jin et al. 2024, FairMedFM: *skewness_dice*.

    Examples
    --------
    >>> skewness_fairmedfm({"A": 0.5, "B": 0.75}).value
    2.0
    """
    reason = lacking(dice, DICE)
    if reason:
        return undefined(reason)
    values = told(dice, DICE)
    if values.max() == 1.0:
        return undefined(f"{DICE} is 1 in a group: there is no ratio of errors")
    return Published(float((1.0 - values.min()) / (1.0 - values.max())))


def adjusted_accuracy(sensitivity: Groups, specificity: Groups) -> Published:
    """Return the unweighted mean of accuracy over cells of group and label.

    That is the mean over groups of their balanced accuracy.

    Parameters
    ----------
    sensitivity, specificity
        Group → rate, of the same groups: accuracy in its cells of label 1 and of label 0.

    Raises
    ------
    InvalidTable
        If the groups differ, or a rate cannot be.

    References
    ----------
    Yang, Zhang, Katabi & Ghassemi 2023, Change is hard (SubpopBench), ICML. Accuracy weighted by
    the cells of the training data goes by almost the same name: `adjusted_average_accuracy_sagawa`.

    Examples
    --------
    >>> adjusted_accuracy({"A": 0.5, "B": 0.75}, {"A": 1.0, "B": 0.75}).value
    0.75
    """
    same_groups([sensitivity, specificity], [SENSITIVITY, SPECIFICITY])
    reason = lacking(sensitivity, SENSITIVITY) or lacking(specificity, SPECIFICITY)
    if reason:
        return undefined(reason)
    cells = told(sensitivity, SENSITIVITY), told(specificity, SPECIFICITY)
    return Published(float(np.concatenate(cells).mean()))


def adjusted_average_accuracy_sagawa(accuracy: Groups, training_images: Groups) -> Published:
    """Return the mean accuracy over cells, weighted by their images in the training data.

    Parameters
    ----------
    accuracy
        Cell of group and label → accuracy on the audited images.
    training_images
        The same cells → how many images they had in training.

    Raises
    ------
    InvalidTable
        If the cells differ, or a value cannot be.

    References
    ----------
    Sagawa, Koh, Hashimoto & Liang 2020, ICLR: the average accuracy on Waterbirds; named so later.

    Examples
    --------
    >>> adjusted_average_accuracy_sagawa({"A1": 1.0, "B1": 0.5}, {"A1": 30, "B1": 10}).value
    0.875
    """
    same_groups([accuracy, training_images], ["accuracy", "training images"])
    reason = lacking(accuracy, "accuracy") or lacking(training_images, "training images")
    if reason:
        return undefined(reason)
    weights = told({n: training_images[n] for n in accuracy}, "training images", high=np.inf)
    if not weights.sum() > 0.0:
        return undefined("no training images")
    return Published(float(np.average(told(accuracy, "accuracy"), weights=weights)))


def _with_overall(
    overall: float | None, groups: Groups, what: str
) -> tuple[float, Reals] | Published:
    reason = lacking(groups, what)
    if overall is None or np.isnan(overall):
        reason = f"{what} of everybody is undefined"
    if reason or overall is None:
        return undefined(reason or "")
    return float(told({"everybody": overall}, what)[0]), told(groups, what)


def _over(overall: float | None, groups: Groups, kind: str, *, chance: float) -> Published:
    found = _with_overall(overall, groups, AUROC)
    if isinstance(found, Published):
        return found
    whole, values = found
    if whole == chance:
        return undefined(f"{AUROC} of everybody is {chance:g}: there is nothing to divide by")
    distance = values.std() if kind == "std" else np.ptp(values)
    return Published(float(distance / abs(whole - chance)))
