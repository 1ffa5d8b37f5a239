"""Two models on the same patients: what the second changes in each group, and to each gap."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from equipoise import metrics
from equipoise.audit.pairing import both_known, joined, shared_findings
from equipoise.audit.points import Points, Rows, points_of
from equipoise.errors import InvalidTable
from equipoise.metrics import Minimum
from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.changes import Answers, Change, change_limits, changes, gap, p_value
from equipoise.metrics.groups import subgroups
from equipoise.metrics.intervals import quantile
from equipoise.metrics.multiplicity import holm
from equipoise.metrics.reading import declared_levels
from equipoise.metrics.samples import Sample
from equipoise.metrics.simultaneous import joint

_DRAWS = 20_000
_INNER = 0.90


class Comparison(BaseModel):
    """How two models are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    references: Mapping[str, str] = Field(
        default_factory=dict,
        description="Attribute → the level with which the others are compared. Without one, each "
        "level is compared with the rest.",
    )
    intersections: int = Field(
        default=1, ge=1, le=3, description="How many attributes are combined at most; 1 is none."
    )
    findings: list[str] | None = Field(
        default=None, description="Which findings; all that both tables have, by default."
    )
    split: str | None = Field(default=None, description="Which images; the test split, if any.")
    minimum: Minimum = Field(
        default_factory=Minimum, description="What a group needs; below it is not assessable."
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="How large a change is harmless, declared before looking. There is none by "
        "default.",
    )
    level: float = Field(default=0.95, gt=0.5, lt=1, description="Of the intervals.")
    seed: int = Field(
        default=0, ge=0, description="Of the draws behind the simultaneous intervals."
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """One change, and what it is of."""

    key: Mapping[str, object]
    change: Change


def compared(
    first: pl.DataFrame,
    second: pl.DataFrame,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    patient: str | None = "patient_id",
    operating_points: Points | tuple[Points, Points] | None = None,
    options: Comparison | None = None,
) -> pl.DataFrame:
    """Return what the second model changes: in each declared group, and to each contrast.

    Images are joined by `image_id`; those in only one table are left out, and said (`unpaired`
    lists them). Groups and patients are those of the first table; where the second has them too,
    they must agree, and so must labels.

    Parameters
    ----------
    first, second
        Predictions of either model, as `estimates` takes them, with a column `image_id`.
    by
        Attribute → its levels, declared before looking; as for `estimates`.
    patient
        The column that says whose image it is; None takes images as independent.
    operating_points
        Those of both models; or a pair, each model's own, under the same names. None: AUROC alone.
    options
        References, minimum numbers, and the margin.

    Returns
    -------
    A row per finding, operating point, metric and group (`contrast` null: the change within it)
    and per contrast (the change of the gap): `first`, `second`, `difference` (second less first);
    `low` and `high` pointwise, `low_simultaneous` and `high_simultaneous` over all groups, or all
    contrasts, of the call (max-|t|); `p` and Holm's `p_holm` over the same family. With a margin:
    `equivalent` if the pointwise 90 % interval lies within it, `not_inferior` if its lower limit
    does; null without a margin or where not assessable.

    Raises
    ------
    InvalidTable
        If no image is in both, or labels, patients or groups of an image differ.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; Holm 1979, Scandinavian Journal of
    Statistics 6:65; Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346; Schuirmann 1987,
    Journal of Pharmacokinetics and Biopharmaceutics 15:657 (the 90 % interval within a margin).

    Examples
    --------
    >>> n = 240
    >>> rows = pl.DataFrame({"image_id": [str(i) for i in range(n)], "sex": ["F", "M"] * (n // 2),
    ...     "label": [1, 1, 0, 0] * (n // 4), "score": [i * 7 % 11 / 11 for i in range(n)]})
    >>> better = rows.with_columns(score=pl.col("score") * 0.5 + pl.col("label") * 0.25)
    >>> found = compared(rows, better, by={"sex": ["F", "M"]}, patient=None)
    >>> found.filter(pl.col("contrast").is_null())["sex", "metric"].rows()
    [(None, 'auroc'), ('F', 'auroc'), ('M', 'auroc')]
    >>> bool((found.filter(pl.col("contrast").is_null())["low_simultaneous"] > 0).all())
    True
    """
    chosen = options or Comparison()
    both = joined(first, second, list(by), patient, chosen.split)
    levels, exploratory = declared_levels(both[0], by)
    table = subgroups(levels, order=chosen.intersections, exploratory=exploratory)
    pair = operating_points if isinstance(operating_points, tuple) else (operating_points,) * 2
    wanted = shared_findings(both, chosen.findings)
    both = both_known(both, wanted)
    populations = [
        metrics.population(
            frame,
            table,
            patient=patient,
            points=points_of(points, Rows(frame, frame, "all", patient), None),
            findings=wanted,
        )
        for frame, points in zip(both, pair, strict=True)
    ]
    over = arms(table, populations[0].cells, chosen.references)
    told = [
        one
        for samples in zip(populations[0].samples, populations[1].samples, strict=True)
        for one in _of_finding(samples, over, chosen.minimum)
    ]
    rows = _rows(told, chosen)
    exact = {"against": pl.String, "operating_point": pl.String, "contrast": pl.String}
    schema = {**dict.fromkeys(levels, pl.String), **exact}
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides=schema).with_columns(
        exploratory=pl.lit(exploratory)
    )


