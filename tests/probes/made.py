"""Embeddings with labels, weights and groups, and the objectives of probes written out plainly."""

import numpy as np

from equipoise.probes import Columns, Part


def rows(n=300, d=6, seed=0, findings=3):
    """Return embeddings far from 0 and of unequal scale, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.logspace(-1, 1, d) + np.linspace(-3, 30, d)
    logit = (x - x.mean(0)) / x.std(0) @ rng.normal(size=(d, findings)) - 0.7
    return x, rng.random((n, findings)) < 1 / (1 + np.exp(-logit)), rng


def batch(n=300, d=6, seed=0, dtype=np.float64, findings=3):
    """Return a part with four patterns of weights, and columns that cross what there is."""
    x, y, rng = rows(n, d, seed, findings)
    groups = rng.integers(0, 4, n)
    fold, seen = np.arange(n) % 3, rng.random(n) < 0.8
    plain = np.ones(n)
    patterns = [plain, rng.uniform(0.1, 3.0, n), (fold != 1) * 1.0, seen / (1.0 + groups)]
    weights = np.stack(patterns, axis=1)
    part = Part(x.astype(dtype), y, weights, groups)
    label, pattern, penalty = (
        one.ravel() for one in np.meshgrid(range(findings), range(4), [1e-3, 1e-1], indexing="ij")
    )
    return part, Columns(label.astype(int), pattern.astype(int), penalty)


def standardised(x, weights):
    """Return standardised embeddings in float64."""
    x = x.astype(np.float64)
    mean = np.average(x, axis=0, weights=weights)
    return (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))


def logistic_gradient(fits, part, at):
    """Return the gradient ``(d + 1,)`` of one fit's objective, and the objective, in float64."""
    share = part.weights[:, fits.columns.pattern[at]].astype(np.float64)
    share = share / share.sum()
    y = part.labels[:, fits.columns.label[at]].astype(np.float64)
    z = (part.x.astype(np.float64) - fits.mean[at]) / fits.scale[at]
    logit = z @ fits.weights[at, 0] + fits.intercept[at, 0]
    residual = share * (1 / (1 + np.exp(-logit)) - y)
    penalty = fits.columns.penalty[at]
    w = fits.weights[at, 0]
    value = share @ (np.logaddexp(0, logit) - y * logit) + penalty / 2 * w @ w
    return np.append(z.T @ residual + penalty * w, residual.sum()), value
