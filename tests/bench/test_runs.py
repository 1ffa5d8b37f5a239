import numpy as np
import polars as pl

from equipoise.adapt.outcomes import Outcome
from equipoise.bench.runs import Said

SCORE = np.array([0.2, 0.6, 0.2, 0.6], np.float32)
FOLDS = np.array([0, 0, 1, 1])


def outcome(cuts, reason=None):
    points = [
        {"operating_point": name, "fold": fold, "threshold": cut}
        for name, by_fold in cuts.items()
        for fold, cut in by_fold.items()
    ]
    return Outcome("x", "a", "a", 3, "a-3", {}, {}, SCORE, points, reason)


def test_each_fold_is_called_at_its_own_threshold_and_each_point_at_its_own():
    said = Said()
    said.add(outcome({"high": {0: 0.7, 1: 0.5}, "low": {0: 0.1, 1: 0.3}}), FOLDS)
    everyone = np.ones(4, dtype=bool)
    assert said.answers("high", everyone).called.tolist() == [[False, False, False, True]]
    assert said.answers("low", everyone).called.tolist() == [[True, True, False, True]]
    assert said.answers("low", FOLDS == 1).called.tolist() == [[False, True]]
    assert not said.answers(None, everyone).called.any()


def test_one_threshold_is_for_all_and_a_failure_is_no_run():
    said = Said()
    said.add(outcome({"high": {None: 0.5}}), FOLDS)
    said.add(outcome({}, "why"), FOLDS)
    said.add(outcome({"high": {None: 0.1}}), FOLDS)
    called = said.answers("high", np.ones(4, dtype=bool)).called
    assert pl.Series(called.sum(axis=1)).to_list() == [2, 4]
    assert said.failed == ["seed 3: why"]
