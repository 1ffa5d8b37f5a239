"""Which attributes can be read from embeddings, overall and given the finding.

A number alone says little: beside it stand the finding itself, which should be readable, and the
attribute dealt out anew among the patients, which must not be. That an attribute can be read does
not say that a model uses it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from equipoise.audit.vectors import Embedded, Flags, Integers, Reals, embedded, levels_declared
from equipoise.errors import InvalidTable
from equipoise.metrics import UNKNOWN, Minimum
from equipoise.metrics.intervals import logit_limits, quantile, widened, wilson
from equipoise.metrics.strata import CROSS_FITTED, mean_within, within
from equipoise.probes import cross_fitted_scores
from equipoise.splits import patient_folds, patient_strata

Texts = npt.NDArray[np.str_]
Role = Literal["attribute", "positive control", "negative control"]
Declared = Mapping[str, Sequence[str] | None] | Sequence[str]
Progress = Callable[[int, int], None]

_SCHEMA = {
    "finding": pl.String(),
    "attribute": pl.String(),
    "level": pl.String(),
    "role": pl.String(),
    "given": pl.String(),
    "auroc": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n_images": pl.Int64(),
    "n_patients": pl.Int64(),
    "n_with": pl.Int64(),
    "n_without": pl.Int64(),
    "patients_with": pl.Int64(),
    "patients_without": pl.Int64(),
    "status": pl.String(),
    "reason": pl.String(),
    "exploratory": pl.Boolean(),
}


class Probing(BaseModel):
    """How attributes are read from embeddings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: Annotated[int, Field(ge=2, le=20)] = Field(
        default=5, description="Folds of patients; a probe scores patients it has not seen."
    )
    penalty: Annotated[float, Field(gt=0)] = Field(
        default=0.1, description="Penalty of the probes: declared, not chosen on the data."
    )
    minimum: Minimum = Field(
        default_factory=Minimum,
        description="Images with the level, images without it, and patients of each.",
    )
    seed: int = Field(default=0, ge=0, description="Of the folds and of the negative control.")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One attribute to be read: which levels, the level of each image, and in which fold it is."""

    attribute: str
    role: Role
    levels: tuple[str, ...]
    level: Texts
    fold: Integers


@dataclass(frozen=True, slots=True)
class _Read:
    """A level as it was read: score and truth of each image; a negative fold is out."""

    level: str
    score: Reals
    truth: Flags
    lacking: str | None


def encoding(
    embeddings: pl.DataFrame,
    cohort: pl.DataFrame,
    *,
    by: Declared,
    finding: str,
    patient: str = "patient_id",
    options: Probing | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return how well a probe reads each attribute from embeddings, with controls beside it.

    A logistic probe per level, against all other known levels, scores patients that it has not
    seen. *Overall*, images with the level are compared with images without it that the same probe
    scored, so within a fold; *given the finding*, within fold and label, so that an attribute
    which is read only because the finding goes with it is not. A stratum of m and n images weighs
    ``m·n / (m + n)``. The row without a level is the plain mean over the levels.

    Parameters
    ----------
    embeddings
        The table *embeddings*: `image_id` and `vector`.
    cohort
        A row per image: `image_id`, the patient, the attributes, ``label:<finding>``.
    by
        Attribute → its levels, declared before looking; *unknown* is left out of comparisons.
        Without levels they are taken from the data and every row is exploratory.
    finding
        The finding that is given, and the positive control.
    patient
        The column that says whose image it is.
    options
        Folds, penalty, minimum numbers, seed.
    progress
        Told how many probes of how many were fitted.

    Returns
    -------
    A row per attribute, level and `given` (null = overall). `role` tells attributes from the
    *positive control* (the finding) and the *negative control* (one level of the attribute after
    each patient was dealt the levels of another; its interval holds 0.5 but for one draw in
    twenty). `low` and `high` are a pointwise 95 % interval with patients as clusters. The variance
    of the images, given the probes, is doubled: where nothing can be read, each of two patients
    helps to score the other, and an interval without it misses 0.5 in one of six cases (simulated).
    Where much can be read, the interval is wider than it need be.

    Raises
    ------
    InvalidTable
        If a table lacks a column, or a level occurs that is not declared.

    References
    ----------
    DeLong et al. 1988, Biometrics 44:837, and Obuchowski 1997, Biometrics 53:567 (intervals);
    Bengio & Grandvalet 2004, JMLR 5:1089 (why folds vary together);
    Mantel & Haenszel 1959 (weights); Hewitt & Liang 2019, EMNLP (control tasks for probes);
    Gichoya et al. 2022, Lancet Digital Health 4:e406 (why it is asked).

    Examples
    --------
    >>> n = 120
    >>> cohort = pl.DataFrame({
    ...     "image_id": [f"{i:03}" for i in range(n)], "patient_id": [f"{i:03}" for i in range(n)],
    ...     "sex": ["F", "M"] * (n // 2), "label:edema": [i % 3 == 0 for i in range(n)]})
    >>> noise = np.random.default_rng(0).normal(size=(n, 2))
    >>> vectors = cohort.select("image_id").with_columns(
    ...     vector=pl.Series((noise + np.arange(n)[:, None] % 2).tolist()))
    >>> found = encoding(vectors, cohort, by={"sex": ["F", "M"]}, finding="edema")
    >>> found.filter(pl.col("given").is_null(), level="F")["role", "auroc"].rows()[0]
    ('attribute', 0.8013888888888889)
    """
    chosen = options or Probing()
    names = list(by)
    there = embedded(embeddings, cohort, finding=finding, attributes=names, patient=patient)
    levels, exploratory = levels_declared(there.rows, by)
    rng = np.random.default_rng(chosen.seed)
    rows: list[Mapping[str, object]] = []
    # The finding, and of each attribute its known levels and the control.
    total = 1 + sum(1 + sum(one != UNKNOWN for one in known) for known in levels.values())
    done = 0
    for asked in _all_asked(there, levels, chosen, rng):
        read = [_read(there, asked, level, chosen) for level in asked.levels]
        done += len(read)
        if progress is not None:
            progress(done, total)
        if len(read) == 2 and read[0].lacking is None:
            # The probe of one level against one other is that of the other, turned round.
            read[1] = _Read(read[1].level, -read[0].score, ~read[0].truth, None)
        rows += _rows(there, asked, read, chosen.minimum)
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").with_columns(
        finding=pl.lit(finding), exploratory=pl.lit(exploratory)
    )


