"""Hidden groups: slices of the embeddings found on one half of the patients, tested on the other.

Where many slices are tried, the worst one looks worse than it is. What it showed when it was found
is therefore no estimate: only the other half, which had no say in it, gives one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from equipoise import metrics
from equipoise.audit.slicing import Name, Rule, Scored, discover, eligible, worse
from equipoise.audit.vectors import Embedded, Flags, Integers, embedded, levels_declared
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics import Minimum
from equipoise.metrics.intervals import quantile
from equipoise.metrics.multiplicity import holm
from equipoise.metrics.placements import small_sample
from equipoise.splits import patient_folds, patient_strata

_SCHEMA = {
    "finding": pl.String(),
    "slice": pl.String(),
    "metric": pl.String(),
    "threshold": pl.Float64(),
    "discovery_images": pl.Int64(),
    "discovery_patients": pl.Int64(),
    "discovery_value": pl.Float64(),
    "discovery_difference": pl.Float64(),
    "n_images": pl.Int64(),
    "n_patients": pl.Int64(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "difference": pl.Float64(),
    "difference_low": pl.Float64(),
    "difference_high": pl.Float64(),
    "p_value": pl.Float64(),
    "p_adjusted": pl.Float64(),
    "confirmed": pl.Boolean(),
    "status": pl.String(),
    "reason": pl.String(),
    "exploratory": pl.Boolean(),
}
_LIFTS = {
    "slice": pl.String(),
    "attribute": pl.String(),
    "level": pl.String(),
    "share_inside": pl.Float64(),
    "share_rest": pl.Float64(),
    "lift": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n_images": pl.Int64(),
}
_LEVEL = 0.05


class Slicing(BaseModel):
    """How hidden groups are looked for; all of it is declared before looking."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Name = Field(
        default="sensitivity", description="What fares worse in a slice than in the rest."
    )
    clusters: Annotated[tuple[int, ...], Field(min_length=1)] = Field(
        default=(2, 4, 8), description="Numbers of clusters that are tried."
    )
    tested: Annotated[int, Field(ge=1, le=20)] = Field(
        default=3, description="Slices that go to the other half, at most: fewer, more power."
    )
    attributes: Mapping[str, list[str] | None] = Field(
        default_factory=dict, description="Attribute → its levels, looked for in each slice."
    )
    minimum: Minimum = Field(
        default_factory=Minimum, description="What a slice and the rest need, in each half."
    )
    seed: int = Field(default=0, ge=0, description="Of the halves and of the clusters.")


@dataclass(frozen=True, slots=True)
class Slices:
    """Hidden groups.

    Parameters
    ----------
    table
        A row per slice: what it showed on each half.
    lifts
        A row per slice and level: how much more often the level occurs in the slice.
    rule
        Says of any embedding in which slices it is.
    """

    table: pl.DataFrame
    lifts: pl.DataFrame
    rule: Rule


