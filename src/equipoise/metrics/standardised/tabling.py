"""Rows of standardised estimates: limits by the engine's constructions at effective numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import Arms
from equipoise.metrics.groups import levels_of
from equipoise.metrics.intervals import (
    freedom,
    logit_limits,
    mover,
    quantile,
    rate_limits,
    widened,
    wilson,
)
from equipoise.metrics.simultaneous import correlation
from equipoise.metrics.standardised.answers import Answer, Asked
from equipoise.tables import ESTIMATES, check

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Critical = tuple[float | None, float | None]

_LEVEL = 0.95
_ABSENT = ("error_bound", "p_value", "p_adjusted", "adjusted_by", "chance", "corrected")
"""Columns of the estimates that say nothing here."""

_POINTWISE = (0.95, 0.90)
_LEAST_SHARE = 0.5
_LARGEST = 10.0
_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class Ground:
    """What all rows share.

    Parameters
    ----------
    table
        The table *subgroups*.
    compared
        The arms and contrasts.
    clustered
        Whether patients are known.
    candidate
        Whose scores they are.
    name
        The case mix in words.
    """

    table: pl.DataFrame
    compared: Arms
    clustered: bool
    candidate: str
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """One question and the answer to it.

    Parameters
    ----------
    asked, answer
        What is asked and what was found.
    cut
        The share of the mix that was cut off for all arms.
    people
        `n_images` and the like, each of shape ``(arms,)``, uncorrected.
    """

    asked: Asked
    answer: Answer
    cut: float
    people: dict[str, Integers]

    @property
    def variance(self) -> Reals:
        """Patient-clustered variance of each arm."""
        return np.asarray(np.sum(self.answer.influence**2, axis=1), dtype=np.float64)


def tabled(
    ground: Ground, found: list[Found], rng: np.random.Generator, *, draws: int
) -> tuple[pl.DataFrame, Critical]:
    """Return the rows of all questions, and the half-widths of groups and of contrasts.

    Parameters
    ----------
    ground, found
        What is shared, and the answers.
    rng
        Of the joint draws.
    draws
        How many.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> one = Arms(np.ones((1, 0), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> ground = Ground(subgroups({"sex": ["F"]}).head(1), one, True, "probe", "a mix")
    >>> made, critical = tabled(ground, [], np.random.default_rng(0), draws=100)
    >>> made.height, critical
    (0, (None, None))
    """
    groups = len(ground.compared.subgroups)
    own = [f.answer.influence[:groups][_fine(f)[:groups]] for f in found]
    both = [_differences(ground, f)[_fine_contrasts(ground, f)] for f in found]
    critical = _critical(own, rng, draws), _critical(both, rng, draws)
    frames = [frame for one in found for frame in _frames(ground, one, critical)]
    if not frames:
        return pl.DataFrame(), critical
    return check(pl.concat(frames), ESTIMATES), critical


def weighed(ground: Ground, found: list[Found]) -> pl.DataFrame:
    """Return how much the weights cost, a row per question and declared subgroup.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> one = Arms(np.ones((1, 0), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> ground = Ground(subgroups({"sex": ["F"]}).head(1), one, True, "probe", "a mix")
    >>> weighed(ground, []).height
    0
    """
    n = len(ground.compared.subgroups)
    frames = [
        ground.table.drop("exploratory").with_columns(
            *_what(ground, one),
            pl.Series("images", one.answer.images[:n]),
            pl.Series("effective_n", one.answer.trials[:n]).fill_nan(None),
            pl.Series("effective_share", _share(one)[:n]).fill_nan(None),
            pl.Series("largest_weight", one.answer.largest[:n]).fill_nan(None),
            pl.lit(one.cut).alias("cut_share"),
        )
        for one in found
    ]
    return pl.concat(frames) if frames else pl.DataFrame()


def _what(ground: Ground, one: Found) -> list[pl.Expr]:
    return [
        pl.lit(one.asked.sample.finding).alias("finding"),
        pl.lit(ground.candidate).alias("candidate"),
        pl.lit(one.asked.point, dtype=pl.String).alias("operating_point"),
        pl.lit(one.asked.metric.name).alias("metric"),
        pl.lit(f"standardised to {ground.name}").alias("adjustment"),
    ]


def _share(one: Found) -> Reals:
    images = one.answer.images.astype(np.float64)
    return np.divide(one.answer.trials, images, out=np.full_like(images, np.nan), where=images > 0)


def _fine(one: Found) -> npt.NDArray[np.bool_]:
    return np.array([why is None for why in one.answer.lacking], dtype=bool)


def _pairs(ground: Ground) -> tuple[Integers, Integers]:
    contrasts = ground.compared.contrasts
    first = np.array([c.group for c in contrasts], dtype=np.int64)
    return first, np.array([c.against for c in contrasts], dtype=np.int64)


def _fine_contrasts(ground: Ground, one: Found) -> npt.NDArray[np.bool_]:
    first, second = _pairs(ground)
    return np.asarray(_fine(one)[first] & _fine(one)[second])


def _differences(ground: Ground, one: Found) -> Reals:
    first, second = _pairs(ground)
    return one.answer.influence[first] - one.answer.influence[second]


def _critical(influences: list[Reals], rng: np.random.Generator, draws: int) -> float | None:
    """Return the quantile of the largest of a family, from its joint normal distribution.

    References: Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346.
    """
    if not sum(len(part) for part in influences):
        return None
    stacked = np.concatenate(influences)
    correlated = correlation(stacked @ stacked.T)
    values, vectors = np.linalg.eigh(correlated)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    largest = [
        np.abs(root @ rng.standard_normal((len(root), min(_BLOCK, draws - start)))).max(axis=0)
        for start in range(0, draws, _BLOCK)
    ]
    found = float(np.quantile(np.concatenate(largest), _LEVEL))
    return float(np.ceil(max(found, quantile(_LEVEL)) * 1000.0) / 1000.0)


def _frames(ground: Ground, one: Found, critical: Critical) -> Iterator[pl.DataFrame]:
    kinds = [("pointwise", level, quantile(level), quantile(level)) for level in _POINTWISE]
    kinds.append(("simultaneous", _LEVEL, critical[0] or 1.0, critical[1] or 1.0))
    for interval, level, z_group, z_contrast in kinds:
        kind = pl.lit(interval).alias("interval"), pl.lit(level).alias("level")
        yield (
            _group_rows(ground, one, _limits(one, z_group))
            .with_columns(*kind)
            .select(_columns(ground))
        )
        if ground.compared.contrasts:
            yield (
                _contrast_rows(ground, one, _limits(one, z_contrast))
                .with_columns(*kind)
                .select(_columns(ground))
            )


def _columns(ground: Ground) -> list[str]:
    names = [name for name in ESTIMATES.columns if name not in _ABSENT]
    return [*names[:3], *levels_of(ground.table), *names[3:]]


def _limits(one: Found, z: float) -> tuple[Reals, Reals]:
    """Return low and high of each arm, by the constructions of the crude estimates."""
    found, variance, fine = one.answer, one.variance, _fine(one)
    low, high = np.full(len(fine), np.nan), np.full(len(fine), np.nan)
    value, people = found.value, found.patients
    if one.asked.metric.kind == "rate":
        low[fine], high[fine] = rate_limits(
            value[fine], variance[fine], found.trials[fine], people[fine], z
        )
        return low, high
    inner = (value > 0.0) & (value < 1.0) & (variance > 0.0)
    flat, smooth = fine & ~inner, fine & inner
    low[flat], high[flat] = wilson(value[flat], people[flat], z)
    fourth = np.sum(found.influence[smooth] ** 4, axis=1)
    degrees = widened(z, freedom(variance[smooth], fourth, people[smooth]))
    low[smooth], high[smooth] = logit_limits(value[smooth], np.sqrt(variance[smooth]), degrees)
    return low, high


def _group_rows(ground: Ground, one: Found, limits: tuple[Reals, Reals]) -> pl.DataFrame:
    n = len(ground.compared.subgroups)
    return _rows(
        ground,
        one,
        np.arange(n),
        (one.answer.value[:n], limits[0][:n], limits[1][:n], one.variance[:n]),
        list(one.answer.lacking[:n]),
    ).with_columns(
        pl.lit(None, dtype=pl.String).alias("contrast"),
        pl.lit(None, dtype=pl.String).alias("against"),
    )


def _contrast_rows(ground: Ground, one: Found, limits: tuple[Reals, Reals]) -> pl.DataFrame:
    first, second = _pairs(ground)
    value, influence, variance = one.answer.value, one.answer.influence, one.variance
    covariance = np.einsum("kp,kp->k", influence[first], influence[second])
    scale = np.sqrt(variance[first] * variance[second])
    together = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0.0)
    low, high = mover(
        (value[first], limits[0][first], limits[1][first]),
        (value[second], limits[0][second], limits[1][second]),
        np.clip(together, -1.0, 1.0),
    )
    own = variance[first] + variance[second] - 2.0 * covariance
    four = value[first] - value[second], np.maximum(low, -1.0), np.minimum(high, 1.0), own
    why = one.answer.lacking
    lacking = [
        "; ".join(dict.fromkeys(text for text in (why[a], why[b]) if text)) or None
        for a, b in zip(first, second, strict=True)
    ]
    contrasts = ground.compared.contrasts
    return _rows(ground, one, first, four, lacking).with_columns(
        pl.Series("contrast", [c.kind for c in contrasts], dtype=pl.String),
        pl.Series("against", [c.text for c in contrasts], dtype=pl.String),
        pl.Series(
            "method",
            [
                f"difference by MOVER; group {_weights(one, a)}; against {_weights(one, b)}"
                for a, b in zip(first.tolist(), second.tolist(), strict=True)
            ],
            dtype=pl.String,
        ),
    )


def _rows(
    ground: Ground,
    one: Found,
    arm: Integers,
    estimate: tuple[Reals, Reals, Reals, Reals],
    lacking: list[str | None],
) -> pl.DataFrame:
    error = np.where(np.isnan(estimate[0]), np.nan, np.sqrt(np.maximum(estimate[3], 0.0)))
    three = zip(("value", "low", "high"), estimate[:3], strict=True)
    status = ["assessed" if why is None else "not assessable" for why in lacking]
    nothing = pl.lit(None, dtype=pl.Int64)
    reasons = [why or _extreme(one, int(a)) for why, a in zip(lacking, arm, strict=True)]
    return ground.table.select(pl.all().gather(arm.tolist())).with_columns(
        *_what(ground, one),
        *[pl.Series(name, part, dtype=pl.Float64).fill_nan(None) for name, part in three],
        pl.Series("standard_error", error, dtype=pl.Float64).fill_nan(None),
        *[pl.Series(name, numbers[arm]) for name, numbers in one.people.items()],
        nothing.alias("events"),
        nothing.alias("trials"),
        pl.Series("method", [_method(ground, one, int(a)) for a in arm], dtype=pl.String),
        pl.Series("status", status, dtype=pl.String),
        pl.Series("reason", reasons, dtype=pl.String),
    )


def _method(ground: Ground, one: Found, arm: int) -> str:
    variance = "clustered by patient" if ground.clustered else "images taken as independent"
    shape = "Wilson score at the effective number of trials"
    if one.asked.metric.kind != "rate":
        shape = "logit scale, Student's t"
    return f"{shape}, post-stratified variance, {variance}; {_weights(one, arm)}"


def _weights(one: Found, arm: int) -> str:
    found = one.answer
    if np.isnan(found.trials[arm]):
        return "not weighted"
    cut = f", {one.cut:.1%} of the case mix cut off" if one.cut > 0.0 else ""
    return (
        f"{found.images[arm]} images worth {found.trials[arm]:.1f} after weighting, largest weight "
        f"{found.largest[arm]:.1f} times the mean{cut}"
    )


def _extreme(one: Found, arm: int) -> str | None:
    """Return a warning of weights with which few images decide, or None."""
    share, largest = _share(one)[arm], one.answer.largest[arm]
    if share < _LEAST_SHARE or largest > _LARGEST:
        return f"the weights are extreme: {_weights(one, arm)}"
    return None