def _of_finding(samples: tuple[Sample, Sample], over: Arms, minimum: Minimum) -> Iterator[_Told]:
    """Yield the change of each group and of each contrast of one finding."""
    names = [list(sample.called) for sample in samples]
    stray = set(names[0]) ^ set(names[1])
    if stray:
        raise InvalidTable(
            f"operating points: '{min(stray)}' of finding '{samples[0].finding}' is only one "
            "model's; expected the same names for both"
        )
    groups = [inside[samples[0].cell] for inside in over.inside]
    nobody = np.zeros(len(samples[0].label), dtype=bool)
    asked: list[tuple[str, str | None]] = [("auroc", None)]
    asked += [(name, point) for point in names[0] for name in ("sensitivity", "specificity")]
    for metric, point in asked:
        both = tuple(
            Answers(s.score[None], (nobody if point is None else s.called[point])[None])
            for s in samples
        )
        found = changes(
            metric,
            (both[0], both[1]),
            label=samples[0].label,
            patient=samples[0].patient,
            groups=groups,
            minimum=minimum,
        )
        about = {"finding": samples[0].finding, "operating_point": point, "metric": metric}
        yield from _told(about, found, over)


def _told(about: Mapping[str, object], found: list[Change], over: Arms) -> Iterator[_Told]:
    for position, group in enumerate(over.subgroups):
        yield _Told({**about, **group, "contrast": None, "against": None}, found[position])
    for contrast in over.contrasts:
        key = {**over.subgroups[contrast.group], "contrast": contrast.kind}
        change = gap(found[contrast.group], found[contrast.against])
        yield _Told({**about, **key, "against": contrast.text}, change)


def _rows(told: list[_Told], chosen: Comparison) -> list[dict[str, object]]:
    """Return the rows; groups and contrasts are a family each."""
    rows: list[dict[str, object]] = [{} for _ in told]
    for within in (True, False):
        family = [i for i, one in enumerate(told) if (one.key["contrast"] is None) == within]
        fine = [i for i in family if told[i].change.lacking is None]
        critical = _critical([told[i].change for i in fine], chosen)
        p = {i: p_value(told[i].change) for i in fine}
        adjusted = dict(zip(fine, holm(np.array([p[i] for i in fine])).tolist(), strict=True))
        for i in family:
            chance = {"p": p.get(i), "p_holm": adjusted.get(i)}
            rows[i] = {**told[i].key, **_row(told[i].change, critical, chosen, chance)}
    return rows


def _critical(family: list[Change], chosen: Comparison) -> float:
    """Return the critical value of max-|t| over changes that share patients."""
    if not family:
        return quantile(chosen.level)
    size = max(len(change.influence) for change in family)
    stacked = np.stack([np.pad(c.influence, (0, size - len(c.influence))) for c in family])
    rng = np.random.default_rng(chosen.seed)
    found = joint([stacked @ stacked.T], chosen.level, rng, n=_DRAWS).critical
    return quantile(chosen.level) if found is None else found


def _row(
    change: Change, critical: float, chosen: Comparison, chance: Mapping[str, float | None]
) -> dict[str, object]:
    fine, margin = change.lacking is None, chosen.margin
    own, wide_, inner = (
        change_limits(change, z) for z in (quantile(chosen.level), critical, quantile(_INNER))
    )
    judged = fine and margin is not None
    n_images, n_patients, n_positive, n_negative = change.numbers
    return {
        "first": change.first if fine else None,
        "second": change.second if fine else None,
        "difference": change.difference if fine else None,
        "low": own[0] if fine else None,
        "high": own[1] if fine else None,
        "low_simultaneous": wide_[0] if fine else None,
        "high_simultaneous": wide_[1] if fine else None,
        "level": chosen.level,
        **chance,
        "low_90": inner[0] if fine else None,
        "high_90": inner[1] if fine else None,
        "margin": margin,
        "equivalent": -margin < inner[0] and inner[1] < margin if judged and margin else None,
        "not_inferior": -margin < inner[0] if judged and margin else None,
        "n_images": n_images,
        "n_patients": n_patients,
        "n_positive": n_positive,
        "n_negative": n_negative,
        "status": "assessed" if fine else "not assessable",
        "reason": change.lacking,
    }