def slices(
    embeddings: pl.DataFrame,
    cohort: pl.DataFrame,
    predictions: pl.DataFrame,
    *,
    finding: str,
    threshold: float | None,
    options: Slicing | None = None,
) -> Slices:
    """Return slices of the embeddings in which a model fares worse, tested on other patients.

    Half of the patients, drawn within label, serve to find slices, and the other half to test
    them; no patient is in both. The test asks whether the slice fares worse than the rest, on one
    side, with Holm's adjustment over the slices tested. Everything is exploratory: a confirmed
    slice is a reason to look at its images, and passes or fails no gate.

    Parameters
    ----------
    embeddings
        The table *embeddings*: `image_id` and `vector`.
    cohort
        A row per image: `image_id`, `patient_id`, the attributes, ``label:<finding>``.
    predictions
        A row per image: `image_id`, ``score:<finding>`` of a model that has not seen the patient.
        Images without a label or score are left out.
    finding
        The finding.
    threshold
        An image is called positive when ``score >= threshold``; None for AUROC.
    options
        Metric, clusters, how many are tested, attributes, minimum numbers, seed.

    Returns
    -------
    In `table`, ``discovery_…`` are the numbers of the half on which the slice was found: they are
    too bad by construction, and stand there to show by how much. `value` and `difference` (from
    the rest) are of the other half, with pointwise 95 % intervals of the audit engine. In `lifts`,
    `lift` is the share of the level in the slice over that in the rest, on the other half, among
    the images that the metric is of.

    Raises
    ------
    InvalidTable
        If a table lacks a column or a level occurs that is not declared.
    InvalidConfiguration
        If the metric needs a threshold and there is none.

    References
    ----------
    Eyuboglu et al. 2022, ICLR (Domino); Cox 1975, Biometrika 62:441 (one half to choose, the
    other to test); Holm 1979; Katz et al. 1978, Biometrics 34:469 (interval of the lift).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ids = [f"{i:04}" for i in range(800)]
    >>> hidden = np.arange(800) % 4 == 0
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "label:edema": [True] * 800})
    >>> missed = rng.random(800) < np.where(hidden, 0.6, 0.1)
    >>> scores = cohort.select("image_id", (1.0 - pl.Series(missed)).alias("score:edema"))
    >>> vectors = cohort.select("image_id").with_columns(
    ...     vector=pl.Series((rng.normal(size=(800, 3)) + 5.0 * hidden[:, None]).tolist()))
    >>> found = slices(vectors, cohort, scores, finding="edema", threshold=0.5)
    >>> found.table["slice", "confirmed"].rows()[0]
    ('slice 1', True)
    """
    chosen = options or Slicing()
    if threshold is None and chosen.metric != "auroc":
        raise InvalidConfiguration(
            f"slices: {chosen.metric} needs an operating point; expected a threshold"
        )
    there, images = _joined(embeddings, cohort, predictions, (finding, threshold, chosen))
    levels, _ = levels_declared(there.rows, chosen.attributes)
    first = _halves(there, chosen.seed) == 0
    rule = discover(
        images.of(first),
        chosen.metric,
        clusters=chosen.clusters,
        tested=chosen.tested,
        minimum=chosen.minimum,
        rng=np.random.default_rng(chosen.seed),
    )
    inside = rule.inside(images.x)
    rows = [
        {**_found(images, there, (first, inside[:, place]), chosen), "slice": f"slice {place + 1}"}
        for place in range(inside.shape[1])
    ]
    table = _adjusted(pl.DataFrame(rows, schema=_SCHEMA, orient="row")).with_columns(
        finding=pl.lit(finding),
        metric=pl.lit(chosen.metric),
        threshold=pl.lit(threshold, pl.Float64),
        exploratory=pl.lit(True),
    )
    second = ~first & eligible(images, chosen.metric)
    lifts = [
        {"slice": f"slice {place + 1}", **row}
        for place in range(inside.shape[1])
        for row in _lifts(there, levels, second, inside[:, place])
    ]
    return Slices(table, pl.DataFrame(lifts, schema=_LIFTS, orient="row"), rule)


def lift(has: Flags, inside: Flags, patient: Integers) -> tuple[float, float, float]:
    """Return the share of images inside that have a level over that outside, with 95 % limits.

    Parameters
    ----------
    has, inside
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, a code per patient: the limits take a patient's images as dependent.

    Returns
    -------
    NaN where it cannot be told: no image inside or outside, or none outside has the level. The
    limits alone are NaN where none inside has it.

    Examples
    --------
    >>> n = np.arange(400)
    >>> [round(one, 2) for one in lift(n % 4 == 0, (n < 200) & (n % 8 < 4), n)]
    [1.0, 0.68, 1.48]
    """
    nothing = float("nan")
    n_in, n_out = int(inside.sum()), int((~inside).sum())
    if not n_in or not n_out or not has[~inside].any():
        return nothing, nothing, nothing
    share_in, share_out = float(has[inside].mean()), float(has[~inside].mean())
    if not share_in:
        return 0.0, nothing, nothing
    told = np.where(inside, (has - share_in) / (n_in * share_in), 0.0)
    told -= np.where(inside, 0.0, (has - share_out) / (n_out * share_out))
    _, code = np.unique(patient, return_inverse=True)
    error = np.sqrt(np.sum(np.bincount(code, told) ** 2)) * small_sample(int(code.max()) + 1)
    value, factor = share_in / share_out, float(np.exp(quantile(0.95) * error))
    return value, value / factor, value * factor


