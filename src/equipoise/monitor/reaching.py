"""How long labels take, whom they reach, and what is only guessed without them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles, metrics, surveillance
from equipoise.monitor.cases import SCORED
from equipoise.monitor.drifting import groups, histogram, inside
from equipoise.monitor.labelling import Labelled, came_at
from equipoise.monitor.options import Options
from equipoise.monitor.streams import called_positive

DAYS = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0)
"""Where the share of cases with a label is told."""

_FEWEST = 10
_DAY = 86_400.0

CAUTION = "estimate, valid only under covariate shift"


def delays(
    labelled: Labelled, bundle: bundles.Bundle, rng: np.random.Generator
) -> list[dict[str, object]]:
    """Return how the labels of each group came, finding by finding; none if that is not known.

    A case without a label counts as still waiting on the day of the look. Beyond the age of the
    oldest case nothing is known yet: the share is null there.
    """
    if not labelled.delays_known:
        return []
    rows: list[dict[str, object]] = []
    for finding in bundle.findings:
        scored = _waits(labelled, finding)
        for group in groups(bundle):
            mine = inside(scored, group)
            made = surveillance.arrival(
                mine["waited"].to_numpy(),
                mine["came"].to_numpy().astype(bool),
                mine["patient_key"].rank("dense").to_numpy().astype(np.int64),
                days=np.array(DAYS),
                rng=rng,
            )
            rows.append(
                {
                    "finding": finding,
                    "group": metrics.named(dict(group)),
                    "subgroup": dict(group),
                    "n": made.n,
                    "n_labelled": made.n_labelled,
                    "n_patients": made.n_patients,
                    "median_days": made.median_days,
                    "days": list(DAYS),
                    "share": _seen(made.share, mine),
                    "low": _seen(made.low, mine),
                    "high": _seen(made.high, mine),
                }
            )
    return rows


def _seen(shares: npt.NDArray[np.float64], mine: pl.DataFrame) -> list[float | None]:
    """Return the shares at `DAYS`, null for ages that no case has reached."""
    oldest = mine["age"].to_numpy().max(initial=0.0)
    return [
        float(share) if day <= oldest else None for day, share in zip(DAYS, shares, strict=True)
    ]


def reached(
    labelled: Labelled, bundle: bundles.Bundle, options: Options
) -> list[dict[str, object]]:
    """Return which share of cases old enough has a label, by group and by the model's decision.

    If the share depends on the decision, rates among labelled cases are not those of all cases
    (verification bias). If it is told *sooner* for one decision, whether a label came within half
    of the waiting times depends on it: rates among labels so far are not those of all labels.

    References
    ----------
    Begg & Greenes 1983, Biometrics 39:207.
    """
    rows = []
    for finding, point, threshold in _first_points(bundle):
        scored = _waits(labelled, finding).filter(pl.col("age") >= options.follow_up_days)
        called = pl.Series("called", called_positive(scored[f"score:{finding}"], threshold))
        both = scored.with_columns(called)
        for group in groups(bundle):
            mine = inside(both, group)
            parts = [mine.filter(pl.col("called") == way) for way in (True, False)]
            shares = [share_of(part, "came") for part in parts]
            soon = [share_of(_soon(part, mine), "soon") for part in parts]
            rows.append(
                {
                    "finding": finding,
                    "operating_point": point,
                    "group": metrics.named(dict(group)),
                    "subgroup": dict(group),
                    "called": shares[0],
                    "not_called": shares[1],
                    "depends": apart(shares[0], shares[1]),
                    "sooner": labelled.delays_known and apart(soon[0], soon[1]),
                }
            )
    return rows


def guessed(
    labelled: Labelled, bundle: bundles.Bundle, recent: Sequence[str]
) -> list[dict[str, object]]:
    """Return rates as they would be if scores meant what they meant in the reference, by group.

    These rows are shown with their caution and go nowhere else: `equipoise.monitor.judging` has
    no way to be given them.
    """
    rows = []
    lately = labelled.frame.filter(
        pl.col("period").is_in(list(recent)) & (pl.col("outcome") == SCORED)
    )
    for finding, point, threshold in _first_points(bundle):
        score = f"score:{finding}"
        if score not in lately.columns:
            continue
        there = lately.filter(pl.col(score).is_not_null())
        for group in groups(bundle):
            mine, both = inside(there, group), histogram(bundle, finding, group)
            enough = both is not None and min(b.sum() for b in both) >= _FEWEST
            told: Mapping[str, float] = {}
            if both is not None and enough and mine.height:
                told = surveillance.expected_rates(
                    mine[score].cast(pl.Float64).to_numpy(),
                    called_positive(mine[score], threshold),
                    surveillance.calibrated(*both),
                )
            rows.append(
                {
                    "finding": finding,
                    "operating_point": point,
                    "group": metrics.named(dict(group)),
                    "subgroup": dict(group),
                    "n": mine.height,
                    "sensitivity": told.get("sensitivity"),
                    "specificity": told.get("specificity"),
                    "basis": "no labels",
                    "caution": CAUTION,
                }
            )
    return rows


def _waits(labelled: Labelled, finding: str) -> pl.DataFrame:
    """Return scored cases with `age`, `came` and `waited` (days)."""
    label, score = f"label:{finding}", f"score:{finding}"
    frame = labelled.frame.filter(pl.col("outcome") == SCORED)
    if score in frame.columns:
        frame = frame.filter(pl.col(score).is_not_null())
    here = pl.col(label).is_not_null() if label in frame.columns else pl.lit(value=False)
    age = (pl.lit(labelled.as_of) - pl.col("at")).dt.total_seconds() / _DAY
    came = came_at(label) if label in frame.columns else "labelled_at"
    wait = (pl.col(came) - pl.col("at")).dt.total_seconds() / _DAY
    return frame.with_columns(came=here, age=age).with_columns(
        waited=pl.when("came").then(wait).otherwise("age")
    )


def _soon(part: pl.DataFrame, mine: pl.DataFrame) -> pl.DataFrame:
    """Return a part with `soon`: whether a label came within the group's median wait."""
    median = mine.filter("came")["waited"].median()
    limit = median if isinstance(median, float) else 0.0
    return part.with_columns(soon=pl.col("came") & (pl.col("waited") <= limit))


