"""What forbids a pass and is no evidence itself: open warnings, biased labels, who is unknown."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from equipoise import bundles
from equipoise.errors import Refused
from equipoise.metrics import UNKNOWN
from equipoise.monitor.cases import SCORED
from equipoise.monitor.drifting import fresh
from equipoise.monitor.judging import Hindrance
from equipoise.monitor.labelling import Labelled
from equipoise.monitor.options import Options
from equipoise.monitor.reaching import apart, share_of
from equipoise.monitor.watching import Watch
from equipoise.policies import Verdict


def hindrances(
    bundle: bundles.Bundle,
    labelled: Labelled,
    watched: Watch,
    drifted: pl.DataFrame,
    reach: Sequence[Mapping[str, object]],
    recent: Sequence[str],
    options: Options,
) -> list[Hindrance]:
    """Return what forbids a pass of this look.

    Parameters
    ----------
    bundle, labelled
        What is watched.
    watched
        Its charts warn.
    drifted
        The table *drift*.
    reach
        Who gets a label, as `equipoise.monitor.reaching.reached` gives it.
    recent
        The latest periods.
    options
        Whether cases wait until their follow-up is over.
    """
    return [
        *_warned(watched),
        *_changed(fresh(drifted).filter(pl.col("period").is_in(list(recent)))),
        *_dependent(reach),
        *_hurried(reach, options),
        *_unanswered(bundle, labelled, recent),
        *_unknown(bundle, labelled, recent),
        *_override(bundle, labelled),
    ]


def _warned(watched: Watch) -> Iterator[Hindrance]:
    warned = [chart for chart in watched.charts if chart.open]
    if warned:
        yield Hindrance(
            "early warning",
            f"{len(warned)} CUSUM charts warned in the latest periods, as that of "
            f"{warned[0].metric} of {warned[0].group}: a warning, not evidence",
        )


def _changed(changed: pl.DataFrame) -> Iterator[Hindrance]:
    if changed.height:
        row = changed.row(0, named=True)
        yield Hindrance(
            "what comes in has changed",
            f"{changed.height} tests of the latest periods, as {row['what']} of {row['group']} in "
            f"{row['period']} against the {row['against']}: what is different need "
            "not be worse, but must be looked at",
        )


def _hurried(reach: Sequence[Mapping[str, object]], options: Options) -> Iterator[Hindrance]:
    hurried = [row for row in reach if row["sooner"]]
    if hurried and options.settled_days < options.follow_up_days:
        yield Hindrance(
            "how soon a label comes",
            f"in {hurried[0]['group']} it depends on what the model decided: labels so far are no "
            "fair sample, and an alarm may be false; settle_days, the time to follow-up, mends it",
        )


def _dependent(reach: Sequence[Mapping[str, object]]) -> Iterator[Hindrance]:
    dependent = [row for row in reach if row["depends"]]
    if dependent:
        yield Hindrance(
            "who gets a label",
            f"in {dependent[0]['group']} the share of cases with a label depends on what the model "
            "decided: rates among labelled cases are not those of all",
        )


def _unanswered(
    bundle: bundles.Bundle, labelled: Labelled, recent: Sequence[str]
) -> Iterator[Hindrance]:
    """Yield a warning if a model is silent more often for a group than for the rest.

    Rates are those of answered cases: who is silent where it would be wrong looks better.
    """
    frame = labelled.frame.filter(pl.col("period").is_in(list(recent)))
    scores = [f"score:{name}" for name in bundle.findings]
    there = [pl.col(name).is_not_null() for name in scores if name in frame.columns]
    frame = frame.with_columns(
        answered=pl.all_horizontal(pl.col("outcome") == SCORED, *there)
        & pl.lit(len(there) == len(scores))
    )
    for name, levels in bundle.audit.attributes.items():
        for level in (level for level in levels if level != UNKNOWN):
            known = frame.filter(pl.col(name) != UNKNOWN)
            own = share_of(known.filter(pl.col(name) == level), "answered")
            rest = share_of(known.filter(pl.col(name) != level), "answered")
            if apart(own, rest) and float(str(own["share"])) < float(str(rest["share"])):
                yield Hindrance(
                    "who gets an answer",
                    f"{own['share']:.1%} of the cases of {name}={level} in the latest periods were "
                    f"answered, {rest['share']:.1%} of the rest: rates are those of answered cases",
                )


def _unknown(bundle: bundles.Bundle, labelled: Labelled, recent: Sequence[str]) -> list[Hindrance]:
    most = bundle.policy.maximum_unknown_share
    if most is None:
        return []
    frame = labelled.frame.filter(pl.col("period").is_in(list(recent)))
    found = []
    judged_by = {
        name
        for part in [*bundle.policy.criteria, *bundle.policy.floors]
        for names in part.sets()
        for name in names
    }
    for name in [n for n in bundle.audit.attributes if n in judged_by]:
        people = frame["patient_key"].n_unique()
        unknown = frame.filter(pl.col(name) == UNKNOWN)["patient_key"].n_unique()
        if people and unknown / people > most:
            reason = (
                f"{name} is unknown for {unknown / people:.1%} of the patients of the latest "
                f"periods; at most {most:.1%} may be"
            )
            found.append(Hindrance("unknown share", reason, Verdict.NOT_ASSESSABLE))
    return found


def _override(bundle: bundles.Bundle, labelled: Labelled) -> list[Hindrance]:
    given = bundle.override
    if given is None:
        return []
    try:
        bundles.check_in_force(given, on=labelled.as_of.date(), name=bundle.name)
    except Refused as error:
        return [Hindrance("override", str(error))]
    return [
        Hindrance(
            "override",
            f"the bundle was released without a pass, by {given.name} until {given.expires}: "
            f"{given.reason}",
        )
    ]
