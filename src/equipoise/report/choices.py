"""Which candidates there were, which was chosen by which rule, and where each calls positive."""

from collections.abc import Iterator, Mapping

import polars as pl

from equipoise.report.material import Material, Record
from equipoise.report.subjects import chosen

_LEVELS = 40
"""A column with more levels than this names units, not groups."""


def candidates(material: Material) -> list[dict[str, object]]:
    """Return every candidate, the losers too, with all that was recorded of it.

    Returns
    -------
    A row per finding and candidate as *adapt* wrote it, with `chosen`. A candidate that has
    estimates and no record stands with its name alone.
    """
    rows = [dict(entry) for entry in _entries(material.candidates or {})]
    known = {(row.get("finding"), row.get("candidate")) for row in rows}
    pairs = material.estimates.select("finding", "candidate").unique().sort("finding", "candidate")
    rows += [
        {"finding": finding, "candidate": name}
        for finding, name in pairs.iter_rows()
        if (finding, name) not in known and (None, name) not in known
    ]
    for row in rows:
        row["chosen"] = row.get("candidate") == chosen(material)
    return rows


def judged(material: Material) -> list[dict[str, object]]:
    """Return whether each candidate was shown to make no group worse, with the limits by group.

    Returns
    -------
    A row per candidate, finding and group; one row with a reason where there are no limits.
    """
    rows: list[dict[str, object]] = []
    said = (material.candidates or {}).get("judged")
    for one in said if isinstance(said, list) else []:
        guard = one["guard"]
        about = {"candidate": one["candidate"], "guard": guard["status"]}
        names = ("finding", "group", "difference", "low", "reason")
        rows += [
            {**about, **{name: row.get(name) for name in names}} for row in guard["differences"]
        ] or [{**about, **dict.fromkeys(names), "reason": guard["reason"]}]
    return rows


def operating_points(material: Material) -> list[dict[str, object]]:
    """Return every operating point: rule, threshold, where it was chosen, digest."""
    table = material.operating_points
    if table is None:
        return []
    columns = [
        "finding",
        "candidate",
        "operating_point",
        "fold",
        "rule",
        "threshold",
        "chosen_on",
        "digest",
    ]
    return table.select(columns).sort(columns[:4]).to_dicts()


def _entries(said: Record) -> Iterator[Record]:
    """Yield the records of a document, whether it lists them or names each by a key."""
    part = said.get("candidates", said)
    if isinstance(part, list):
        yield from (entry for entry in part if isinstance(entry, dict))
    elif isinstance(part, Mapping):
        for key, entry in sorted(part.items()):
            if isinstance(entry, dict):
                yield {"candidate": key, **entry}


def attrition(material: Material) -> dict[str, object] | None:
    """Return who left, by stage, rule and reason, and by group where the group is known.

    Returns
    -------
    None if no stage said who left. `reasons`: a row per stage and rule, with a reason as example.
    `groups`: a row per attribute and level; a level that is not known is ``None``.
    """
    table = material.attrition
    if table is None:
        return None
    key = ["stage", "rule"]
    reasons = (
        table.group_by(key)
        .agg(pl.len().alias("n"), pl.col("reason").unique().sort().alias("reasons"))
        .sort(key)
    )
    own = {*key, "unit", "reason"}
    attributes = [n for n in table.columns if n not in own and table[n].n_unique() <= _LEVELS]
    groups = [
        {"attribute": name, "level": level, "n": n}
        for name in attributes
        if table[name].null_count() < table.height
        for level, n in table.group_by(name).len().sort(name, nulls_last=True).iter_rows()
    ]
    return {
        "n": table.height,
        "reasons": [_reason(row) for row in reasons.iter_rows(named=True)],
        "groups": groups,
    }


def _reason(row: Record) -> dict[str, object]:
    reasons = row["reasons"]
    texts = [str(reason) for reason in reasons] if isinstance(reasons, list) else []
    return {
        "stage": row["stage"],
        "rule": row["rule"],
        "n": row["n"],
        "example": texts[0] if texts else None,
        "n_reasons": len(texts),
    }
