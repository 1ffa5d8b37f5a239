"""Where each candidate stands under each rule, beside plain training on the same patients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

import numpy as np

from equipoise.adapt.options import Rule
from equipoise.adapt.outcomes import Outcome
from equipoise.adapt.quantities import Number, Reached, Validation, combined, quantity, reached

RULES: tuple[Rule, ...] = get_args(Rule)
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a rule sees of one candidate; all numbers are means over findings and seeds.

    Parameters
    ----------
    value
        What the rule looks at, higher being better.
    gain
        By how much it is above plain training.
    error
        The standard error of the gain: paired, over patients.
    """

    value: float
    gain: float
    error: float

    def beats(self, times: float) -> bool:
        """Return whether the gain is more than so many standard errors; rounding is none."""
        return self.gain > max(times * self.error, 1e-9)


@dataclass(frozen=True, slots=True)
class Field:
    """All candidates that were fitted throughout, under all rules.

    Parameters
    ----------
    standings
        Candidate → rule → where it stands; None where the rule has no number.
    groups
        Candidate → AUROC of each group and finding, over seeds, in one order.
    """

    standings: Mapping[str, Mapping[Rule, Standing | None]]
    groups: Mapping[str, Vector]

    def worst(self, candidate: str) -> float | None:
        """Return the AUROC of the worst group of any finding."""
        return min(self.groups[candidate], default=None)

    def dominated(self, candidate: str) -> bool:
        """Return whether another is at least as good in every group, and better in one."""
        own = np.array(self.groups[candidate])
        others = [np.array(vector) for name, vector in self.groups.items() if name != candidate]
        return any((one >= own).all() and (one > own).any() for one in others if len(one))


def field(by_candidate: Mapping[str, Sequence[Outcome]], plain: str, on: Validation) -> Field:
    """Return where all candidates stand.

    Parameters
    ----------
    by_candidate
        Candidate → its outcomes, one per finding and seed, none of them failed.
    plain
        The candidate that all are held against.
    on
        Who validates.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import Rows
    >>> from equipoise.adapt.outcomes import Held
    >>> from equipoise.adapt.quantities import validation
    >>> n = 200
    >>> label, ids = np.arange(n) % 2 == 1, [str(i) for i in range(n)]
    >>> rows = Rows(ids, ids, np.zeros((n, 1)), {"x": pl.Series(label)},
    ...             np.array(["F", "F", "M", "M"] * 50), [""] * n, np.arange(n),
    ...             np.array(["validation"] * n), np.zeros(n, int))
    >>> noise = np.random.default_rng(0).normal(size=n)
    >>> made = {name: Held(np.arange(n), (noise + lift * label).astype(np.float32))
    ...         for name, lift in (("plain", 1), ("better", 3))}
    >>> by = {name: [Outcome("x", name, name, 0, name, {}, {}, one.score, [], None, {None: one})]
    ...       for name, one in made.items()}
    >>> found = field(by, "plain", validation(rows, list(made.values()), 10))
    >>> found.standings["better"]["overall"].beats(1.0), found.dominated("plain")
    (True, True)
    """
    values: dict[tuple[str, Rule], float] = {}
    gains: dict[tuple[str, Rule], Number] = {}
    lacking: set[tuple[str, Rule]] = set()
    vectors: dict[str, list[dict[tuple[str, str], float]]] = {name: [] for name in by_candidate}
    keys = list(dict.fromkeys((one.finding, one.seed) for one in by_candidate[plain]))
    # One finding and seed at a time: influence values of all would not fit into memory.
    for key in keys:
        found = dict(_of(by_candidate, key, on))
        utopia = _utopia(list(found.values()))
        for name, one in found.items():
            vectors[name].append({(key[0], g): number.value for g, number in one.groups.items()})
            for rule in RULES:
                own, ref = (quantity(rule, x, utopia) for x in (one, found[plain]))
                if own is None or ref is None:
                    lacking.add((name, rule))
                    continue
                gain = combined([(1.0, own), (-1.0, ref)])
                before = gains.get((name, rule))
                gains[name, rule] = combined([(1.0, before), (1.0, gain)]) if before else gain
                values[name, rule] = values.get((name, rule), 0.0) + own.value
    n = len(keys)
    standings: dict[str, dict[Rule, Standing | None]] = {
        name: {
            rule: None
            if (name, rule) in lacking
            else Standing(
                values[name, rule] / n, gains[name, rule].value / n, gains[name, rule].error / n
            )
            for rule in RULES
        }
        for name in by_candidate
    }
    return Field(standings, {name: _over_seeds(found) for name, found in vectors.items()})


def _of(
    by_candidate: Mapping[str, Sequence[Outcome]], key: tuple[str, int], on: Validation
) -> Iterator[tuple[str, Reached]]:
    for name, outcomes in by_candidate.items():
        for one in outcomes:
            if (one.finding, one.seed) == key:
                yield name, reached(on, one.finding, one.held)


def _utopia(found: Sequence[Reached]) -> dict[str, Number]:
    groups = dict.fromkeys(group for one in found for group in one.groups)
    return {
        group: max((one.groups[group] for one in found), key=lambda number: number.value)
        for group in groups
    }


def _over_seeds(found: Sequence[Mapping[tuple[str, str], float]]) -> Vector:
    keys = sorted({key for one in found for key in one})
    return tuple(fmean(one[key] for one in found if key in one) for key in keys)
