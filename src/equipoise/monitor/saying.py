"""All that a monitor says, as data: what ``monitoring.json`` holds and the page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from equipoise import bundles, metrics
from equipoise.monitor.cases import REFUSED
from equipoise.monitor.drifting import fresh, groups, inside
from equipoise.monitor.judging import facts
from equipoise.monitor.labelling import Labelled
from equipoise.monitor.options import Options
from equipoise.monitor.questions import RATES
from equipoise.monitor.watching import Chart, Watch, Watched, expected
from equipoise.policies import Judgement


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that came of one look.

    Parameters
    ----------
    bundle
        What is watched.
    labelled
        The cases with what is known of them.
    source
        *log*, *tables* or *cohort*.
    periods, recent
        All, and the latest ones that must show that the policy holds.
    watch
        Questions and charts.
    table, drift
        The tables *monitoring* and *drift*.
    delays, reached, guessed
        As `equipoise.monitor.reaching` gives them.
    adjudicate
        Which cases to label next.
    judgement
        The verdict.
    notes
        What was left out or odd → how many.
    """

    bundle: bundles.Bundle
    labelled: Labelled
    source: str
    periods: Sequence[str]
    recent: Sequence[str]
    watch: Watch
    table: pl.DataFrame
    drift: pl.DataFrame
    delays: Sequence[Mapping[str, object]]
    reached: Sequence[Mapping[str, object]]
    guessed: Sequence[Mapping[str, object]]
    adjudicate: pl.DataFrame
    judgement: Judgement
    notes: Mapping[str, int]


def content(seen: Seen, options: Options) -> dict[str, object]:
    """Return what was seen, for JSON."""
    frame = seen.labelled.frame
    return {
        "title": options.title,
        "language": options.language,
        "bundle": {"name": seen.bundle.name, "digest": seen.bundle.digest},
        "override": None
        if seen.bundle.override is None
        else seen.bundle.override.model_dump(mode="json"),
        "source": seen.source,
        "as_of": str(seen.labelled.as_of.date()),
        "periods": list(seen.periods),
        "recent": list(seen.recent),
        "level": options.level,
        "minimum": options.minimum,
        "n_cases": frame.height,
        "n_patients": frame["patient_key"].n_unique(),
        "n_labelled": int(frame["labelled_at"].is_not_null().sum()),
        "delays_known": seen.labelled.delays_known,
        "verdict": seen.judgement.as_json(),
        "questions": [question(one, seen) for one in seen.watch.watched],
        "charts": [_chart(one, seen.watch) for one in seen.watch.charts],
        "groups": _people(seen),
        "drift": _drift(seen.drift),
        "delays": list(seen.delays),
        "reached": list(seen.reached),
        "guessed": list(seen.guessed),
        "adjudicate": _listed(seen.adjudicate),
        "refused": _refused(frame),
        "notes": dict(seen.notes),
    }


def question(one: Watched, seen: Seen) -> dict[str, object]:
    """Return one question with its numbers so far."""
    asked = one.question
    return {
        "name": asked.name,
        "kind": asked.kind,
        "metric": asked.metric,
        "group": asked.group,
        "bound": asked.bound,
        **facts([one], one),
        "first": _rate(one.bets.first),
        "second": _rate(one.bets.second),
        "n_first_total": len(one.bets.first),
        "n_second_total": len(one.bets.second),
        "bets": len(one.bets.gains),
        "needed": needed(one, seen),
    }


def needed(one: Watched, seen: Seen) -> int | None:
    """Return how many cases of an arm an alarm would take for a gap 0.10 beyond what is tolerated.

    From the reference's rates, as if the bettor knew the gap, with what sharing the stake and the
    family cost: a guide to patience, no promise. None where the reference gives no rate.
    """
    asked = one.question
    rate = expected(seen.bundle, asked) if asked.metric in RATES else None
    if rate is None:
        return None
    excess = 0.10
    if asked.kind == "contrast":
        worse = max(rate - asked.bound - excess, 0.02)
        scale = 1.0 + asked.bound
        spread = rate * (1.0 - rate) + worse * (1.0 - worse)
    else:
        worse = max(asked.bound - excess, 0.02)
        scale = 1.0 - asked.bound
        spread = worse * (1.0 - worse)
    gain, square = excess / scale, (spread + excess**2) / scale**2
    pace = gain**2 / (2.0 * square)
    cost = seen.watch.line + float(np.log(max(len(seen.watch.watched), 1))) + 1.2
    return int(np.ceil(cost / pace))


def _chart(one: Chart, watch: Watch) -> dict[str, object]:
    design = one.design
    return {
        "metric": one.metric,
        "finding": one.finding,
        "operating_point": one.point,
        "group": one.group,
        "subgroup": dict(one.subgroup),
        "expected": None if design is None else design.expected,
        "worse": None if design is None else design.worse,
        "limit": None if design is None else design.limit,
        "run_length": None if design is None else design.run_length,
        "now": float(one.sums[-1]) if len(one.sums) else 0.0,
        "warned": None if one.warned is None else str(one.warned),
        "open": one.open,
        "days": len(watch.days),
    }


def _people(seen: Seen) -> list[dict[str, object]]:
    frame, rows = seen.labelled.frame, []
    for group in groups(seen.bundle):
        mine = inside(frame, group)
        rows.append(
            {
                "group": metrics.named(dict(group)),
                "subgroup": dict(group),
                "n_cases": mine.height,
                "n_patients": mine["patient_key"].n_unique(),
                "n_labelled": int(mine["labelled_at"].is_not_null().sum()),
                "n_refused": int((mine["outcome"] == REFUSED).sum()),
            }
        )
    return rows


def _drift(table: pl.DataFrame) -> dict[str, object]:
    changed = table.filter(pl.col("status") == "changed")
    key = ["group", "what", "against"]
    first = changed.group_by(key, maintain_order=True).agg(
        pl.col("period").first().alias("since"),
        pl.len().alias("periods"),
        pl.col("distance").max(),
        pl.col("p").min(),
    )
    return {
        "tests": table.height,
        "fresh": fresh(table).height,
        "too_few": int((table["status"] == "too few").sum()),
        "changed": first.to_dicts(),
    }


def _listed(table: pl.DataFrame) -> list[dict[str, object]]:
    by = table.group_by("group", "called", maintain_order=True)
    return by.agg(
        pl.len().alias("n_drawn"), pl.col("n_stratum").first(), pl.col("weight").first()
    ).to_dicts()


def _refused(frame: pl.DataFrame) -> list[dict[str, object]]:
    mine = frame.filter(pl.col("outcome") == REFUSED)
    if not mine.height or "refusal" not in mine.columns:
        return []
    return (
        mine.group_by("refusal").len().sort("len", "refusal", descending=[True, False]).to_dicts()
    )


def _rate(values: np.typing.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
