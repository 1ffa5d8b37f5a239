"""Rows with one thing wrong each, and what is measured of a member on rows it has not seen."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from equipoise import probes, registry
from equipoise.metrics import clustered_auroc
from equipoise.metrics.points import threshold
from equipoise.mitigations import MITIGATIONS, Training, scores
from equipoise.mitigations.steps import featured

PENALTY = 0.01
N_TRAIN, N_TEST = 800, 3000


def spurious(seed, *, agree=0.92, n=N_TRAIN):
    """The attribute goes with the label in training and not in testing, and is easily read."""

    def rows(rng, n, agree):
        y = rng.random(n) < 0.5
        b = np.where(rng.random(n) < agree, y, ~y)
        x = rng.normal(size=(n, 6))
        x[:, 0] += np.where(y, 1.0, -1.0)
        x[:, 1] += np.where(b, 2.0, -2.0)
        return Training(x, y, np.where(b, "B", "A"))

    rng = np.random.default_rng(seed)
    return rows(rng, n, agree), rows(rng, N_TEST, 0.5)


def minority(seed):
    """A tenth is of a group whose label is read off another direction."""

    def rows(rng, n, share):
        b, y = rng.random(n) < share, rng.random(n) < 0.4
        x = rng.normal(size=(n, 6))
        sign = np.where(y, 1.2, -1.2)
        x[:, 0] += np.where(b, 0.0, sign)
        x[:, 1] += np.where(b, sign, 0.0)
        return Training(x, y, np.where(b, "B", "A"))

    rng = np.random.default_rng(seed)
    return rows(rng, N_TRAIN, 0.1), rows(rng, N_TEST, 0.5)


def shifted(seed, *, prevalence=(0.4, 0.4)):
    """Another scanner moves and stretches the embeddings of one group."""

    def rows(rng, n):
        b = rng.random(n) < 0.3
        y = rng.random(n) < np.where(b, prevalence[1], prevalence[0])
        x = rng.normal(size=(n, 6))
        x[:, 0] += np.where(y, 1.2, -1.2)
        x[b] = x[b] * 0.5 + np.array([1.5, 0.5, 0.0, 0.0, -0.5, 0.0])
        return Training(x, y, np.where(b, "B", "A"))

    rng = np.random.default_rng(seed)
    return rows(rng, N_TRAIN), rows(rng, N_TEST)


def unequal(seed):
    """One group has fewer positives and noisier images, which the embedding does not tell."""

    def rows(rng, n):
        b = rng.random(n) < 0.4
        y = rng.random(n) < np.where(b, 0.2, 0.5)
        x = rng.normal(size=(n, 6))
        x[:, 0] += np.where(y, 1.0, -1.0) * np.where(b, 0.7, 1.3)
        return Training(x, y, np.where(b, "B", "A"))

    rng = np.random.default_rng(seed)
    return rows(rng, 2 * N_TRAIN), rows(rng, N_TEST)


def harmless(seed):
    """Nothing is wrong: groups are alike and balanced."""

    def rows(rng, n):
        y = rng.random(n) < 0.5
        x = rng.normal(size=(n, 6))
        x[:, 0] += np.where(y, 1.0, -1.0)
        return Training(x, y, np.where(rng.random(n) < 0.5, "B", "A"))

    rng = np.random.default_rng(seed)
    return rows(rng, N_TRAIN), rows(rng, N_TEST)


def mislabelled(seed):
    """A tenth of the training labels is wrong, in no group more than in another."""
    train, test = harmless(seed)
    flip = np.random.default_rng(1000 + seed).random(len(train.y)) < 0.1
    return Training(train.x, train.y ^ flip, train.groups), test


def subclasses(seed):
    """Nobody recorded the group, but it is what the embedding varies by most."""
    train, test = spurious(seed, agree=0.95)
    for rows in (train, test):
        rows.x[:, 2:5] += np.where(rows.groups == "B", 2.0, -2.0)[:, None]
    return Training(train.x, train.y, np.full(len(train.y), "unknown")), test


def environments(seed):
    """What is spurious agrees with the label to another degree in each group, and later not."""

    def rows(rng, n, agree):
        b = rng.random(n) < 0.5
        core = rng.random(n) < 0.5
        y = core ^ (rng.random(n) < 0.25)
        colour = y ^ (rng.random(n) > np.where(b, agree[1], agree[0]))
        x = 0.5 * rng.normal(size=(n, 3))
        x[:, 0] += np.where(core, 1.0, -1.0)
        x[:, 1] += np.where(colour, 1.0, -1.0)
        return Training(x, y, np.where(b, "B", "A"))

    rng = np.random.default_rng(seed)
    return rows(rng, 5 * N_TRAIN, (0.95, 0.7)), rows(rng, N_TEST, (0.1, 0.1))


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds and its 95 % interval by Student's t."""

    mean: float
    low: float
    high: float
    n: int


