"""How much label error in one group alone would make a gap vanish, or change what is judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.groups import named

Reals = npt.NDArray[np.float64]
Row = Mapping[str, object]

METRICS = ("sensitivity", "specificity", "ppv", "auroc")
"""Those that are shaken; what others would do is not worked out here."""

MOST = 0.5
"""Share of a class that may be labelled wrongly: beyond it the labels would say the opposite."""

_CELLS = ("tp", "fp", "tn", "fn")
_STEPS = 200
_NEAR = 1e-12


@dataclass(frozen=True, slots=True)
class _Cells:
    """What a group has: its cells, its histograms, and its value as estimated."""

    cells: Mapping[str, float]
    negative: Reals
    positive: Reals
    value: float


@dataclass(frozen=True, slots=True)
class _Ratio:
    """The value at a share e of wrong labels: (a + b e) / (c + d e), up to a limit."""

    a: float
    b: float
    c: float
    d: float
    limit: float
    among: str | None = None

    def share(self, target: float) -> float | None:
        """Return the share at which the value is the target, or None."""
        if abs(self.a - target * self.c) <= _NEAR * max(1.0, abs(self.c)):
            return 0.0
        slope = self.b - target * self.d
        if slope == 0.0:
            return None
        found = (target * self.c - self.a) / slope
        return min(found, self.limit) if 0.0 <= found <= self.limit + _NEAR else None


@dataclass(frozen=True, slots=True)
class _Ranking:
    """AUROC as the labels of the lowest or the highest scores of a class are turned."""

    has: _Cells
    turned: str
    lowest: bool
    among: str

    def value(self, n: int) -> float:
        """Return AUROC with the labels of this many images turned."""
        give = self.has.positive if self.turned == "positives" else self.has.negative
        ordered = give if self.lowest else give[::-1]
        before = np.cumsum(ordered) - ordered
        taken = np.clip(n - before, 0.0, ordered)
        taken = taken if self.lowest else taken[::-1]
        sign = -1.0 if self.turned == "positives" else 1.0
        made = _auroc(self.has.negative - sign * taken, self.has.positive + sign * taken)
        # Bins are coarser than scores: only the change is taken from them.
        return self.has.value + made - _auroc(self.has.negative, self.has.positive)

    def share(self, target: float) -> float | None:
        """Return the share at which the value has reached the target, or None."""
        total = float(
            (self.has.positive if self.turned == "positives" else self.has.negative).sum()
        )
        side = np.sign(target - self.has.value)
        most = int(MOST * total)
        if abs(target - self.has.value) <= _NEAR:
            return 0.0
        low = 0
        for high in np.unique(np.linspace(0, most, _STEPS).astype(np.int64)).tolist():
            if side * (self.value(high) - target) >= 0.0:
                return self._between(low, high, target, side) / total
            low = high
        return None

    def _between(self, low: int, high: int, target: float, side: float) -> int:
        while high - low > 1:
            middle = (low + high) // 2
            reached = side * (self.value(middle) - target) >= 0.0
            low, high = (low, middle) if reached else (middle, high)
        return high


def tipping(
    estimates: pl.DataFrame, counts: pl.DataFrame, *, margin: float | None = None
) -> pl.DataFrame:
    """Return how many wrong labels in a group alone would overturn each contrast of it.

    The labels of what the group is held against are taken as right. *independent*: the wrong labels
    do not depend on the score given the truth, so that labelled positives without the finding are
    called as often as other negatives are. *worst case*: they are among the missed or among the
    called (for AUROC, the lowest or the highest scores), whichever overturns the contrast first.

    Parameters
    ----------
    estimates
        The table *estimates*; crude differences to a reference or the rest are read.
    counts
        The table *counts* of the same call.
    margin
        The tolerance of a verdict: a contrast fails where its simultaneous 95 % interval is wholly
        beyond it and passes where its pointwise 90 % interval is wholly within. None: no verdict.

    Returns
    -------
    A row per contrast, what is overturned (*gap*, and with a margin *verdict*), model and
    direction: `share` of the class, `label_errors` (images), and `reads`, in words. Null where no
    share up to one half does, or nothing can be said; `reads` says why.

    References
    ----------
    Menon, van Rooyen, Ong & Williamson 2015, ICML (AUROC under class-conditional noise: AUROC less
    one half shrinks by 1 - alpha - beta); Greenland 1996, International Journal of Epidemiology
    25:1107 (bias analysis by what would explain a finding away).

    Examples
    --------
    >>> from equipoise import metrics
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 100, "label:x": [True] * 100 + [False] * 100,
    ...     "score:x": [0.9, 0.9] * 40 + [0.1, 0.9] * 10 + [0.1] * 100})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> point = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})
    >>> people = metrics.population(rows, table, patient=None, points=point)
    >>> plan = metrics.Plan({"sex": "M"}, ("sensitivity",), metrics.Minimum(), "probe")
    >>> made = metrics.estimate(people, table, plan)
    >>> found = tipping(made.estimates, made.counts)
    >>> print(found.filter(model="worst case", direction="positives")["reads"][0])
    if 20.0 % of sex=F's labelled positives were in truth without the finding, and those among the \
missed, the gap would vanish
    """
    start = estimates.columns.index("operating_point") + 1
    attributes = estimates.columns[start : estimates.columns.index("metric")]
    crude = estimates.filter(pl.col("adjustment") == "crude", pl.col("metric").is_in(METRICS))
    key = ["finding", "candidate", "operating_point", *attributes]
    had = {tuple(row[k] for k in key): row for row in counts.iter_rows(named=True)}
    own = crude.filter(pl.col("contrast").is_null(), level=0.95, interval="pointwise")
    values = {tuple(r[k] for k in (*key, "metric")): r["value"] for r in own.iter_rows(named=True)}
    contrasts = crude.filter(pl.col("contrast").is_in(["reference", "rest", "overall"]))
    inner = contrasts.filter(level=0.90, interval="pointwise")
    about = (*key, "metric", "contrast", "against")
    limits = {tuple(r[k] for k in about): (r["low"], r["high"]) for r in inner.rows(named=True)}
    by_images = {row[:1] + row[3:]: counted for row, counted in had.items()}
    rows = []
    for row in contrasts.filter(level=0.95, interval="simultaneous").iter_rows(named=True):
        place = tuple(row[k] for k in key)
        # What needs no threshold stands at no operating point; who is in the group is the same.
        counted = had.get(place) or by_images.get(place[:1] + place[3:], {})
        has = _has(counted, values.get((*place, row["metric"])))
        shown = {name: row[name] for name in about} | {"difference": row["value"]}
        who = named({name: row[name] for name in attributes})
        for goal, shifts in _goals(row, limits.get(tuple(row[k] for k in about)), margin):
            rows += [{**shown, **one} for one in _told(row, has, (goal, shifts, margin), who)]
    return pl.DataFrame(rows, schema=_schema(estimates, about), orient="row")


def _schema(estimates: pl.DataFrame, about: tuple[str, ...]) -> dict[str, pl.DataType]:
    real, text, whole = pl.Float64(), pl.String(), pl.Int64()
    return {
        **{name: estimates.schema[name] for name in about},
        "difference": real,
        "overturned": text,
        "model": text,
        "direction": text,
        "among": text,
        "share": real,
        "label_errors": whole,
        "reads": text,
    }


def _auroc(negative: Reals, positive: Reals) -> float:
    below = np.cumsum(negative) - negative / 2
    pairs = float(negative.sum() * positive.sum())
    return float(positive @ below) / pairs if pairs else np.nan


def _has(counted: Row, value: float | None) -> _Cells | None:
    if not counted or value is None:
        return None
    sides = [
        np.array(counted[f"histogram_{side}"], dtype=np.float64)
        for side in ("negative", "positive")
    ]
    cells = {
        name: np.nan if counted[name] is None else float(str(counted[name])) for name in _CELLS
    }
    return _Cells(cells, sides[0], sides[1], value)


def _goals(
    row: Row, inner: tuple[float | None, float | None] | None, margin: float | None
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Return what is overturned, and by which shifts of the group's value."""
    value, low, high = (row[name] for name in ("value", "low", "high"))
    yield "gap", (-value,) if isinstance(value, float) else ()
    if margin is None:
        return
    if not (isinstance(low, float) and isinstance(high, float)):
        yield "verdict", ()
    elif high < -margin:
        yield "fail", (-margin - high,)
    elif low > margin:
        yield "fail", (margin - low,)
    elif inner is not None and inner[0] is not None and inner[1] is not None:
        within = -margin <= inner[0] and inner[1] <= margin
        yield ("pass", (-margin - inner[0], margin - inner[1])) if within else ("inconclusive", ())
    else:
        yield "inconclusive", ()


