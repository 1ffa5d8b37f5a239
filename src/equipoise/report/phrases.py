"""What is said of one group, one criterion or one value, in the words of a language."""

import re
from collections.abc import Callable, Mapping
from functools import partial

from markupsafe import Markup

from equipoise import figures
from equipoise.pages import group_name
from equipoise.words import Texts, named, say

_MORE = re.compile(r"about (\d+) more (\w+)")


def sentence(criterion: Mapping[str, object], *, texts: Texts) -> str:
    """Return one criterion and its outcome as a sentence."""
    value, kind, outcome = criterion["value"], criterion["kind"], criterion["outcome"]
    said = kind in ("contrast", "floor")
    if said and outcome == "not assessable":
        return say(texts, "decided.lacking", **_about(criterion, texts))
    if not said or outcome not in ("fail", "inconclusive") or not isinstance(value, float):
        reason = str(criterion["reason"] or say(texts, "state.no_reason"))
        return say(texts, "decided.other", name=str(criterion["name"] or ""), reason=reason)
    about = _about(criterion, texts)
    if outcome == "inconclusive":
        key = "open_floor" if kind == "floor" else "open_lower" if value < 0 else "open_higher"
        return say(texts, f"decided.{key}", **about, needed=needed(criterion, texts=texts)).strip()
    key = "floor" if kind == "floor" else "lower" if value < 0 else "higher"
    limits = _limits(criterion, number(criterion["low"]), number(criterion["high"]), texts)
    return say(texts, f"decided.{key}", **about, limits=limits)


def _about(criterion: Mapping[str, object], texts: Texts) -> dict[str, object]:
    value = number(criterion["value"])
    contrast = criterion["kind"] == "contrast"
    return {
        "metric": named(texts, "metric", str(criterion["metric"] or "")),
        "group": group_name(subgroup_of(criterion), texts=texts),
        "value": figures.plain(abs(value) if contrast and value is not None else value),
        "against": _other_side(criterion, texts),
        "bound": figures.plain(number(criterion["bound"]), places=2),
        "reason": lacking(criterion, texts=texts),
    }


def lacking(criterion: Mapping[str, object], *, texts: Texts) -> str:
    """Return what a criterion that could not be judged lacks, without the group's name."""
    reason = criterion["reason"]
    if not isinstance(reason, str):
        return say(texts, "state.no_reason")
    raw = ", ".join(f"{name}={level}" for name, level in subgroup_of(criterion).items())
    return figures.short_reason(reason.removeprefix(f"{raw or 'everybody'} "), texts)


def needed(criterion: Mapping[str, object], *, texts: Texts) -> str:
    """Return how many more images would decide a criterion, as its reason says, or nothing.

    Examples
    --------
    >>> from equipoise import words
    >>> said = "it lies near; if it stayed so, about 75 more positives in sex=F would decide"
    >>> needed({"reason": said}, texts=words.load())
    'If it stayed so, about 75 more positives there, and in proportion elsewhere, would decide.'
    """
    reason = criterion["reason"]
    tail = reason.rpartition("; ")[2] if isinstance(reason, str) and "; " in reason else ""
    counted = _MORE.search(tail)
    if counted:
        return say(texts, "decided.needed", n=counted[1], what=counted[2])
    if "hardly decide" in tail:
        return say(texts, "decided.hopeless")
    return f"{tail[:1].upper()}{tail[1:]}." if tail else ""


def _limits(
    criterion: Mapping[str, object], low: float | None, high: float | None, texts: Texts
) -> str:
    if low is None or high is None:
        return say(texts, "state.no_interval")
    tell = figures.signed if criterion["kind"] == "contrast" else figures.plain
    level = number(criterion["level"])
    return say(
        texts,
        "decided.limits",
        kind=named(texts, "interval", str(criterion["interval"] or "")),
        level=figures.percent(level, places=0) if level else "",
        low=tell(low),
        high=tell(high),
    ).strip()


def compared(criterion: Mapping[str, object], *, texts: Texts) -> str:
    """Return what a criterion compares with what."""
    group = group_name(subgroup_of(criterion), texts=texts)
    rest = criterion["against"] is None or criterion["contrast"] == "rest"
    against = say(texts, "figure.rest") if rest else _other_side(criterion, texts)
    return say(texts, "figure.against", group=group, against=against)


def _other_side(criterion: Mapping[str, object], texts: Texts) -> str:
    against = criterion["against"]
    if against is None or criterion["contrast"] == "rest":
        return say(texts, "group.rest")
    return _bare(against, criterion)


def _bare(against: object, criterion: Mapping[str, object]) -> str:
    """Return what a group is compared with, without the attribute that both share."""
    names = list(subgroup_of(criterion))
    text = str(against)
    return text.removeprefix(f"{names[0]}=") if len(names) == 1 else text


def criterion_cell(criterion: Mapping[str, object], tell: Callable[..., str]) -> Markup:
    """Return the cell with a criterion's value and the limits that it was judged by."""
    value, low, high = (number(criterion.get(name)) for name in ("value", "low", "high"))
    if value is None:
        return Markup('<td class="absent">–</td>')
    limits = "" if low is None or high is None else f" [{tell(low)}, {tell(high)}]"
    return Markup("<td>{}{}</td>").format(tell(value), limits)


def auroc_cell(found: Mapping[str, object] | None) -> Markup:
    """Return the cell of one probe of the shortcut battery."""
    said = {**(found or {}), "value": (found or {}).get("auroc")}
    return criterion_cell(said, partial(figures.plain, places=2))


def unknown_text(row: Mapping[str, object], *, texts: Texts) -> str:
    """Return one thing that is unknown, as a sentence."""
    values = {key: value for key, value in row.items() if key != "key"}
    if row["key"] == "parts":
        parts = values["parts"]
        listed = parts if isinstance(parts, list) else []
        values["parts"] = ", ".join(named(texts, "part", str(name)) for name in listed)
    if row["key"] == "shortcuts":
        values |= {name: _probes(values[name], texts) for name in ("sources", "encoder")}
    return say(texts, f"unknown.{row['key']}", **values)


def _probes(rows: object, texts: Texts) -> str:
    """Return sources with their AUROC; the finding stands there if there are several."""
    found = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    several = len({row["finding"] for row in found}) > 1
    parts = []
    for row in found:
        of = f"{row['finding']}: " if several else ""
        source = "" if row["source"] == "encoder" else str(row["source"]).replace("_", " ")
        auroc = figures.plain(number(row["auroc"]), places=2)
        parts.append(f"{of}{source} {auroc}".strip())
    return ", ".join(parts) or say(texts, "state.not_available")


def in_units(text: str, *, unit: str) -> str:
    """Return what a stage said, with what stands for a patient where patients are not known.

    Examples
    --------
    >>> in_units("clustered by patient; 9 patients", unit="lesion")
    'clustered by lesion; 9 lesion units'
    """
    if unit == "patient":
        return text
    return re.sub(r"\bpatient\b", unit, re.sub(r"\bpatients\b", f"{unit} units", text))


def subgroup_of(criterion: Mapping[str, object]) -> dict[str, str]:
    """Return the subgroup that a record is about.

    Examples
    --------
    >>> subgroup_of({"subgroup": {"sex": "F"}})
    {'sex': 'F'}
    """
    part = criterion["subgroup"]
    return {str(k): str(v) for k, v in part.items()} if isinstance(part, Mapping) else {}


def number(value: object) -> float | None:
    """Return a value from JSON as a number, or None if it is none.

    Examples
    --------
    >>> number(1), number("1")
    (1.0, None)
    """
    return float(value) if isinstance(value, int | float) else None
