"""Published group-fairness numbers as their sources define them, under names that tell them apart.

They are points for comparison with papers and toolkits, without intervals; what is judged are the
contrasts of `audit.estimates`. `definitions` lists them; each is a function of the groups' values,
which `by_group` takes from a table of estimates and `rates` and `scored` from arrays. Where a group
has no value the number has none either, and says why.
"""

from equipoise.metrics.literature.attained import (
    sensitivity_at_specificity,
    sensitivity_at_specificity_medfair,
    specificity_at_sensitivity,
)
from equipoise.metrics.literature.catalogue import (
    DEFINITIONS,
    Definition,
    definition,
    definitions,
)
from equipoise.metrics.literature.conventions import (
    best_f1_threshold_fairmedfm,
    called_fairlearn,
    called_fairmedfm,
    rates,
    scored,
)
from equipoise.metrics.literature.odds import (
    demographic_parity_difference_fairlearn,
    demographic_parity_medfair,
    demographic_parity_ratio_fairlearn,
    eq_opp_0_by_label,
    eq_opp_0_medfair,
    eq_opp_1_by_label,
    eq_opp_1_medfair,
    equal_opportunity_difference_fairlearn,
    equal_opportunity_fairmedfm,
    equal_opportunity_ratio_fairlearn,
    equalised_odds_difference_fairlearn,
    equalised_odds_mean_fairlearn,
    equalised_odds_medfair,
    equalised_odds_ratio_fairlearn,
)
from equipoise.metrics.literature.published import Published
from equipoise.metrics.literature.scaled import (
    accuracy_gap_fairmedfm,
    adjusted_accuracy,
    adjusted_average_accuracy_sagawa,
    auroc_gap_fairmedfm,
    calibration_gap_fairmedfm,
    cross_entropy_gap_fairmedfm,
    dice_gap_fairmedfm,
    disparity_range_fairvision,
    disparity_range_half_fairvision,
    disparity_std_fairvision,
    disparity_std_half_fairvision,
    equity_scaled_fairclip,
    equity_scaled_fairmedfm,
    skewness_fairmedfm,
    worst_auroc_fairmedfm,
)
from equipoise.metrics.literature.tabulated import by_group, of_everybody, tabulated

__all__ = [
    "DEFINITIONS",
    "Definition",
    "Published",
    "accuracy_gap_fairmedfm",
    "adjusted_accuracy",
    "adjusted_average_accuracy_sagawa",
    "auroc_gap_fairmedfm",
    "best_f1_threshold_fairmedfm",
    "by_group",
    "calibration_gap_fairmedfm",
    "called_fairlearn",
    "called_fairmedfm",
    "cross_entropy_gap_fairmedfm",
    "definition",
    "definitions",
    "demographic_parity_difference_fairlearn",
    "demographic_parity_medfair",
    "demographic_parity_ratio_fairlearn",
    "dice_gap_fairmedfm",
    "disparity_range_fairvision",
    "disparity_range_half_fairvision",
    "disparity_std_fairvision",
    "disparity_std_half_fairvision",
    "eq_opp_0_by_label",
    "eq_opp_0_medfair",
    "eq_opp_1_by_label",
    "eq_opp_1_medfair",
    "equal_opportunity_difference_fairlearn",
    "equal_opportunity_fairmedfm",
    "equal_opportunity_ratio_fairlearn",
    "equalised_odds_difference_fairlearn",
    "equalised_odds_mean_fairlearn",
    "equalised_odds_medfair",
    "equalised_odds_ratio_fairlearn",
    "equity_scaled_fairclip",
    "equity_scaled_fairmedfm",
    "of_everybody",
    "rates",
    "scored",
    "sensitivity_at_specificity",
    "sensitivity_at_specificity_medfair",
    "skewness_fairmedfm",
    "specificity_at_sensitivity",
    "tabulated",
    "worst_auroc_fairmedfm",
]
