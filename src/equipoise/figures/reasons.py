"""Why a group has no value: whole, and short enough for a row of a picture."""

import re

from equipoise.figures.spans import Span
from equipoise.words import Texts, say

_LACKING = re.compile(r"(\d+) ([^\d();]+?)(?:; | \()(\d+) more are needed")
_WITH = "patients with "


def bare_reason(span: Span, texts: Texts) -> str:
    """Return why a group has no value, without the group's name, which stands beside it.

    Examples
    --------
    >>> from equipoise import words
    >>> span = Span({"sex": "F"}, "auroc", None, None, None, 9, 9, 4, 5, "not assessable", "",
    ...             reason="sex=F has 4 positives")
    >>> bare_reason(span, words.load())
    'has 4 positives'
    """
    if span.reason is None:
        return say(texts, "state.no_reason")
    name = ", ".join(f"{attribute}={level}" for attribute, level in span.subgroup.items())
    return span.reason.removeprefix(f"{name or 'everybody'} ")


def short_reason(reason: str, texts: Texts) -> str:
    """Return what is lacking, and no more; a reason that says no numbers comes back whole.

    Examples
    --------
    >>> from equipoise import words
    >>> short_reason("has 4 positives (26 more are needed) and 8 negatives (22 more are needed)",
    ...              words.load())
    'needs 26 more positives, 22 more negatives'
    >>> short_reason("is the whole", words.load())
    'is the whole'
    """
    found = _LACKING.findall(reason)
    if not found:
        return reason
    parts, before = [], False
    for _, what, more in found:
        people = what.startswith(_WITH)
        key = "figure.needs_same" if people and before else "figure.needs_more"
        noun = what.removeprefix(_WITH) if people and before else what
        noun = noun.replace("patients", say(texts, "figure.patients"))
        parts.append(say(texts, key, n=more, what=noun))
        before = before or people
    return say(texts, "figure.needs", parts=", ".join(parts))