def reading_limits(value: float, error: float, fewest: int) -> tuple[float, float]:
    """Return 95 % limits of an AUROC whose smaller class is of `fewest` patients.

    On the logit scale, with Student's t. Where all are ranked alike and nothing shows a spread,
    Wilson's limits of as many trials as there are patients.

    Examples
    --------
    >>> [round(limit, 3) for limit in reading_limits(0.7, 0.05, 40)]
    [0.59, 0.791]
    >>> [round(limit, 3) for limit in reading_limits(1.0, 0.0, 40)]
    [0.912, 1.0]
    """
    z, one = quantile(0.95), np.array([value])
    if error > 0.0 and 0.0 < value < 1.0:
        t = widened(z, np.array([fewest - 1.0]))
        low, high = logit_limits(one, np.array([error]), t)
    else:
        low, high = wilson(one, np.array([float(fewest)]), z)
    return float(low[0]), float(high[0])


def dealt_anew(level: Texts, patient: Integers, rng: np.random.Generator) -> Texts:
    """Return levels after each patient was dealt those of another, image after image.

    A patient's images stay as alike in the attribute as a patient's are, and no more than chance
    ties them to what the images show. Who has more images than the other starts again.

    Examples
    --------
    >>> level, patient = np.array(["F", "F", "M"]), np.array([0, 0, 1])
    >>> sorted(set(dealt_anew(level, patient, np.random.default_rng(3))[:2].tolist()))
    ['M']
    """
    order = np.argsort(patient, kind="stable")
    _, start, size = np.unique(patient[order], return_index=True, return_counts=True)
    other = rng.permutation(len(start))
    place = np.arange(len(level)) - np.repeat(start, size)
    taken = np.repeat(start[other], size) + place % np.repeat(size[other], size)
    found = np.empty_like(level)
    found[order] = level[order][taken]
    return found


def _all_asked(
    there: Embedded,
    levels: Mapping[str, Sequence[str]],
    options: Probing,
    rng: np.random.Generator,
) -> Iterator[_Asked]:
    label = np.array(["absent", "present", UNKNOWN])[there.label]
    yield _asked(there, (there.finding, "positive control", ("present",)), label, options)
    for name, declared in levels.items():
        known = tuple(level for level in declared if level != UNKNOWN)
        if not known:
            raise InvalidTable(
                f"cohort: attribute '{name}' has no level but '{UNKNOWN}'; expected one to be read"
            )
        level = np.array(there.rows[name].to_list(), dtype=np.str_)
        yield _asked(there, (name, "attribute", known), level, options)
        anew = dealt_anew(level, there.patient, rng)
        share = {one: abs(np.mean(anew[anew != UNKNOWN] == one) - 0.5) for one in known}
        nearest_half = min(known, key=lambda one: share[one])
        yield _asked(there, (name, "negative control", (nearest_half,)), anew, options)


