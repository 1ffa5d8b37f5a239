"""Label error: how much of it, in one group alone, would overturn what an audit says of the group.

Labels that are taken from reports or from billing are wrong more often in some groups than in
others, and no interval knows of it. The question turned round can be answered: how wrong would the
labels of this group have to be before its gap vanishes, or its verdict changes?
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import polars as pl

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.groups import named
from equipoise.tables import CONTRASTS, ESTIMATES

MOST = 0.5
"""Shares of wrong labels above this are not looked at."""

_HALVINGS = 50
_NEARLY = 1e-6
_METRICS = ("auroc", "sensitivity", "specificity", "ppv")


@dataclass(frozen=True, slots=True)
class Error:
    """One kind of label error, and what the metric would be without it.

    Parameters
    ----------
    model
        *independent*: wrong labels are called like others of their true class. *worst case*: they
        are those that move the metric most.
    among
        Which labels are wrong, in words.
    labels
        How many labels of that class the group has (images).
    value
        Share of them that is wrong → the metric with these labels put right.
    """

    model: str
    among: str
    labels: int
    value: Callable[[float], float]


def tipping(
    estimates: pl.DataFrame, counts: pl.DataFrame, *, margin: float | None = None
) -> pl.DataFrame:
    """Return the smallest share of wrong labels in a group that would overturn each contrast.

    Only the labels of the group are put right, not those of what it is compared with. Of all errors
    of a model that would do it, the one that takes the fewest labels is given.

    Parameters
    ----------
    estimates, counts
        Of one audit.
    margin
        How large a difference is tolerated; with it also what would change the verdict: an interval
        that lies wholly beyond it, or wholly within it, would no longer.

    Returns
    -------
    A row per assessed contrast of AUROC, sensitivity, specificity and PPV, model and `target` (the
    gap *vanishes*, or the *verdict* changes): `share` of the labels of that class, `labels`
    (images) and `reads`, in words. Null where no share up to a half does it.

    Raises
    ------
    InvalidConfiguration
        If the margin is not in (0, 1).

    References
    ----------
    Menon et al. 2015, ICML (AUROC under class-conditional label noise); Rogan & Gladen 1978,
    American Journal of Epidemiology 107:71 (rates under misclassification).

    Examples
    --------
    >>> from equipoise import metrics
    >>> n = 400
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * (n // 2), "label:x": [True, True, False, False] *
    ...     (n // 4), "score:x": [0.2 if i % 8 == 0 else 0.7 if i % 4 < 2 else 0.3
    ...     for i in range(n)]})
    >>> points = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> people = metrics.population(rows, table, patient=None, points=points)
    >>> plan = metrics.Plan({"sex": "M"}, ("sensitivity",), metrics.Minimum(), "probe")
    >>> made = metrics.estimate(people, table, plan)
    >>> tipping(made.estimates, made.counts)["model", "share", "labels"].rows()
    [('independent', 0.5, 50), ('worst case', 0.5, 50)]
    """
    if margin is not None and not 0.0 < margin < 1.0:
        raise InvalidConfiguration(f"tipping: margin {margin}; expected it in (0, 1)")
    attributes = [name for name in estimates.columns if name not in ESTIMATES.columns]
    rows = [
        row for one in _contrasts(estimates, counts, attributes) for row in _tipped(one, margin)
    ]
    schema = dict.fromkeys(("finding", "operating_point", *attributes, "metric"), pl.String())
    text = dict.fromkeys(("contrast", "against", "model", "target", "among", "reads"), pl.String())
    numbers = {"value": pl.Float64(), "share": pl.Float64(), "labels": pl.Int64()}
    names = [*schema, "contrast", "against", "value", "model", "target", "among", "share"]
    made = pl.DataFrame(rows, schema={**schema, **text, **numbers}, orient="row")
    return made.select(*names, "labels", "reads")


def errors(metric: str, value: float, cells: Mapping[str, int]) -> Iterator[Error]:
    """Yield the kinds of label error that move a metric, for one group.

    Parameters
    ----------
    metric
        Its name.
    value
        The group's value.
    cells
        Its images by `tp`, `fp`, `tn`, `fn`; for AUROC `n_positive` and `n_negative`.

    Examples
    --------
    >>> found = errors("sensitivity", 0.8, {"tp": 80, "fn": 20, "fp": 10, "tn": 90})
    >>> [(one.among, round(one.value(0.1), 3)) for one in found][:2]
    [('positives', 0.878), ('positives, among the missed', 0.889)]
    """
    if metric == "auroc":
        apart = value - 0.5
        for among, name in (("positives", "n_positive"), ("negatives", "n_negative")):
            yield Error(
                "independent", among, cells[name], lambda e: 0.5 + apart / max(1.0 - e, 1e-12)
            )
        return
    tp, fp, tn, fn = (float(cells[name]) for name in ("tp", "fp", "tn", "fn"))
    if metric == "ppv":
        yield from _of_ppv(tp, fp, tn, fn)
    elif metric == "sensitivity":
        yield from _of_side(tp, fn, fp, tn, ("positives", "negatives"), ("missed", "called"))
    else:
        said = ("called", "not called")
        yield from _of_side(tn, fp, fn, tp, ("negatives", "positives"), said)


def _of_side(
    right: float,
    wrong: float,
    other_wrong: float,
    other_right: float,
    classes: tuple[str, str],
    said: tuple[str, str],
) -> Iterator[Error]:
    """Yield the errors of a rate over one class: `right` of it over `right` and `wrong`."""
    n, others = right + wrong, other_wrong + other_right
    rate, slips = right / n, other_wrong / max(others, 1.0)
    own, other = classes
    # Labels of the class that belong to the other one are called as the other one is.
    yield Error("independent", own, int(n), lambda e: (rate - e * slips) / max(1.0 - e, 1e-12))
    yield Error(
        "worst case",
        f"{own}, among the {said[0]}",
        int(n),
        lambda e: right / max(n - min(e * n, wrong), 1e-12),
    )
    yield Error(
        "worst case",
        f"{own}, among the {said[1]}",
        int(n),
        lambda e: max(right - e * n, 0.0) / max(n - min(e * n, right), 1e-12),
    )
    yield Error(
        "worst case",
        f"{other}, hidden {own} among the {said[0]}",
        int(others),
        lambda e: right / (n + min(e * others, other_right)),
    )
    yield Error(
        "worst case",
        f"{other}, hidden {own} among the {said[1]}",
        int(others),
        lambda e: (right + min(e * others, other_wrong)) / (n + min(e * others, other_wrong)),
    )


def _of_ppv(tp: float, fp: float, tn: float, fn: float) -> Iterator[Error]:
    positives, negatives, called = tp + fn, fp + tn, tp + fp
    slips, found = fp / max(negatives, 1.0), tp / max(positives, 1.0)
    # Of the wrong labels some are not called: no more than there are can be.
    missed = fn / max(positives * (1.0 - slips), 1e-12)
    passed = tn / max(negatives * (1.0 - found), 1e-12)
    yield Error(
        "independent",
        "positives",
        int(positives),
        lambda e: (tp - min(min(e, missed) * positives * slips, tp)) / called,
    )
    yield Error(
        "independent",
        "negatives",
        int(negatives),
        lambda e: (tp + min(min(e, passed) * negatives * found, fp)) / called,
    )
    yield Error(
        "worst case",
        "positives, among the called",
        int(positives),
        lambda e: (tp - min(e * positives, tp)) / called,
    )
    yield Error(
        "worst case",
        "negatives, among the called",
        int(negatives),
        lambda e: (tp + min(e * negatives, fp)) / called,
    )


def smallest(error: Error, wanted: float) -> float | None:
    """Return the smallest share of wrong labels at which the metric reaches a value, or None.

    Examples
    --------
    >>> missed = Error("worst case", "positives", 100, lambda e: 80 / (100 - min(100 * e, 20)))
    >>> round(smallest(missed, 0.9), 4), smallest(missed, 0.7)
    (0.1111, None)
    """
    start, end = error.value(0.0), error.value(MOST)
    if abs(wanted - start) < 1e-12:
        return 0.0
    if not min(start, end) <= wanted <= max(start, end):
        return None
    low, high = 0.0, MOST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        reached = (error.value(middle) - wanted) * (start - wanted) <= 0.0
        low, high = (low, middle) if reached else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class _Contrast:
    """One contrast, with its two intervals and the group's own value and cells."""

    row: Mapping[str, object]
    group: str
    own: float
    value: float
    simultaneous: tuple[float, float]
    pointwise: tuple[float, float]
    cells: Mapping[str, int]
    names: tuple[str, ...]