def interval(values):
    found = np.asarray(values, dtype=float)
    n = len(found)
    half = stats.t.ppf(0.975, n - 1) * found.std(ddof=1) / np.sqrt(n)
    return Interval(float(found.mean()), float(found.mean() - half), float(found.mean() + half), n)


def fitted(name, train, *, seed=0, penalty=PENALTY, **parameters):
    fit = registry.load(name, MITIGATIONS, kind="mitigation")
    rng = np.random.default_rng(seed)
    return fit(train, penalty=penalty, parameters=parameters, rng=rng, start=None)


def scored(found, test):
    return scores(found, test.x, test.groups)


def auroc(score, truth):
    return clustered_auroc(score, truth, np.arange(len(truth)))[0]


def overall_auroc(found, train, test):
    return auroc(scored(found, test), test.y)


def _by_group(test):
    return [test.groups == name for name in ("A", "B")]


def worst_auroc(found, train, test):
    score = scored(found, test)
    return min(auroc(score[inside], test.y[inside]) for inside in _by_group(test))


def cell_accuracies(found, test):
    right = (scored(found, test) >= 0.5) == test.y
    return [
        float(right[inside & (test.y == label)].mean())
        for inside in _by_group(test)
        for label in (False, True)
    ]


def worst_cell(found, train, test):
    return min(cell_accuracies(found, test))


def best_cell(found, train, test):
    return max(cell_accuracies(found, test))


def best_group(found, train, test):
    """The balanced accuracy of the group that has more of it."""
    cells = cell_accuracies(found, test)
    return max(cells[0] + cells[1], cells[2] + cells[3]) / 2


def worst_group(found, train, test):
    cells = cell_accuracies(found, test)
    return min(cells[0] + cells[1], cells[2] + cells[3]) / 2


def odds_gap(found, train, test):
    """The larger of the differences in true and false positive rate, at 0.5."""
    cells = cell_accuracies(found, test)
    return max(abs(cells[0] - cells[2]), abs(cells[1] - cells[3]))


def mean_gap(found, train, test):
    """The largest difference between mean score and prevalence of a group."""
    score = scored(found, test)
    return max(abs(float(score[one].mean() - test.y[one].mean())) for one in _by_group(test))


def specificity_gap(found, train, test):
    """At one threshold, chosen among all training rows for a specificity of 0.8."""
    at = threshold(scored(found, train), train.y, rule="specificity", at=0.8)
    below = scored(found, test) < at
    first, second = (below[one & ~test.y].mean() for one in _by_group(test))
    return float(abs(first - second))


def missed_gap(found, train, test):
    """The difference of generalised false negative rates."""
    score = scored(found, test)
    first, second = (score[one & test.y].mean() for one in _by_group(test))
    return float(abs(first - second))


def score_gap(found, train, test):
    """The larger difference of mean log odds within a label, in standard deviations."""
    score = scored(found, test).astype(float)
    logit = np.log(score / (1 - score))
    first, second = _by_group(test)
    return max(
        abs(logit[first & kind].mean() - logit[second & kind].mean()) / logit.std()
        for kind in (test.y, ~test.y)
    )


def _features(found, rows):
    return rows.x if found.features is None else featured(found.features, rows.x, rows.groups)


def _told(found, train, test, kind):
    """The AUROC of a linear probe of the group, among rows of some labels, turned if below 0.5."""
    of, to = kind(train), kind(test)
    probe = probes.fit_logistic(_features(found, train)[of], train.groups[of] == "B", penalty=1e-4)
    reached = auroc(probe.scores(_features(found, test)[to]), test.groups[to] == "B")
    return max(reached, 1 - reached)


def group_told(found, train, test):
    return _told(found, train, test, lambda rows: np.full(len(rows.y), True))


def group_told_within(found, train, test):
    """The mean over labels."""
    return np.mean(
        [_told(found, train, test, lambda rows, want=want: rows.y == want) for want in (0, 1)]
    )


def scale_wanted(found, train, test):
    """The largest change of scale that a group's log odds ask for on testing rows."""
    score = scored(found, test).astype(float)
    logit = np.log(score / (1 - score))[:, None]
    lines = [probes.fit_logistic(logit[one], test.y[one], penalty=1e-6) for one in _by_group(test)]
    return max(abs(float(one.weights[0] / one.scale[0]) - 1) for one in lines)


def worst_tenth(found, train, test):
    """The mean log loss of the worst tenth of the training rows (nats)."""
    score = scored(found, train).astype(float)
    loss = np.sort(-np.log(np.where(train.y, score, 1 - score)))
    return float(loss[-len(loss) // 10 :].mean())


def spread_of_scores(found, train, test):
    return float(scored(found, test).std())
