"""Scores of one arm as counts per level, and the derivative by finite differences."""

import numpy as np


def counted(score, label):
    """Return counts of negatives and positives ``(1, levels)`` and the levels."""
    levels, position = np.unique(score, return_inverse=True)
    both = [np.bincount(position[label == y], minlength=len(levels)) for y in (0, 1)]
    return both[0][None].astype(float), both[1][None].astype(float), levels


def drawn(n, *, seed=0, decimals=2, prevalence=0.3, apart=1.2):
    """Return scores in (0, 1), with ties, and labels."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < prevalence
    logit = rng.normal(-1.0, 1.3, n) + apart * label
    return np.round(1 / (1 + np.exp(-logit)), decimals).clip(0.01, 0.99), label.astype(int)


def slopes(function, negative, positive, score, *, step=1e-4):
    """Return the derivative of the first arm's value in every count, by central differences.

    All other counts shrink in proportion, so that the number of images stays.
    """
    counts = np.stack([negative, positive], axis=1)[:1]  # (arm, class, level)
    total = counts.sum()
    found = np.zeros(counts.shape[1:])
    for kind in np.ndindex(found.shape):
        values = []
        for sign in (1, -1):
            moved = counts * (1 - sign * step / total)
            moved[(0, *kind)] += sign * step
            values.append(function(moved[:, 0], moved[:, 1], score)[0][0])
        found[kind] = (values[0] - values[1]) / (2 * step)
    return found


def jackknifed(function, negative, positive, score):
    """Return the standard error by leaving out one image at a time (of each kind once)."""
    counts = np.stack([negative, positive], axis=1)[:1]
    values, weights = [], []
    for kind in np.argwhere(counts[0] > 0):
        fewer = counts.copy()
        fewer[(0, *kind)] -= 1
        values.append(function(fewer[:, 0], fewer[:, 1], score)[0][0])
        weights.append(counts[(0, *kind)])
    mean = np.average(values, weights=weights)
    n = sum(weights)
    return np.sqrt((n - 1) / n * np.dot(weights, (np.array(values) - mean) ** 2))