def _contrasts(
    estimates: pl.DataFrame, counts: pl.DataFrame, attributes: list[str]
) -> Iterator[_Contrast]:
    key = ["finding", "candidate", "operating_point", *attributes, "metric"]
    crude = estimates.filter(adjustment="crude", status="assessed")
    crude = crude.filter(pl.col("metric").is_in(_METRICS))
    own = crude.filter(pl.col("contrast").is_null(), interval="pointwise", level=0.95)
    two = crude.filter(pl.col("contrast").is_in(CONTRASTS))
    wide = two.filter(interval="simultaneous")
    narrow = two.filter(interval="pointwise", level=0.9)
    both = [*key, "contrast", "against"]
    joined = wide.join(
        narrow.select(*both, "low", "high"), on=both, nulls_equal=True, suffix="_90"
    ).join(own.select(*key, pl.col("value").alias("own")), on=key, nulls_equal=True)
    about = ("finding", "candidate", *attributes)
    cells = {
        (tuple(row[name] for name in about), row["operating_point"]): row
        for row in counts.iter_rows(named=True)
    }
    # Without an operating point the numbers of images are those of any.
    cells |= {(group, None): row for (group, _), row in cells.items()}
    for row in joined.iter_rows(named=True):
        yield _Contrast(
            {name: row[name] for name in (*key, "contrast", "against", "value")},
            named({name: row[name] for name in attributes}),
            row["own"],
            row["value"],
            (row["low"], row["high"]),
            (row["low_90"], row["high_90"]),
            cells[tuple(row[name] for name in about), row["operating_point"]],
            ("finding", "operating_point", *attributes, "metric", "contrast", "against", "value"),
        )


