"""Rows as a page shows them: put together, put in order, left out where they have parts."""

from collections.abc import Mapping, Sequence

from equipoise import figures
from equipoise.pages import group_name
from equipoise.report.gaps import UNKNOWN, WARNING
from equipoise.report.phrases import number, subgroup_of
from equipoise.words import Texts, named

Row = Mapping[str, object]

_CANDIDATE = (
    "candidate",
    "finding",
    "chosen",
    "chosen_by",
    "overall_auroc",
    "worst_group_auroc",
    "worst_group",
    "mitigation",
    "seed",
    "status",
    "converged",
    "guard",
    "reason",
)
_SELECTION = (
    "candidate",
    "rule",
    "reason",
    "standard_errors",
    "margin",
    "guard",
    "guard_reason",
    "written_reason",
    "group_thresholds",
    "needs_group_at_test",
    "evaluation",
    "evaluation_reason",
    "evidence_about",
)


def percented(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    r"""Return rows with their share in per cent.

    Examples
    --------
    >>> percented([{"share": 0.25}])
    [{'share': '25.0\xa0%'}]
    """
    return [{**row, "share": figures.percent(number(row["share"]))} for row in rows]


def distinct(judgements: Sequence[Row]) -> list[Row]:
    """Return the first judgement of each group, in order, then the others."""
    first: dict[object, Row] = {}
    for one in judgements:
        first.setdefault(figures.subgroup_key(subgroup_of(one)), one)
    leading = list(first.values())
    return leading + [one for one in judgements if not any(one is other for other in leading)]


def unmirrored(judgements: Sequence[Row]) -> list[Row]:
    """Return judgements without those that say again of the rest what was said of a group.

    With two levels that are known, each is the other's rest; the one with the lower value stays.
    """
    return [one for one in judgements if not any(_mirrors(one, other) for other in judgements)]


def _mirrors(one: Row, other: Row) -> bool:
    """Return whether `one` is the difference `other` with its sign turned, the higher of both."""
    value = number(one["value"])
    if value is None or value <= 0 or one["contrast"] != "rest" or other["contrast"] != "rest":
        return False
    same = ("metric", "finding", "candidate", "operating_point", "outcome", "bound", "required")
    turned = [(name, against) for name, against in (("value", "value"), ("low", "high"))]
    return (
        all(one[name] == other[name] for name in same)
        and list(subgroup_of(one)) == list(subgroup_of(other))
        and all(_turned(one[name], other[against]) for name, against in turned)
    )


def _turned(one: object, other: object) -> bool:
    left, right = number(one), number(other)
    return left is not None and right is not None and abs(left + right) < 1e-9


def counted(judgements: Sequence[Row], findings: object) -> list[dict[str, object]]:
    """Return the errors per 1,000 behind the first judgement, if that is a difference in a rate.

    Returns
    -------
    Rows of kind, subgroup and value, one per group that is compared; none for other metrics.
    """
    judgement = judgements[0] if judgements else {}
    kind = {"sensitivity": "missed", "specificity": "alarms"}.get(str(judgement.get("metric")))
    if kind is None or judgement["kind"] != "contrast" or not isinstance(findings, list):
        return []
    names = list(subgroup_of(judgement))
    about = ("finding", "candidate", "operating_point")
    return [
        {"kind": kind, "subgroup": row["subgroup"], "value": row[kind]["value"]}
        for part in findings
        if all(part[name] == judgement[name] for name in about)
        for row in part["per_thousand"]
        if list(row["subgroup"]) == names and row[kind]["value"] is not None
    ]


def by_group(rows: Sequence[Mapping[str, object]]) -> list[list[Mapping[str, object]]]:
    """Return rows of one finding and group together, in the order of the first of each."""
    found: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    for row in rows:
        key = (row["finding"], figures.subgroup_key(subgroup_of(row)))
        found.setdefault(key, []).append(row)
    return list(found.values())


def absent_groups(rows: object, total: int, texts: Texts) -> list[dict[str, object]]:
    """Return a row per group that was not assessable: its name, how many metrics, the first why."""
    found: dict[str, dict[str, object]] = {}
    for row in rows if isinstance(rows, list) else []:
        group = group_name(row["subgroup"], texts=texts)
        metrics = [named(texts, "metric", name) for name in row["metrics"]]
        why = {"metric": metrics[0], "reason": figures.short_reason(row["reason"], texts)}
        known = UNKNOWN not in row["subgroup"].values()
        made = {"group": group, "known": known, "n": 0, "total": total, **why}
        before = found.setdefault(group, made)
        before["n"] = int(str(before["n"])) + len(metrics)
    return list(found.values())


def compared_candidates(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return the candidates with what tells them apart; the rest stands in ``report.json``."""
    there = [name for name in _CANDIDATE if any(row.get(name) is not None for row in rows)]
    return [{name: row.get(name) for name in there} for row in rows]


def chosen_facts(selection: Row) -> dict[str, object]:
    """Return what the selection says in a few lines, the candidate first."""
    return {name: selection[name] for name in _SELECTION if selection.get(name) is not None}


def points_of(points: Sequence[Row], names: Sequence[str], selection: Row) -> list[Row]:
    """Return the operating points of the candidates that are shown.

    Of several seeds each has its own, under candidate and seed; the seed that is audited is shown.
    """
    shown = {*names, *(f"{name}-{selection.get('seed')}" for name in names)}
    return [row for row in points if row["candidate"] in shown]


def fold_choices(selection: Row) -> list[dict[str, object]]:
    """Return which candidate each fold chose without itself; none unless cross-fitted."""
    found = selection.get("by_fold")
    names = ("seed", "fold", "candidate", "reason")
    rows = found if isinstance(found, list) else []
    return [{name: row.get(name) for name in names} for row in rows]


def rule_choices(selection: Row, candidates: Sequence[Row]) -> list[dict[str, object]]:
    """Return what each rule would have chosen, with the candidate's values on validation.

    A rule that could choose none stands with its name alone.
    """
    choices = selection.get("choices")
    if not isinstance(choices, Mapping):
        return []
    rows = []
    for rule, said in choices.items():
        found = said if isinstance(said, Mapping) else {}
        key = (found.get("candidate"), found.get("seed"))
        own = next((c for c in candidates if (c.get("candidate"), c.get("seed")) == key), {})
        values = {name: own.get(name) for name in ("overall_auroc", "worst_group_auroc")}
        rows.append(
            {
                "rule": str(rule).replace("_", " "),
                "candidate": key[0],
                "seed": key[1],
                **values,
                "worst_group": own.get("worst_group"),
                "highest": found.get("highest"),
                "gain": found.get("gain"),
                "error": found.get("error"),
                "why": found.get("reason"),
                "in_use": str(rule) == selection.get("rule"),
            }
        )
    weighed = any(row["highest"] is not None for row in rows)
    return rows if weighed else [_unweighed(row) for row in rows]


def _unweighed(row: Row) -> dict[str, object]:
    """Return a choice that was not held against plain training, as of an older run."""
    return {name: row[name] for name in row if name not in {"highest", "gain", "error", "why"}}


def narrow(groups: Sequence[Sequence[Row]]) -> list[Sequence[Row]]:
    """Return the groups of one known attribute, and everybody."""
    return [rows for rows in groups if len(subgroup_of(rows[0])) <= 1 and _known(rows)]


def wide(groups: Sequence[Sequence[Row]]) -> list[Sequence[Row]]:
    """Return the groups where known attributes meet."""
    return [rows for rows in groups if len(subgroup_of(rows[0])) > 1 and _known(rows)]


def unknown(groups: Sequence[Sequence[Row]]) -> list[Sequence[Row]]:
    """Return the groups of whom an attribute is not known."""
    return [rows for rows in groups if not _known(rows)]


def _known(rows: Sequence[Row]) -> bool:
    return UNKNOWN not in subgroup_of(rows[0]).values()


def by_kind(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the probes of the shortcut battery: those that warn, then by what they hold."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        kind = str(row.get("kind"))
        found.setdefault("warning" if row.get("verdict") == WARNING else kind, []).append(row)
    return list(found.items())
