"""The page: the alarm state first, in words, then each test, each warning, and what is unknown."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from markupsafe import Markup

from equipoise import figures, pages, words
from equipoise.monitor.judging import written
from equipoise.monitor.options import Options
from equipoise.monitor.reaching import DAYS
from equipoise.monitor.saying import Seen
from equipoise.monitor.watching import Watched
from equipoise.words import Texts, named, say

_SIGNS = {"changed": "▲", "unchanged": "=", "too few": "–"}
_WARNING = "warning"


def page(seen: Seen, said: Mapping[str, object], options: Options) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    seen
        What was seen.
    said
        What `equipoise.monitor.saying.content` made of it.
    options
        Language, level and run length.
    """
    texts = words.load(options.language)
    environment = pages.environment("equipoise.monitor", texts)
    parts = list(_parts(seen))
    verdict = seen.judgement.verdict.value
    line = written(seen.watch.line)
    pictures = [_question(one, k, said, seen, texts) for k, one in enumerate(seen.watch.watched)]
    return environment.get_template("monitor.html.jinja").render(
        said=said,
        parts=parts,
        deciding=[
            p
            for p in parts
            if verdict != "pass" and p["outcome"] == verdict and p["kind"] != _WARNING
        ],
        warnings=[p for p in parts if p["kind"] == _WARNING],
        questions=sorted(pictures, key=lambda one: not one["alarmed"]),
        recent=", ".join([seen.recent[0], seen.recent[-1]][: len(seen.recent)]).replace(", ", "–"),
        line=line,
        run_length=options.run_length,
        follow_up_days=options.follow_up_days,
        delays=list(_delays(seen, texts)),
        days=[f"{day:.0f}" for day in DAYS],
        drift_periods=seen.drift["period"].unique(maintain_order=True).to_list(),
        drift_rows=list(_drift(seen.drift)),
        declared=_declared(seen),
    )


def _parts(seen: Seen) -> Iterator[dict[str, str]]:
    """Yield every judgement, the worst first."""
    told = [
        {
            "name": outcome.name,
            "kind": outcome.kind,
            "outcome": part.outcome.value,
            "reason": part.reason,
            "rank": str(9 - part.outcome.severity),
        }
        for outcome in seen.judgement.outcomes
        for part in outcome.parts
    ]
    yield from sorted(told, key=lambda part: part["rank"])


def _question(
    one: Watched, place: int, said: Mapping[str, object], seen: Seen, texts: Texts
) -> dict[str, object]:
    asked = one.question
    against = _against(one, texts)
    about = {
        "metric": named(texts, "metric", asked.metric),
        "group": pages.group_name(asked.subgroup, texts=texts),
        "bound": figures.plain(asked.bound, places=2),
        "against": against,
    }
    kind = "floor" if asked.kind == "floor" else asked.direction
    title = say(texts, f"monitor.question_{kind}", **about)
    line = written(seen.watch.line)
    now = written(float(one.adjusted[-1]) if len(one.adjusted) else 0.0)
    told = say(texts, "monitor.panel_about", now=now, highest=written(one.highest), line=line)
    listed = said["questions"]
    own = listed[place] if isinstance(listed, list) else {}
    return {
        "said": own,
        "alarmed": one.alarm is not None,
        "title": title,
        "picture": _path(one, place, seen, title=title, about=told, texts=texts),
        "about": told,
        "so_far": _so_far(one, about, texts),
        "needed": _needed(own.get("needed"), asked.kind, texts),
    }


def _needed(n: object, kind: str, texts: Texts) -> str:
    if not isinstance(n, int):
        return say(texts, "monitor.no_needed")
    key = "monitor.needed_floor" if kind == "floor" else "monitor.needed"
    return say(texts, key, needed=pages.thousands(n))