def _told(
    row: Row, has: _Cells | None, goal: tuple[str, tuple[float, ...], float | None], who: str
) -> Iterator[dict[str, object]]:
    said, shifts, _ = goal
    for model in ("independent", "worst case"):
        for direction in ("positives", "negatives"):
            one: dict[str, object] = {
                "overturned": "gap" if said == "gap" else "verdict",
                "model": model,
                "direction": direction,
            }
            why = _why_not(row, has, said)
            if why is not None or has is None:
                yield {**one, "among": None, "share": None, "label_errors": None, "reads": why}
                continue
            paths = _paths(str(row["metric"]), model, direction, has)
            reached = [(path.share(has.value + by), path.among) for path in paths for by in shifts]
            share, among = min(
                ((share, among) for share, among in reached if share is not None),
                default=(None, None),
                key=lambda found: found[0],
            )
            total = float((has.positive if direction == "positives" else has.negative).sum())
            errors = None if share is None else int(np.ceil(share * total - 1e-9))
            reads = _words(who, direction, among, share, goal)
            yield {**one, "among": among, "share": share, "label_errors": errors, "reads": reads}


def _why_not(row: Row, has: _Cells | None, goal: str) -> str | None:
    if row["value"] is None or has is None:
        return str(row["reason"] or "not assessable")
    if row["contrast"] == "overall":
        return "compared with everybody, in whom the group itself is: not worked out"
    if goal == "inconclusive":
        return "the verdict is inconclusive as it is: there is none to overturn"
    return None