def _first_points(bundle: bundles.Bundle) -> list[tuple[str, str, float]]:
    """Return each finding with its first operating point."""
    rows = bundle.operating_points.unique("finding", keep="first", maintain_order=True)
    told = rows.select("finding", "operating_point", "threshold").iter_rows()
    return [(str(f), str(p), float(t)) for f, p, t in told]


def share_of(mine: pl.DataFrame, flag: str) -> dict[str, object]:
    """Return the share of cases with a flag and its limits, patients as clusters.

    Examples
    --------
    >>> none = pl.DataFrame({"patient_key": [], "came": []})
    >>> share_of(none, "came")["share"] is None
    True
    """
    if not mine.height:
        return {"n": 0, "labelled": 0, "share": None, "low": None, "high": None}
    came = mine[flag].to_numpy().astype(bool)
    who = mine["patient_key"].rank("dense").to_numpy().astype(np.int64)
    share, low, high = surveillance.labelled_share(came, who)
    return {
        "n": mine.height,
        "labelled": int(came.sum()),
        "share": share,
        "low": low,
        "high": high,
    }


def apart(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether the intervals of two shares do not meet.

    Examples
    --------
    >>> low = {"n": 50, "low": 0.1, "high": 0.3}
    >>> apart(low, {"n": 50, "low": 0.4, "high": 0.6}), apart(low, low)
    (True, False)
    """
    limits = [one["low"], one["high"], other["low"], other["high"]]
    if min(int(str(one["n"])), int(str(other["n"]))) < _FEWEST or None in limits:
        return False
    low, high, other_low, other_high = (float(str(value)) for value in limits)
    return high < other_low or other_high < low