def _joined(
    embeddings: pl.DataFrame,
    cohort: pl.DataFrame,
    predictions: pl.DataFrame,
    told: tuple[str, float | None, Slicing],
) -> tuple[Embedded, Scored]:
    finding, threshold, options = told
    name = f"score:{finding}"
    for column in ("image_id", name):
        if column not in predictions.columns:
            raise InvalidTable(
                f"predictions: no column '{column}'; got {predictions.columns}",
                hint=nearest(column, predictions.columns),
            )
    scored = cohort.drop(name, strict=False).join(
        predictions.select("image_id", name), on="image_id"
    )
    whole = scored.filter(
        pl.col(name).is_not_null()
        & (pl.col(f"label:{finding}").is_not_null() if f"label:{finding}" in scored else True)
    )
    vectors = embeddings.join(whole, on="image_id", how="semi")
    there = embedded(vectors, whole, finding=finding, attributes=list(options.attributes))
    score = there.rows[name].to_numpy().astype(np.float64)
    return there, Scored(there.x, score, there.label == 1, there.patient, threshold)


def _halves(there: Embedded, seed: int) -> Integers:
    ids = there.rows["patient_id"].to_list()
    strata = patient_strata(ids, [(there.label == 1).tolist()], [])
    return patient_folds(ids, strata, n=2, seed=seed)


def _found(
    images: Scored, there: Embedded, where: tuple[Flags, Flags], options: Slicing
) -> dict[str, object]:
    """Return what the engine says of one slice on each half, and the test on the second."""
    first, inside = where
    there_value, there_difference = _estimated(there, images, (first, inside), options)
    value, difference = _estimated(there, images, (~first, inside), options)
    of = eligible(images, options.metric)
    assessed = value["status"] == difference["status"] == "assessed"
    z = worse(images.of(~first), inside[~first], options.metric)[1] if assessed else 0.0
    return {
        "discovery_images": int((first & inside & of).sum()),
        "discovery_patients": len(np.unique(there.patient[first & inside & of])),
        "discovery_value": there_value["value"],
        "discovery_difference": there_difference["value"],
        "n_images": int((~first & inside & of).sum()),
        "n_patients": len(np.unique(there.patient[~first & inside & of])),
        "value": value["value"],
        "low": value["low"],
        "high": value["high"],
        "difference": difference["value"],
        "difference_low": difference["low"],
        "difference_high": difference["high"],
        "p_value": float(ndtr(z)) if assessed else None,
        "status": "assessed" if assessed else "not assessable",
        "reason": value["reason"] or difference["reason"],
    }


def _estimated(
    there: Embedded, images: Scored, where: tuple[Flags, Flags], options: Slicing
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the engine's rows of a slice and of its difference from the rest, on some images."""
    rows, inside = where
    name = there.finding
    part = there.rows.filter(pl.Series(rows)).with_columns(
        pl.Series(np.where(inside[rows], "inside", "rest")).alias("slice")
    )
    table = metrics.subgroups({"slice": ["inside", "rest"]}, order=1, exploratory=True)
    points = None
    if images.threshold is not None:
        points = pl.DataFrame(
            {"finding": [name], "operating_point": ["stated"], "threshold": [images.threshold]}
        )
    people = metrics.population(part, table, patient="patient_id", points=points, findings=[name])
    plan = metrics.Plan({}, (options.metric,), options.minimum, "slices", draws=100)
    found = metrics.estimate(people, table, plan).estimates.filter(
        pl.col("slice") == "inside", level=0.95, interval="pointwise"
    )
    own = found.filter(pl.col("contrast").is_null()).row(0, named=True)
    return own, found.filter(contrast="rest").row(0, named=True)


def _adjusted(table: pl.DataFrame) -> pl.DataFrame:
    p = table["p_value"].fill_null(float("nan")).to_numpy()
    adjusted = pl.Series("p_adjusted", holm(p), dtype=pl.Float64).fill_nan(None)
    return table.with_columns(adjusted, confirmed=adjusted < _LEVEL)


def _lifts(
    there: Embedded, levels: Mapping[str, list[str]], rows: Flags, inside: Flags
) -> Iterator[dict[str, object]]:
    for name, declared in levels.items():
        level = np.array(there.rows[name].to_list(), dtype=np.str_)[rows]
        for one in declared:
            has, part = level == one, inside[rows]
            value, low, high = (_known(x) for x in lift(has, part, there.patient[rows]))
            yield {
                "attribute": name,
                "level": one,
                "share_inside": _share(has[part]),
                "share_rest": _share(has[~part]),
                "lift": value,
                "low": low,
                "high": high,
                "n_images": int((has & part).sum()),
            }


def _share(has: Flags) -> float | None:
    return float(has.mean()) if len(has) else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
