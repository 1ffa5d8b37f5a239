"""How ``literature.json`` was made: needs Fairlearn, fairmedfm, pandas and scikit-learn.

Run as a program with these installed; the tests read only what it printed. The cases are made of
whole numbers, so that each machine makes the same ones.
"""

import json
import sys
import warnings

import numpy as np


def plain():
    """Return label, score and group: 80 images in each of three groups, few ties."""
    i = np.arange(240)
    label = ((i * 7) % 5 < 2).astype(int)
    score = ((i * 37) % 101) / 101 * 0.6 + 0.3 * label + 0.05 * (i % 3) * label
    return label, np.round(score, 6).clip(0, 1), np.array(list("ABC"))[i % 3]


def tied():
    """Return the same of four groups of unlike size, in 21 levels of the score, 0.5 among them."""
    i = np.arange(331)
    label = ((i * 11) % 7 < 2).astype(int)
    score = ((i * 53) % 97 * 14 // 97 + 6 * label - i % 4 // 3) / 20
    return label, np.clip(np.round(score, 2), 0, 1), np.array(list("PQPRPQPSPQ"))[(i * 3) % 10]


def dice():
    """Return Dice and group: three groups of unlike size."""
    i = np.arange(90)
    group = np.array(list("XXXYYZ"))[i % 6]
    return np.round(0.6 + (i * 29 % 31) / 100 + 0.03 * (group == "X"), 4), group


CASES = {"plain": plain, "tied": tied}

EQUAL_F1 = {
    "more precise": ([1] * 2 + [0] * 3 + [1] + [0] * 8, [0.9] + [0.5] * 4 + [0.1] * 9),
    "as precise as sensitive": ([1, 1, 1, 1, 0, 0, 0, 0], [0.9] * 2 + [0.4] * 6),
}
"""Label and score where two thresholds have the same F1, of unlike and of like P + R."""


def by_fairlearn(label, score, group):
    from fairlearn import metrics as fl
    from sklearn import metrics as sk

    called = (score >= 0.5).astype(int)
    given = {"y_true": label, "y_pred": called, "sensitive_features": group}
    rates = {
        "sensitivity": fl.true_positive_rate,
        "false_positive_rate": fl.false_positive_rate,
        "specificity": fl.true_negative_rate,
        "selection_rate": fl.selection_rate,
        "accuracy": sk.accuracy_score,
        "ppv": sk.precision_score,
    }
    frame = fl.MetricFrame(metrics=rates, **given)
    ranked = fl.MetricFrame(
        metrics=sk.roc_auc_score, y_true=label, y_pred=score, sensitive_features=group
    )
    return {
        "groups": {**frame.by_group.to_dict(), "auroc": ranked.by_group.to_dict()},
        "overall": {**frame.overall.to_dict(), "auroc": ranked.overall},
        "numbers": {
            "demographic_parity_difference_fairlearn": fl.demographic_parity_difference(**given),
            "demographic_parity_ratio_fairlearn": fl.demographic_parity_ratio(**given),
            "equal_opportunity_difference_fairlearn": fl.equal_opportunity_difference(**given),
            "equal_opportunity_ratio_fairlearn": fl.equal_opportunity_ratio(**given),
            "equalised_odds_difference_fairlearn": fl.equalized_odds_difference(**given),
            "equalised_odds_mean_fairlearn": fl.equalized_odds_difference(agg="mean", **given),
            "equalised_odds_ratio_fairlearn": fl.equalized_odds_ratio(**given),
        },
    }


def by_fairmedfm(label, score, group):
    import fairmedfm
    import pandas as pd

    found = fairmedfm.evaluate(label, score, pd.DataFrame({"g": group}))
    return {
        "groups": found.by_group.loc["g"].drop(columns=["skipped"]).to_dict(),
        "overall": found.overall,
        "threshold": fairmedfm.metrics.find_threshold(score, label),
        "summary": found.summary.loc["g"].to_dict(),
    }


def chosen_among_equals():
    import fairmedfm

    return {
        name: fairmedfm.metrics.find_threshold(np.array(score), np.array(label))
        for name, (label, score) in EQUAL_F1.items()
    }


def segmented():
    import fairmedfm
    import pandas as pd

    value, group = dice()
    found = fairmedfm.evaluate_segmentation(pd.DataFrame({"g": group}), dice=value)
    return {
        "groups": found.by_group.loc["g"]["mean_dice"].to_dict(),
        "summary": found.summary.loc["g"].to_dict(),
    }


def main():
    from importlib.metadata import version

    warnings.simplefilter("ignore")
    packages = ("fairlearn", "fairmedfm", "pandas", "scikit-learn", "numpy")
    made = {
        "made_with": {name: version(name) for name in packages},
        "dice": segmented(),
        "equal_f1": chosen_among_equals(),
        **{
            name: {"fairlearn": by_fairlearn(*case()), "fairmedfm": by_fairmedfm(*case())}
            for name, case in CASES.items()
        },
    }
    json.dump(made, sys.stdout, indent=1, default=float)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
