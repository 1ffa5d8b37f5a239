"""What stood before the audit and what came after: pre-training, release, acceptance, months."""

import re
from collections.abc import Iterable, Mapping

from equipoise.report.material import Material, Record

VERDICTS = ("pass", "inconclusive", "not assessable", "fail")
_NOTICED = 0.05
_ATTRIBUTE = re.compile(r"(\w+)=")


def pretraining(material: Material) -> dict[str, object] | None:
    """Return what group-aware pre-training changed, if the encoder tells of a comparison.

    Returns
    -------
    `rows`: a row per pair of arms, metric and group, with the difference and its interval;
    `one_sided`: how many intervals lie on one side of zero, of `n` that have a value.
    """
    said = material.pretraining
    if said is None:
        return None
    rows = _rows(said, "rows")
    valued = [row for row in rows if row.get("difference") is not None]
    return {
        **{name: said.get(name) for name in ("question", "how_seeds_enter", "level", "seeds")},
        "equal": said.get("equal") if isinstance(said.get("equal"), Mapping) else {},
        "rows": rows,
        "n": len(valued),
        "one_sided": sum(_one_sided(row) for row in valued),
    }


def _one_sided(row: Record) -> bool:
    low, high = row.get("low"), row.get("high")
    return isinstance(low, float) and isinstance(high, float) and (low > 0 or high < 0)


def release(material: Material) -> dict[str, object] | None:
    """Return which bundle was made or tested, and who lets it go if it had no pass."""
    said = material.acceptance or material.release
    if said is None:
        return None
    before = said.get("released_with")
    with_what: Record = before if isinstance(before, Mapping) else said
    override = said.get("override")
    return {
        "name": said.get("name"),
        "bundle": said.get("bundle"),
        "verdict": with_what.get("verdict"),
        "reason": with_what.get("reason"),
        "override": dict(override) if isinstance(override, Mapping) else None,
    }


def acceptance(material: Material) -> dict[str, object] | None:
    """Return the power that was stated before results, and how far local images are off.

    Returns
    -------
    None if the scores are not those of a bundle. `chances`: a row per assumed truth, the share of
    draws with each verdict; `needs`: a row per judgement; `mixes`, `distances`, `scores`: the
    input shift, and `shift_reason` where it could not be judged.
    """
    if material.acceptance is None:
        return None
    power, shift = material.power or {}, material.shift or {}
    far = shift.get("distances")
    return {
        "expected_from": power.get("expected_from"),
        "claimed": _claimed(power.get("expected_from")),
        "chance_of_needs": power.get("chance_of_needs"),
        "chances": [_chance(row) for row in _rows(power, "chances")],
        "needs": [_need(row) for row in _rows(power, "needs")],
        "shift_reason": shift.get("reason"),
        "mixes": sorted((_mix(row) for row in _rows(shift, "mixes")), key=_moved),
        "distances": _rows(far, "beyond") if isinstance(far, Mapping) else [],
        "scores": [_score(row) for row in _rows(shift, "scores")],
        "input_gate": shift.get("input_gate"),
    }


def _claimed(sources: object) -> bool:
    """See whether the truth drawn from is what a maker claims, since there is no reference."""
    found = sources.values() if isinstance(sources, Mapping) else ()
    return any(str(source).startswith("claims") for source in found)


def _chance(row: Record) -> dict[str, object]:
    verdicts = row.get("verdicts")
    found: Record = verdicts if isinstance(verdicts, Mapping) else {}
    names = ("case", "draws", "metric", "group", "against", "difference", "reason")
    spoken = {name: _spoken(row.get(name)) for name in ("group", "against")}
    return {**{name: row.get(name) for name in names}, **spoken, "shares": _shares(found)}


def _spoken(group: object) -> str | None:
    """Return a group as the rest of the page writes it: age_band=65+ is age band 65+."""
    if not isinstance(group, str):
        return None
    if group.startswith("the rest"):
        return "the rest"
    return _ATTRIBUTE.sub(lambda found: f"{found[1].replace('_', ' ')} ", group)


def _shares(found: Record) -> dict[str, float]:
    parts = {name: found.get(name) for name in VERDICTS}
    return {
        name: float(part["share"])
        for name, part in parts.items()
        if isinstance(part, Mapping) and isinstance(part.get("share"), int | float)
    }


def _need(row: Record) -> dict[str, object]:
    names = ("name", "finding", "metric", "group", "n_positive", "n_negative", "lacking", "reason")
    return {
        **{name: row.get(name) for name in names},
        "group": _spoken(row.get("group")),
        "for_pass": row.get("needed_for_pass"),
        "for_fail": row.get("needed_for_fail"),
        "enough": row.get("enough_for_pass") is True,
    }


def _mix(row: Record) -> dict[str, object]:
    new = row.get("new_levels")
    return {
        "column": row.get("column"),
        "differs_by": row.get("total_variation"),
        "by_chance": row.get("by_chance"),
        "p": row.get("p_adjusted", row.get("p")),
        "never_seen": sorted(new) if isinstance(new, Mapping) else [],
    }


def _moved(row: Record) -> float:
    differs = row.get("differs_by")
    return -differs if isinstance(differs, float) else 0.0


def _score(row: Record) -> dict[str, object]:
    p = row.get("p_adjusted", row.get("p"))
    names = ("finding", "group", "mean", "mean_of_reference", "wasserstein", "by_chance")
    return {
        **{name: row.get(name) for name in names},
        "p": p,
        "noticed": isinstance(p, float) and p < _NOTICED,
    }


def _rows(said: Record, name: str) -> list[dict[str, object]]:
    found = said.get(name)
    return (
        [dict(row) for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    )


def monitoring(material: Material) -> dict[str, object] | None:
    """Return what the monitored months gave: the verdict, the alarms, and what only warns.

    Returns
    -------
    None if nothing was monitored. `alarms`: the sequential tests that called out, the first
    first; `warned`, `changed`: groups of which a chart or a test of the inputs warns.
    """
    said = material.monitoring
    if said is None:
        return None
    found = said.get("verdict")
    verdict: Record = found if isinstance(found, Mapping) else {}
    alarms = [row for row in _rows(said, "questions") if row.get("alarm")]
    drift = said.get("drift")
    names = ("as_of", "n_cases", "n_patients", "n_labelled", "level")
    periods = said.get("periods")
    return {
        **{name: said.get(name) for name in names},
        "months": len(periods) if isinstance(periods, list) else None,
        "verdict": verdict.get("verdict"),
        "reason": verdict.get("reason"),
        "alarms": sorted((_alarm(row) for row in alarms), key=lambda row: str(row["alarm"])),
        "tests": len(_rows(said, "questions")),
        "warned": _groups(row for row in _rows(said, "charts") if row.get("warned")),
        "changed": _groups(_rows(drift, "changed") if isinstance(drift, Mapping) else []),
    }


def _alarm(row: Record) -> dict[str, object]:
    names = ("alarm", "name", "kind", "metric", "finding", "operating_point", "group", "against")
    more = ("contrast", "direction", "bound", "value", "n_first_total", "n_second_total")
    return {name: row.get(name) for name in (*names, *more)}


def _groups(rows: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(str(row.get("group")) for row in rows))