def _words(
    who: str,
    direction: str,
    among: str | None,
    share: float | None,
    goal: tuple[str, tuple[float, ...], float | None],
) -> str:
    said, _, margin = goal
    would = "the gap would vanish"
    if said != "gap":
        would = f"the verdict would no longer be {said} at a margin of {margin:g}"
    if share is None:
        what = would.replace(" would ", " to ", 1)
        return f"no share up to {MOST:.0%} of {who}'s labelled {direction} is enough for {what}"
    truth = "without" if direction == "positives" else "with"
    where = "whatever their scores" if among is None else f"and those among {among}"
    percent = f"{100 * share:.1f} %"
    return (
        f"if {percent} of {who}'s labelled {direction} were in truth {truth} the finding, {where}, "
        f"{would}"
    )


def _paths(metric: str, model: str, direction: str, has: _Cells) -> list[_Ratio | _Ranking]:
    """Return how the value moves as labels of a class turn; several where either may be worst."""
    if metric == "auroc":
        if model == "independent":
            return [_Ratio(has.value, -0.5, 1.0, -1.0, MOST)]
        ends = ((True, "the lowest scores"), (False, "the highest scores"))
        return [_Ranking(has, direction, lowest, among) for lowest, among in ends]
    paths = _independent if model == "independent" else _worst
    return [*paths(metric, direction, has.cells)]


def _independent(metric: str, direction: str, cells: Mapping[str, float]) -> Iterator[_Ratio]:
    tp, fp, tn, fn = (cells[name] for name in _CELLS)
    positives, negatives = tp + fn, fp + tn
    if not (positives > 0 and negatives > 0):
        return
    if direction == "positives":
        called, missed = positives * fp / negatives, positives * tn / negatives
        limit = min(MOST, _most(tp, called), _most(fn, missed))
        if metric == "sensitivity":
            yield _Ratio(tp, -called, positives, -positives, limit)
        elif metric == "ppv":
            yield _Ratio(tp, -called, tp + fp, 0.0, limit)
        return
    called, missed = negatives * tp / positives, negatives * fn / positives
    limit = min(MOST, _most(fp, called), _most(tn, missed))
    if metric == "specificity":
        yield _Ratio(tn, -missed, negatives, -negatives, limit)
    elif metric == "ppv":
        yield _Ratio(tp, called, tp + fp, 0.0, limit)


def _worst(metric: str, direction: str, cells: Mapping[str, float]) -> Iterator[_Ratio]:
    tp, fp, tn, fn = (cells[name] for name in _CELLS)
    positives, negatives = tp + fn, fp + tn
    turned = positives if direction == "positives" else negatives
    if not turned > 0:
        return
    # Positives leave their class and enter the other; negatives the other way round.
    sign = -1.0 if direction == "positives" else 1.0
    have = (tp, fn) if direction == "positives" else (fp, tn)
    not_called = "the missed" if direction == "positives" else "those not called"
    ends = ((True, "the called", have[0]), (False, not_called, have[1]))
    for called, among, there in ends:
        by, limit = sign * turned, min(MOST, there / turned)
        if metric == "sensitivity":
            yield _Ratio(tp, by * called, positives, by, limit, among)
        elif metric == "specificity":
            yield _Ratio(tn, -by * (not called), negatives, -by, limit, among)
        elif called:
            yield _Ratio(tp, by, tp + fp, 0.0, limit, among)


def _most(there: float, asked: float) -> float:
    return there / asked if asked > 0 else np.inf
