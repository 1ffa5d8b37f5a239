"""How local images differ from the bundle's reference: acquisition, embeddings, scores.

A distance between two mixes is above zero even where nothing shifted. So each stands beside what
chance alone gives for as many patients: images of one patient count as one draw, which errs
towards not crying shift.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles
from equipoise.metrics.intervals import quantile, rate_limits
from equipoise.metrics.placements import small_sample

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NOT_SAID = "not said"
_SHOWN = (0.95, 0.99, 1.0)
_NO_REFERENCE = "not available: the bundle describes no reference"
Distance = Callable[[Reals, Reals], float]


def total_variation(first: Reals, second: Reals) -> float:
    """Return half the sum of absolute differences of two distributions, 0 to 1.

    Examples
    --------
    >>> total_variation(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    0.5
    """
    return float(np.abs(first - second).sum() / 2.0)


def wasserstein(first: Reals, second: Reals) -> float:
    """Return the mean distance by which scores on equal bins of [0, 1] must be moved.

    Examples
    --------
    >>> wasserstein(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    0.5
    """
    return float(np.abs(np.cumsum(first) - np.cumsum(second)).sum() / len(first))


def against_chance(
    here: Reals,
    there: Reals,
    *,
    distance: Distance,
    patients: tuple[npt.NDArray[np.int64], int],
    draws: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return a distance, what it is by chance alone, and how often chance gives as much.

    A parametric bootstrap: both sides are drawn from their pooled distribution. Here each patient
    draws once for all of its images; there as many draws are made as there were patients.

    Parameters
    ----------
    here, there
        Counts of images per level or bin ``(k,)``.
    distance
        Of two distributions.
    patients
        Images of each local patient, and how many patients there were in the reference.
    draws
        How many.
    rng
        Where the draws come from.

    References
    ----------
    Efron & Tibshirani 1993, *An introduction to the bootstrap*, ch. 16; the p value with one
    added, Davison & Hinkley 1997.

    Examples
    --------
    >>> ones = np.ones(200, dtype=np.int64)
    >>> found = against_chance(np.array([100.0, 100.0]), np.array([20.0, 180.0]),
    ...                        distance=total_variation, patients=(ones, 200), draws=200,
    ...                        rng=np.random.default_rng(0))
    >>> round(found["distance"], 2), found["p"] < 0.01, found["by_chance"] < 0.06
    (0.4, True, True)
    """
    sizes, n_there = patients
    seen = distance(here / here.sum(), there / there.sum())
    weight = np.array([len(sizes), max(n_there, 1)], dtype=np.float64)
    pool = here / here.sum() * weight[0] + there / there.sum() * weight[1]
    pool /= pool.sum()
    null = np.empty(draws)
    for number in range(draws):
        level = rng.choice(len(pool), size=len(sizes), p=pool)
        local = np.bincount(level, weights=sizes, minlength=len(pool))
        other = rng.multinomial(max(n_there, 1), pool)
        null[number] = distance(local / local.sum(), other / other.sum())
    return {
        "distance": seen,
        "by_chance": float(null.mean()),
        "p": float((1 + np.sum(null >= seen - 1e-12)) / (draws + 1)),
    }


def holm(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows with `p_adjusted`, their p values adjusted for how many there are.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65.

    Examples
    --------
    >>> [row["p_adjusted"] for row in holm([{"p": 0.01}, {"reason": "absent"}, {"p": 0.4}])
    ...  if "p" in row]
    [0.02, 0.4]
    """
    values = [float(str(row["p"])) for row in rows if "p" in row]
    adjusted: dict[float, float] = {}
    most = 0.0
    for place, p in enumerate(sorted(values)):
        most = max(most, min(1.0, (len(values) - place) * p))
        adjusted.setdefault(p, most)
    return [
        {**row, "p_adjusted": adjusted[float(str(row["p"]))]} if "p" in row else row for row in rows
    ]


def mixes(
    bundle: bundles.Bundle, cohort: pl.DataFrame, *, draws: int, seed: int
) -> list[dict[str, object]]:
    """Return a row per acquisition column and attribute that the reference describes.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> mixes(SimpleNamespace(reference=None), pl.DataFrame(), draws=100, seed=0)
    []
    """
    reference = bundle.reference
    if reference is None:
        return []
    rows: list[dict[str, object]] = []
    sizes = cohort["patient_id"].value_counts().sort("patient_id")["count"].to_numpy()
    for position, (name, levels) in enumerate(reference.mix.items()):
        if name not in cohort.columns:
            rows.append({"column": name, "reason": "the local cohort does not have it"})
            continue
        local = Counter(str(v) for v in cohort[name].fill_null(NOT_SAID).to_list())
        known = sorted({*levels, *local})
        found = against_chance(
            np.array([local.get(level, 0) for level in known], dtype=np.float64),
            np.array([levels.get(level, 0) for level in known], dtype=np.float64),
            distance=total_variation,
            patients=(sizes.astype(np.int64), reference.n_patients),
            draws=draws,
            rng=np.random.default_rng([seed, position]),
        )
        rows.append(
            {
                "column": name,
                "kind": "attribute" if name in bundle.audit.attributes else "acquisition",
                "total_variation": found["distance"],
                "by_chance": found["by_chance"],
                "p": found["p"],
                "new_levels": {k: n for k, n in sorted(local.items()) if k not in levels},
                "local": dict(sorted(local.items())),
                "reference": dict(levels),
            }
        )
    return holm(rows)


def refused(bundle: bundles.Bundle, cohort: pl.DataFrame) -> dict[str, object]:
    """Return how many local images the input gate would not take, why, and of which group.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> contract = bundles.InputContract(modalities=("DX",), height=8, width=8, channels=1)
    >>> local = pl.DataFrame({"modality": ["CT", "DX"], "sex": ["F", "M"]})
    >>> plan = bundles.AuditPlan(attributes={"sex": ["F", "M"]})
    >>> refused(SimpleNamespace(contract=contract, audit=plan), local)["n_images"]
    1
    """
    keys = [k for k in ("modality", "view", "photometric", "rows", "columns") if k in cohort]
    # A column that is wholly null was not read from any header, as with PNG files.
    told = [key for key in keys if cohort[key].null_count() < cohort.height]
    each = [bundles.refusal(bundle, row) for row in cohort.select(told).iter_rows(named=True)]
    why = Counter(reason for reason in each if reason is not None)
    shut = np.array([reason is not None for reason in each], dtype=bool)
    return {
        "n_images": sum(why.values()),
        "of": cohort.height,
        "reasons": dict(why.most_common()),
        "not_read": [key for key in keys if key not in told],
        "by_group": [
            {"group": name, "n_images": int((shut & inside).sum()), "of": int(inside.sum())}
            for name, inside in _groups(bundle, cohort).items()
            if inside.any() and told
        ],
    }


def far_off(
    bundle: bundles.Bundle, cohort: pl.DataFrame, vectors: npt.NDArray[np.floating]
) -> dict[str, object]:
    """Return which share of local images lies beyond quantiles of the reference's distances.

    Parameters
    ----------
    bundle
        The bundle.
    cohort
        The local cohort, in the order of the vectors.
    vectors
        Local embeddings ``(n, d)``.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> far_off(SimpleNamespace(reference=None), pl.DataFrame(), np.empty((0, 2)))["reason"]
    'not available: the bundle describes no reference'
    """
    reference = bundle.reference
    if reference is None or not reference.distances:
        return {"reason": _NO_REFERENCE, "beyond": [], "by_group": []}
    found = bundles.distances(bundle, vectors)
    limits = {f"{q:g}": reference.distances[q] for q in _SHOWN}
    if bundle.contract.distance_limit is not None:
        limits["limit"] = bundle.contract.distance_limit
    everybody = np.ones(len(found), dtype=bool)
    groups = _groups(bundle, cohort)
    return {
        "n_held_in_reference": reference.n_held,
        "median": float(np.median(found)),
        "median_of_reference": reference.distances[0.5],
        "beyond": [
            {"quantile": name, "distance": limit, **_share(found > limit, everybody, cohort)}
            for name, limit in limits.items()
        ],
        "by_group": [
            {
                "group": name,
                "quantile": "0.99",
                "distance": limits["0.99"],
                **_share(found > limits["0.99"], inside, cohort),
            }
            for name, inside in groups.items()
            if inside.any()
        ],
    }


def _groups(bundle: bundles.Bundle, cohort: pl.DataFrame) -> dict[str, Flags]:
    return {
        f"{name}={level}": (cohort[name] == level).to_numpy()
        for name, levels in bundle.audit.attributes.items()
        for level in levels
    }


def _share(flag: Flags, inside: Flags, cohort: pl.DataFrame) -> dict[str, object]:
    """Return a share of images with its 95 % interval, clustered by patient."""
    hits = flag[inside].astype(np.float64)
    rate, n = float(hits.mean()), len(hits)
    people = cohort.filter(pl.Series(inside))["patient_id"].rank("dense").to_numpy().astype(int) - 1
    n_patients = int(people.max()) + 1
    influence = np.bincount(people, weights=(hits - rate) / n)
    variance = float(np.square(influence).sum()) * small_sample(n_patients)
    one = np.ones(1)
    low, high = rate_limits(one * rate, one * variance, one * n, one * n_patients, quantile(0.95))
    return {
        "share": rate,
        "low": float(low[0]),
        "high": float(high[0]),
        "n_images": n,
        "n_patients": n_patients,
    }


def scores_moved(
    bundle: bundles.Bundle,
    cohort: pl.DataFrame,
    scores: Mapping[str, npt.NDArray[np.float32]],
    *,
    draws: int,
    seed: int,
) -> list[dict[str, object]]:
    """Return a row per finding and group: how local scores lie beside those of the reference.

    All assessed images of a group together: where the finding is more common here, scores are
    higher though nothing else shifted. The audit, which looks within labels, is free of that.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> scores_moved(SimpleNamespace(reference=None), pl.DataFrame(), {}, draws=100, seed=0)
    []
    """
    reference = bundle.reference
    if reference is None or reference.counts is None:
        return []
    rows: list[dict[str, object]] = []
    for finding in bundle.findings:
        known = cohort[f"label:{finding}"].is_not_null().to_numpy()
        groups = {"everybody": known} | {k: v & known for k, v in _groups(bundle, cohort).items()}
        mine = reference.counts.filter(pl.col("finding") == finding)
        for position, (name, inside) in enumerate(groups.items()):
            row = _of_group(mine, name, list(bundle.audit.attributes))
            there = np.array(row["histogram_positive"][0]) + np.array(row["histogram_negative"][0])
            if not inside.any() or not there.sum():
                continue
            bins = len(there)
            place = np.minimum((scores[finding][inside] * bins).astype(np.int64), bins - 1)
            here = np.bincount(place, minlength=bins).astype(np.float64)
            people = cohort.filter(pl.Series(inside))["patient_id"].value_counts()
            found = against_chance(
                here,
                there.astype(np.float64),
                distance=wasserstein,
                patients=(
                    people.sort("patient_id")["count"].to_numpy().astype(np.int64),
                    int(row["n_patients"][0]),
                ),
                draws=draws,
                rng=np.random.default_rng([seed, position]),
            )
            middle = (np.arange(bins) + 0.5) / bins
            rows.append(
                {
                    "finding": finding,
                    "group": name,
                    "n_images": int(inside.sum()),
                    "n_patients": people.height,
                    "mean": float(here @ middle / here.sum()),
                    "mean_of_reference": float(there @ middle / there.sum()),
                    "wasserstein": found["distance"],
                    "by_chance": found["by_chance"],
                    "p": found["p"],
                }
            )
    return holm(rows)


def _of_group(counts: pl.DataFrame, name: str, attributes: Sequence[str]) -> pl.DataFrame:
    attribute, _, level = name.partition("=")
    wanted = {key: level if key == attribute else None for key in attributes}
    same = [pl.col(k).eq_missing(pl.lit(v, dtype=pl.String)) for k, v in wanted.items()]
    return counts.filter(pl.all_horizontal(same)).head(1)
