"""Rows as a page shows them: put together, put in order, left out where they have parts."""

from collections.abc import Mapping, Sequence

from equipoise import figures
from equipoise.report.phrases import group_name, number, subgroup_of
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
    "reason",
)
_SELECTION = ("candidate", "rule", "reason", "evaluation", "evaluation_reason", "evidence_about")


def columns_of(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the columns of rows, in the order of first use.

    Examples
    --------
    >>> columns_of([{"a": 1}, {"b": 2, "a": 3}])
    ['a', 'b']
    """
    return list(dict.fromkeys(key for row in rows for key in row))


def without_parts(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return rows without what has parts of its own; these stand in ``report.json``."""
    return [{k: v for k, v in row.items() if not isinstance(v, Mapping)} for row in rows]


def percented(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    r"""Return rows with their share in per cent.

    Examples
    --------
    >>> percented([{"share": 0.25}])
    [{'share': '25.0\xa0%'}]
    """
    return [{**row, "share": figures.percent(number(row["share"]))} for row in rows]


def distinct(judgements: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return the judgements with the first of each group before the others of that group."""
    first = {figures.subgroup_key(subgroup_of(one)): one for one in reversed(judgements)}
    leading = list(reversed(first.values()))
    return leading + [one for one in judgements if not any(one is other for other in leading)]


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
        why = {"metric": metrics[0], "reason": row["reason"]}
        made = {"group": group, "n": 0, "total": total, **why}
        before = found.setdefault(group, made)
        before["n"] = int(str(before["n"])) + len(metrics)
    return list(found.values())


def compared_candidates(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return the candidates with what tells them apart; the rest stands in ``report.json``."""
    there = [name for name in _CANDIDATE if any(row.get(name) is not None for row in rows)]
    return [{name: row.get(name) for name in there} for row in rows]


def chosen_facts(selection: Row) -> dict[str, object]:
    """Return what the selection says in a few lines, the candidate first."""
    return {name: selection[name] for name in _SELECTION if name in selection}


def rule_choices(selection: Row) -> list[dict[str, object]]:
    """Return what each rule would have chosen."""
    choices = selection.get("choices")
    if not isinstance(choices, Mapping):
        return []
    return [
        {
            "rule": str(rule).replace("_", " "),
            **{k: found.get(k) for k in ("candidate", "seed", "auroc")},
        }
        for rule, found in choices.items()
        if isinstance(found, Mapping)
    ]


def narrow(groups: Sequence[Sequence[Row]]) -> list[Sequence[Row]]:
    """Return the groups of one attribute, and everybody."""
    return [rows for rows in groups if len(subgroup_of(rows[0])) <= 1]


def wide(groups: Sequence[Sequence[Row]]) -> list[Sequence[Row]]:
    """Return the groups where attributes meet."""
    return [rows for rows in groups if len(subgroup_of(rows[0])) > 1]
