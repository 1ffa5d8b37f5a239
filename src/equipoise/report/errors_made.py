"""Missed cases and false alarms, as a clinician counts them: per 1,000 patients."""

from collections.abc import Mapping

from equipoise.figures import Span
from equipoise.report.subjects import Subject

LEVEL = 0.95
_PER = 1000


def per_thousand(subject: Subject) -> list[dict[str, object]]:
    """Return missed cases and false alarms per 1,000 by subgroup, with 95 % limits.

    Parameters
    ----------
    subject
        With sensitivity and specificity; without an operating point there is nothing to count.

    Returns
    -------
    A row per subgroup: `missed` per 1,000 with the finding = 1000 (1 - sensitivity); `alarms` per
    1,000 without it = 1000 (1 - specificity); `missed_of_all` and `alarms_of_all` per 1,000 of
    whom `prevalence` (that of everybody audited) have the finding. Each is `value`, `low`, `high`
    (pointwise), None where it is not assessable. The limits of the last two are those of the
    rates; prevalence is taken as given.
    """
    by_metric: dict[str, dict[tuple[tuple[str, str], ...], Span]] = {}
    for span in subject.own:
        by_metric.setdefault(span.metric, {})[tuple(span.subgroup.items())] = span
    missed, alarms = by_metric.get("sensitivity", {}), by_metric.get("specificity", {})
    prevalence = overall_prevalence(subject)
    return [
        {
            "subgroup": dict(key),
            "prevalence": prevalence,
            "n_patients": (missed.get(key) or alarms[key]).n_patients,
            "n_positive": (missed.get(key) or alarms[key]).n_positive,
            "n_negative": (missed.get(key) or alarms[key]).n_negative,
            "missed": _errors(missed.get(key), 1.0),
            "alarms": _errors(alarms.get(key), 1.0),
            "missed_of_all": _errors(missed.get(key), prevalence),
            "alarms_of_all": _errors(
                alarms.get(key), None if prevalence is None else 1 - prevalence
            ),
        }
        for key in dict.fromkeys([*missed, *alarms])
    ]


def overall_prevalence(subject: Subject) -> float | None:
    """Return the share of images with the finding among all that were audited, or None."""
    everybody = next((span for span in subject.own if not span.family), None)
    if everybody is None or not everybody.n_positive + everybody.n_negative:
        return None
    return everybody.n_positive / (everybody.n_positive + everybody.n_negative)


def _errors(span: Span | None, share: float | None) -> Mapping[str, object]:
    """Return the complement of a rate, in `share` of 1,000."""
    if span is None or span.value is None or share is None:
        reason = None if span is None else span.reason
        return {"value": None, "low": None, "high": None, "reason": reason}
    limits = span.within("pointwise", LEVEL)
    low, high = (None, None) if limits is None else limits
    return {
        "value": _PER * share * (1 - span.value),
        "low": None if high is None else _PER * share * (1 - high),
        "high": None if low is None else _PER * share * (1 - low),
        "reason": None,
    }
