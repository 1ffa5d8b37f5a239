"""Rows to train on, in which one group is small and its label is read off another direction."""

import numpy as np

from equipoise.mitigations import Training


def training(n=300, seed=0, unknown=0):
    rng = np.random.default_rng(seed)
    groups = np.where(rng.random(n) < 0.15, "B", "A").astype("<U7")
    y = rng.random(n) < 0.4
    sign = np.where(y, 1.0, -1.0)
    x = rng.normal(size=(n, 4))
    x[:, 0] += sign * np.where(groups == "A", 1.5, 0.0)
    x[:, 1] += sign * np.where(groups == "B", 1.5, 0.0)
    groups[:unknown] = "unknown"
    return Training(x, y, groups)