def _tipped(one: _Contrast, margin: float | None) -> Iterator[dict[str, object]]:
    kinds = list(errors(str(one.row["metric"]), one.own, one.cells))
    targets = [("vanishes", [-one.value])]
    if margin is not None:
        shifts = _shifts(one, margin)
        targets += [("verdict", shifts)] if shifts else []
    for target, shifts in targets:
        for model in dict.fromkeys(kind.model for kind in kinds):
            found = [
                (share * kind.labels, share, kind)
                for kind in kinds
                if kind.model == model
                for shift in shifts
                if (share := smallest(kind, one.own + shift)) is not None
            ]
            least = min(found, key=lambda item: item[0], default=None)
            yield _row(one, model, target, least)


def _shifts(one: _Contrast, margin: float) -> list[float]:
    """Return by how much the interval must move before it says less than it does."""
    low, high = one.simultaneous
    if low > margin:
        return [margin - low]
    if high < -margin:
        return [-margin - high]
    low, high = one.pointwise
    return [margin - high, -margin - low] if -margin <= low and high <= margin else []


def _row(
    one: _Contrast, model: str, target: str, least: tuple[float, float, Error] | None
) -> dict[str, object]:
    about = {name: one.row[name] for name in one.names}
    what = "the gap would vanish" if target == "vanishes" else "the verdict would change"
    said = f"{one.group} against {one.row['against']}"
    if least is None:
        reads = f"{said}: no share of wrong labels up to {MOST:.0%} does it ({model})"
        return {**about, "model": model, "target": target, "reads": reads}
    labels, share, kind = least
    # A part of a label is none: one fewer would not do it.
    n = max(0, ceil(labels - _NEARLY))
    return {
        **about,
        "model": model,
        "target": target,
        "among": kind.among,
        "share": round(share, 12),
        "labels": n,
        "reads": f"{said}: if {share:.1%} of its labelled {kind.among} ({n} images) were labelled "
        f"wrongly, {what} ({model})",
    }
