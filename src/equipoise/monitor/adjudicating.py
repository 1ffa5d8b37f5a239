"""Which cases to look at next: a fixed number per group, drawn at random, weights written down."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from equipoise import bundles, metrics
from equipoise.monitor.cases import SCORED
from equipoise.monitor.labelling import Labelled
from equipoise.monitor.streams import called_positive

COLUMNS = {
    "case_id": pl.String,
    "finding": pl.String,
    "group": pl.String,
    "called": pl.Boolean,
    "period": pl.String,
    "n_stratum": pl.Int64,
    "n_drawn": pl.Int64,
    "weight": pl.Float64,
}


def adjudication(
    labelled: Labelled,
    bundle: bundles.Bundle,
    recent: Sequence[str],
    *,
    budget: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return cases of the latest periods to be labelled next, in the order of their groups.

    Groups are the combinations of the attributes that the policy judges. Within a group every
    patient has the same chance, whatever the model answered: labels of listed cases come back and
    are bet on as they are, and a rate among them would be biased if the answer had a say.

    Parameters
    ----------
    labelled
        The cases; those with a label already, and further cases of a patient, are not drawn.
    bundle
        Says which finding and operating point come first.
    recent
        The latest periods.
    budget
        Cases per group.
    rng
        Draws.

    Returns
    -------
    A row per case; `weight` is the number of patients without a label that it stands for, one
    over its chance to be drawn, by which rates over several groups are weighted.

    References
    ----------
    Horvitz & Thompson 1952, JASA 47:663.
    """
    finding = bundle.findings[0]
    score, label = f"score:{finding}", f"label:{finding}"
    points = bundle.operating_points.filter(pl.col("finding") == finding)
    frame = labelled.frame.filter(
        pl.col("period").is_in(list(recent)) & (pl.col("outcome") == SCORED)
    )
    if score not in frame.columns or not points.height or not budget:
        return pl.DataFrame(schema=COLUMNS)
    known = pl.col(label).is_not_null() if label in frame.columns else pl.lit(value=False)
    open_cases = frame.filter(~known & pl.col(score).is_not_null())
    once = open_cases.unique("patient_key", keep="last", maintain_order=True)
    threshold = float(points["threshold"][0])
    once = once.with_columns(
        pl.Series("called", called_positive(once[score], threshold), dtype=pl.Boolean)
    )
    names = _attributes(bundle)
    drawn = [
        _drawn(group, dict(zip(names, map(str, levels), strict=True)), budget, rng)
        for levels, group in once.sort("case_id").group_by(names, maintain_order=True)
    ]
    made = pl.concat(drawn) if drawn else pl.DataFrame(schema=COLUMNS)
    if drawn:
        made = made.with_columns(finding=pl.lit(finding)).select(list(COLUMNS))
    return made.sort("group", "called", maintain_order=True)


def _drawn(
    group: pl.DataFrame, levels: dict[str, str], budget: int, rng: np.random.Generator
) -> pl.DataFrame:
    n = min(group.height, budget)
    chosen = group[rng.permutation(group.height)[:n]]
    return chosen.select("case_id", "called", "period").with_columns(
        group=pl.lit(metrics.named(dict(levels))),
        n_stratum=pl.lit(group.height, dtype=pl.Int64),
        n_drawn=pl.lit(n, dtype=pl.Int64),
        weight=pl.lit(group.height / n),
    )


def _attributes(bundle: bundles.Bundle) -> list[str]:
    judged = [*bundle.policy.criteria, *bundle.policy.floors]
    named = {name for part in judged for names in part.sets() for name in names}
    return [name for name in bundle.audit.attributes if name in named]