def _asked(
    there: Embedded, what: tuple[str, Role, tuple[str, ...]], level: Texts, options: Probing
) -> _Asked:
    """Deal folds to the patients by label and level; an image of unknown level is in none."""
    ids = [str(code) for code in there.patient]
    labels = [None if one < 0 else bool(one) for one in there.label]
    strata = patient_strata(ids, [labels], [level.tolist()])
    n = min(options.folds, len(set(ids)))
    fold = np.zeros(len(ids), np.int64)
    if n > 1:
        fold = patient_folds(ids, strata, n=n, seed=options.seed)
    name, role, levels = what
    return _Asked(name, role, levels, level, np.where(level == UNKNOWN, -1, fold))


def _read(there: Embedded, asked: _Asked, level: str, options: Probing) -> _Read:
    truth, known = asked.level == level, asked.fold >= 0
    score = np.zeros(len(truth))
    lacking = _lacking(truth, known, there.patient, options.minimum)
    if lacking is None:
        try:
            score[known] = cross_fitted_scores(
                there.x[known], truth[known], asked.fold[known], penalty=options.penalty
            )
        except InvalidTable as error:
            lacking = str(error)
    return _Read(level, score, truth, lacking)


def _lacking(truth: Flags, inside: Flags, patient: Integers, minimum: Minimum) -> str | None:
    for side, what, images in (
        (truth & inside, "with the level", minimum.positives),
        (~truth & inside, "without it", minimum.negatives),
    ):
        people = len(np.unique(patient[side]))
        for n, needed, unit in (
            (int(side.sum()), images, "images"),
            (people, minimum.patients, "patients"),
        ):
            if n < needed:
                return f"{n} {unit} {what} ({needed - n} more are needed)"
    return None


def _rows(
    there: Embedded, asked: _Asked, read: Sequence[_Read], minimum: Minimum
) -> Iterator[Mapping[str, object]]:
    """Yield the rows of one attribute: overall and given the finding, each level and their mean."""
    folds = int(asked.fold.max(initial=0)) + 1
    strata: dict[str | None, Integers] = {None: asked.fold}
    if asked.role != "positive control":
        both = np.where(there.label < 0, -1, there.label * folds + asked.fold)
        strata[there.finding] = np.where(asked.fold < 0, -1, both)
    for given, stratum in strata.items():
        said = {"attribute": asked.attribute, "role": asked.role, "given": given}
        lacking = [
            one.lacking
            or _lacking(one.truth, _compared(one.truth, stratum), there.patient, minimum)
            for one in read
        ]
        for one, lack in zip(read, lacking, strict=True):
            yield {**said, "level": one.level, **_level(one, lack, there.patient, stratum)}
        if asked.role == "attribute" and len(read) > 1:
            good = [one for one, lack in zip(read, lacking, strict=True) if lack is None]
            yield {**said, **_mean(good, len(read), there.patient, stratum)}


def _compared(truth: Flags, stratum: Integers) -> Flags:
    """Return which images are in a stratum that holds both."""
    both = np.intersect1d(stratum[truth], stratum[~truth])
    return np.isin(stratum, both[both >= 0])


def _level(one: _Read, lack: str | None, patient: Integers, stratum: Integers) -> dict[str, object]:
    inside = _compared(one.truth, stratum) if lack is None else stratum >= 0
    sides = one.truth & inside, ~one.truth & inside
    people = [len(np.unique(patient[side])) for side in sides]
    said = {
        "n_images": int(inside.sum()),
        "n_patients": len(np.unique(patient[inside])),
        "n_with": int(sides[0].sum()),
        "n_without": int(sides[1].sum()),
        "patients_with": people[0],
        "patients_without": people[1],
        "reason": lack,
    }
    if lack is not None:
        return {**said, "status": "not assessable"}
    found = within(one.score, one.truth, patient, stratum)
    return {**said, **_numbers(found.auroc, found.standard_error, min(people))}


def _mean(good: Sequence[_Read], n: int, patient: Integers, stratum: Integers) -> dict[str, object]:
    left = f"{n - len(good)} of {n} levels are not assessable and not in the mean"
    said: dict[str, object] = {"reason": left if len(good) < n else None}
    if len(good) < 2:
        return {**said, "status": "not assessable"}
    inside = stratum >= 0
    fewest = min(len(np.unique(patient[inside & one.truth])) for one in good)
    value, error = mean_within(
        [one.score for one in good],
        [one.truth for one in good],
        patient,
        [stratum] * len(good),
    )
    sizes = {"n_images": int(inside.sum()), "n_patients": len(np.unique(patient[inside]))}
    return {**said, **sizes, **_numbers(value, error, fewest)}


def _numbers(value: float, error: float, fewest: int) -> dict[str, object]:
    low, high = reading_limits(value, CROSS_FITTED * error, fewest)
    return {"auroc": value, "low": low, "high": high, "status": "assessed"}