def _path(one: Watched, place: int, seen: Seen, *, title: str, about: str, texts: Texts) -> Markup:
    asked = one.question
    rows = seen.table.filter(
        pl.col("kind") == asked.kind,
        pl.col("criterion") == asked.name,
        pl.col("finding") == asked.finding,
        pl.col("direction") == asked.direction,
        pl.col("operating_point").eq_missing(pl.lit(asked.point, dtype=pl.String)),
        *[
            pl.col(name).eq_missing(pl.lit(asked.subgroup.get(name), dtype=pl.String))
            for name in seen.bundle.audit.attributes
        ],
    )
    values = [v / math.log(10.0) for v in rows["log_e_adjusted"].to_list()]
    name = say(texts, "monitor.alarm_at", line=written(seen.watch.line))
    picture = figures.panel(
        [figures.Line(say(texts, "monitor.e_value"), values)],
        rows["period"].to_list(),
        title=title,
        about=about,
        rule=figures.Rule(seen.watch.line / math.log(10.0), name),
        powers=True,
        identity=f"q{place}",
    )
    return Markup(picture)  # noqa: S704  the panel escapes what it is given


def _so_far(one: Watched, about: Mapping[str, str], texts: Texts) -> str:
    first, second = one.bets.first, one.bets.second
    told = {
        "group": about["group"],
        "against": about["against"],
        "first": _mean(first),
        "n_first": pages.thousands(len(first)),
    }
    if one.question.kind == "floor":
        return say(texts, "monitor.so_far_floor", **told)
    return say(
        texts, "monitor.so_far", **told, second=_mean(second), n_second=pages.thousands(len(second))
    )


def _against(one: Watched, texts: Texts) -> str:
    if one.question.contrast == "reference":
        return pages.group_name(one.question.other, texts=texts)
    return say(texts, "monitor.the_rest")


def _delays(seen: Seen, texts: Texts) -> Iterator[dict[str, object]]:
    """Yield one picture per finding; of many groups those with the most cases."""
    for place, finding in enumerate(seen.bundle.findings):
        rows = [row for row in seen.delays if row["finding"] == finding]
        lines = [
            figures.Line(
                pages.group_name(_subgroup(row), texts=texts),
                [0.0, *_reals(row["share"])],
                [0.0, *_reals(row["low"])],
                [0.0, *_reals(row["high"])],
            )
            for row in rows
        ]
        if lines:
            title = say(texts, "monitor.delays_title", finding=finding)
            ticks = ["0", *(f"{day:.0f}" for day in DAYS)]
            picture = figures.panel(
                lines[:6], ticks, title=title, about=title, identity=f"d{place}"
            )
            yield {"title": title, "picture": Markup(picture)}  # noqa: S704  escaped by the panel


def _drift(table: pl.DataFrame) -> Iterator[dict[str, object]]:
    order = table["period"].unique(maintain_order=True).to_list()
    for (group, what, against), part in table.group_by(
        "group", "what", "against", maintain_order=True
    ):
        cells = dict(part.select("period", "status").iter_rows())
        name = f"{what} · {group}" + (f" ({against})" if against != "reference" else "")
        yield {"name": name, "cells": [_SIGNS.get(cells.get(p, ""), "") for p in order]}


def _declared(seen: Seen) -> str:
    return "; ".join(
        f"{name}: {', '.join(levels)}" for name, levels in seen.bundle.audit.attributes.items()
    )


def _subgroup(row: Mapping[str, object]) -> dict[str, str]:
    part = row["subgroup"]
    return {str(k): str(v) for k, v in part.items()} if isinstance(part, Mapping) else {}


def _reals(values: object) -> list[float]:
    """Return the numbers; what is null at the end, since it is not known yet, is left out."""
    found = values if isinstance(values, Sequence) else ()
    return [float(str(value)) for value in found if value is not None]


def _mean(values: np.typing.NDArray[np.float64]) -> str:
    return figures.plain(float(values.mean()) if len(values) else None, places=2)
