"""Two ways of training compared on the same patients: by group, and what it does to a gap."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.changes import PAIRED, Answers, Change, change_limits, changes, gap
from equipoise.metrics.definitions import Minimum
from equipoise.metrics.intervals import quantile

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

__all__ = ["PAIRED", "Answers", "paired"]


def paired(
    first: Answers,
    second: Answers,
    *,
    label: Flags,
    patient: Integers,
    groups: Mapping[str, Flags],
    references: Mapping[str, str] | None = None,
    minimum: Minimum | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Return how the second way of training differs from the first, in each group and contrast.

    The interval is over patients, clustered: the limits of either way of training, joined by the
    correlation of the two. With several runs, run r of the second is held against run r of the
    first; values are means over runs, and to the half-width, in quadrature, is added Student's t
    times the standard error over runs. The interval is then over patients and seeds; it is wide
    where there are few, since each run's own difference also holds chance of patients.

    Parameters
    ----------
    first, second
        What each says of the same images, in equally many runs.
    label
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, an integer code per patient.
    groups
        Name → which images are of it ``(n,)``.
    references
        Group → the group it is held against: what the second way does to the gap between them.
    minimum
        What a group needs; the engine's by default.
    level
        Of the intervals, pointwise.

    Returns
    -------
    A row per metric and group (`against` null), then per metric and reference: `first`, `second`,
    `difference` (second less first) with `low` and `high`; null where not assessable, with a
    `reason`.

    Raises
    ------
    InvalidTable
        If shapes do not agree.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837 (paired AUROCs); Obuchowski 1997,
    Biometrics 53:567 (clusters); Zou & Donner 2008, Statistics in Medicine 27:1693 (limits of a
    difference from those of its arms, with their correlation; Newcombe 1998, ibid. 17:2635).

    Examples
    --------
    >>> rng, n = np.random.default_rng(0), 400
    >>> label, noise = np.arange(n) % 2 == 1, rng.normal(size=n)
    >>> weak, strong = (Answers(x[None], x[None] > 0.5) for x in (label + 2 * noise, label + noise))
    >>> found = paired(weak, strong, label=label, patient=np.arange(n),
    ...                groups={"everybody": label | True})
    >>> row = found.row(0, named=True)
    >>> row["metric"], row["difference"] > 0, row["low"] > 0
    ('auroc', True, True)
    """
    _check(first, second, label, patient, groups)
    least = minimum or Minimum()
    code = np.unique(patient, return_inverse=True)[1].astype(np.int64)
    rows: list[dict[str, object]] = []
    z = quantile(level)
    for metric in PAIRED:
        found = changes(
            metric,
            (first, second),
            label=label,
            patient=code,
            groups=list(groups.values()),
            minimum=least,
        )
        named = dict(zip(groups, found, strict=True))
        rows += [_row(metric, name, None, change, (z, level)) for name, change in named.items()]
        for name, against in (references or {}).items():
            change = gap(named[name], named[against])
            rows.append(_row(metric, name, against, change, (z, level)))
    return pl.DataFrame(rows, infer_schema_length=None)


def _check(
    first: Answers,
    second: Answers,
    label: Flags,
    patient: Integers,
    groups: Mapping[str, Flags],
) -> None:
    shape = first.score.shape
    for what, found in (
        ("called of the first", first.called.shape),
        ("scores of the second", second.score.shape),
        ("called of the second", second.called.shape),
        *((f"group '{name}'", (shape[0], *inside.shape)) for name, inside in groups.items()),
        ("labels", (shape[0], *label.shape)),
        ("patients", (shape[0], *patient.shape)),
    ):
        if found != shape:
            raise InvalidTable(f"paired: {what} are of {found}; expected {shape}, (runs, images)")


def _row(
    metric: str, group: str, against: str | None, change: Change, width: tuple[float, float]
) -> dict[str, object]:
    fine = change.lacking is None
    z, level = width
    limits = change_limits(change, z)
    n_images, n_patients, n_positive, n_negative = change.numbers
    return {
        "metric": metric,
        "group": group,
        "against": against,
        "first": change.first if fine else None,
        "second": change.second if fine else None,
        "difference": change.difference if fine else None,
        "low": limits[0] if fine else None,
        "high": limits[1] if fine else None,
        "level": level,
        "runs": len(change.runs),
        "n_images": n_images,
        "n_patients": n_patients,
        "n_positive": n_positive,
        "n_negative": n_negative,
        "status": "assessed" if fine else "not assessable",
        "reason": change.lacking,
    }
