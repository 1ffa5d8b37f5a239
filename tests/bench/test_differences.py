import numpy as np
import pytest
from scipy.special import ndtri

from equipoise.bench.differences import Images, critical, rows, sides
from equipoise.metrics import Answers, Minimum


def drawn(seed, aurocs, n=400):
    """Return two ways of training whose AUROCs by group are known, and whom they are tested on."""
    rng = np.random.default_rng(seed)
    label, group = np.arange(n) % 2 == 1, np.arange(n) // 2 % 2
    noise = rng.normal(size=n)
    said = []
    for one in aurocs:
        score = label * np.sqrt(2.0) * ndtri(np.array(one))[group]
        score = score + 0.8 * noise + 0.6 * rng.normal(size=n)
        said.append(Answers(score[None], score[None] > 1))
    whom = Images(label, np.arange(n), {"F": group == 0, "M": group == 1}, Minimum())
    return *said, whom


def one(found, quantity, **given):
    told = [r for r in found if r["quantity"] == quantity and given.items() <= r.items()]
    assert len(told) == 1
    return told[0]


def test_limits_of_the_worst_group_hold_the_truth_where_groups_tie_and_where_they_do_not():
    """Both ways of training have true AUROCs that are known; limits are at 95 % and more."""
    truth = {"worst group": -0.05, "largest contrast": 0.05, "contrast": 0.05}
    outside, draws = dict.fromkeys(truth, 0), 200
    for seed in range(draws):
        found = list(rows(sides("auroc", *drawn(seed, [(0.8, 0.8), (0.8, 0.75)])), 1.96))
        for name, value in truth.items():
            row = one(found, name)
            outside[name] += not row["low"] <= value <= row["high"]
    assert max(outside.values()) <= 0.05 * draws + 2 * np.sqrt(0.05 * 0.95 * draws)


def test_a_contrast_is_the_first_group_less_the_second():
    found = list(rows(sides("auroc", *drawn(0, [(0.8, 0.8), (0.9, 0.6)])), 1.96))
    groups = {name: one(found, "group", group=name) for name in ("F", "M")}
    contrast = one(found, "contrast", group="F", against="M")
    for side in ("first", "second", "difference"):
        assert contrast[side] == pytest.approx(groups["F"][side] - groups["M"][side])
    assert contrast["low"] > 0.1


def test_more_members_make_a_family_wider():
    few = [sides("auroc", *drawn(0, [(0.8, 0.8), (0.8, 0.75)]))]
    many = few + [sides("auroc", *drawn(seed, [(0.8, 0.8), (0.8, 0.75)])) for seed in range(1, 8)]
    assert 1.96 < critical(few, 0.95) < critical(many, 0.95)
