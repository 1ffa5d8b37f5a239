"""Whether groups lie apart in the principal components of embeddings.

A test of two samples takes its rows as independent, and the images of a patient are not: each
test is given one image of each patient, drawn at random. A test by permuting the patients' levels
would use all images, but could not reach the small p-values that survive an adjustment for all
components and groups, and needs an attribute that is the same in all images of a patient.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from equipoise.audit.vectors import (
    Embedded,
    Flags,
    Reals,
    embedded,
    levels_declared,
    one_per_patient,
)
from equipoise.errors import InvalidConfiguration
from equipoise.metrics import UNKNOWN, Minimum
from equipoise.metrics.multiplicity import benjamini_yekutieli
from equipoise.probes import Embeddings

Declared = Mapping[str, Sequence[str] | None] | Sequence[str]

_SCHEMA = {
    "finding": pl.String(),
    "attribute": pl.String(),
    "level": pl.String(),
    "against": pl.String(),
    "role": pl.String(),
    "given": pl.String(),
    "component": pl.Int64(),
    "variance_share": pl.Float64(),
    "statistic": pl.Float64(),
    "direction": pl.String(),
    "p_value": pl.Float64(),
    "p_adjusted": pl.Float64(),
    "patients_with": pl.Int64(),
    "patients_without": pl.Int64(),
    "status": pl.String(),
    "reason": pl.String(),
    "exploratory": pl.Boolean(),
}


class Components(BaseModel):
    """Which components are looked at, and how small a group may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variance_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.8, description="The first components that together hold this share of variance."
    )
    most: Annotated[int, Field(ge=1)] = Field(default=10, description="Components at most.")
    minimum: Minimum = Field(
        default_factory=Minimum, description="Patients in each of the two samples."
    )
    seed: int = Field(default=0, ge=0, description="Of the image that stands for a patient.")


@dataclass(frozen=True, slots=True)
class Principal:
    """Principal components of embeddings.

    Parameters
    ----------
    mean
        ``(d,)``.
    directions
        ``(d, k)``, of length 1, the largest entry of each positive.
    share
        Of the variance, ``(k,)``, falling.
    """

    mean: Reals
    directions: Reals
    share: Reals

    def of(self, x: Embeddings) -> Reals:
        """Return the components of each row, shape ``(n, k)``."""
        found: Reals = (x - self.mean) @ self.directions
        return found


def principal(x: Embeddings, *, variance_share: float, most: int) -> Principal:
    """Return the first principal components, by singular value decomposition.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``, finite.
    variance_share
        As many components as hold this share of the variance together.
    most
        But no more than these.

    Raises
    ------
    InvalidConfiguration
        If there is no variance to share: one row, or all rows alike.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [2.0, 0.1], [4.0, -0.1]])
    >>> found = principal(x, variance_share=0.9, most=5)
    >>> found.directions.shape, found.share.round(3).tolist()
    ((2, 1), [0.998])
    """
    mean = x.mean(axis=0, dtype=np.float64)
    centred = x - mean
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    variance = singular**2
    if not variance.sum() > 0:
        raise InvalidConfiguration(f"components: {len(x)} embeddings, all alike; expected some")
    share = variance / variance.sum()
    # A hair less, so that rounding does not ask for one component more than hold all of it.
    enough = int(np.searchsorted(np.cumsum(share), variance_share - 1e-12)) + 1
    k = min(enough, most, int((variance > variance[0] * 1e-20).sum()))
    directions = right[:k].T
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(k)])
    return Principal(mean, directions, share[:k])


def components(
    embeddings: pl.DataFrame,
    cohort: pl.DataFrame,
    *,
    by: Declared,
    finding: str,
    patient: str = "patient_id",
    options: Components | None = None,
) -> pl.DataFrame:
    """Return two-sample tests of each principal component between groups of patients.

    Parameters
    ----------
    embeddings
        The table *embeddings*: `image_id` and `vector`.
    cohort
        A row per image: `image_id`, the patient, the attributes, ``label:<finding>``.
    by
        Attribute → its levels, declared before looking. Each level is compared with the other
        known ones; of two levels the first with the second, once.
    finding
        Within whose presence and absence groups are compared too, and the positive control.
    patient
        The column that says whose image it is.
    options
        Components, minimum numbers, seed.

    Returns
    -------
    A row per group, `given` (null = overall, else ``"<finding> present"`` or ``"… absent"``) and
    component: the distance of Kolmogorov and Smirnov, where the group lies at the point of that
    distance (*higher* or *lower* than the others; components have no sign of their own), the
    p-value, and the p-value adjusted for all attributes, components and givens together. The
    positive control is adjusted for its own components alone.

    Raises
    ------
    InvalidTable
        If a table lacks a column, or a level occurs that is not declared.
    InvalidConfiguration
        If all embeddings are alike.

    References
    ----------
    Smirnov 1939; Benjamini & Yekutieli 2001, Annals of Statistics 29:1165; Glocker et al. 2023,
    EBioMedicine 89:104467 (the same on images taken as independent).

    Examples
    --------
    >>> n = 120
    >>> cohort = pl.DataFrame({
    ...     "image_id": [f"{i:03}" for i in range(n)], "patient_id": [f"{i:03}" for i in range(n)],
    ...     "sex": ["F", "M"] * (n // 2), "label:edema": [i % 3 == 0 for i in range(n)]})
    >>> vectors = cohort.select("image_id").with_columns(
    ...     vector=pl.Series([[i % 2 + i / n] for i in range(n)]))
    >>> found = components(vectors, cohort, by={"sex": ["F", "M"]}, finding="edema")
    >>> found.filter(pl.col("given").is_null(), role="attribute")["statistic", "direction"].rows()
    [(1.0, 'lower')]
    """
    chosen = options or Components()
    names = list(by)
    there = embedded(embeddings, cohort, finding=finding, attributes=names, patient=patient)
    levels, exploratory = levels_declared(there.rows, by)
    axes = principal(there.x, variance_share=chosen.variance_share, most=chosen.most)
    along = axes.of(there.x)
    priority = np.random.default_rng(chosen.seed).permutation(len(along))
    rows = []
    for compared in _comparisons(there, levels):
        chance = one_per_patient(compared.inside | compared.outside, there.patient, priority)
        samples = (along[chance[compared.inside[chance]]], along[chance[compared.outside[chance]]])
        for test in _tests(samples, axes.share, chosen.minimum.patients):
            rows.append({**compared.said, **test})
    table = _adjusted(pl.DataFrame(rows, schema=_SCHEMA, orient="row"))
    return table.with_columns(finding=pl.lit(finding), exploratory=pl.lit(exploratory))


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two groups of images, and what the table says of them."""

    said: Mapping[str, object]
    inside: Flags
    outside: Flags


def _comparisons(there: Embedded, levels: Mapping[str, Sequence[str]]) -> Iterator[_Compared]:
    present, absent = there.label == 1, there.label == 0
    said = {"attribute": there.finding, "level": "present", "against": "absent", "given": None}
    yield _Compared({**said, "role": "positive control"}, present, absent)
    givens = {
        None: np.ones(len(there.label), dtype=bool),
        f"{there.finding} present": present,
        f"{there.finding} absent": absent,
    }
    for name, declared in levels.items():
        known = [level for level in declared if level != UNKNOWN]
        level = np.array(there.rows[name].to_list(), dtype=np.str_)
        # Of two levels, the second with the first is the same test.
        for one in known[:1] if len(known) == 2 else known:
            against = known[1] if len(known) == 2 else "rest"
            for given, inside in givens.items():
                yield _Compared(
                    {
                        "attribute": name,
                        "level": one,
                        "against": against,
                        "given": given,
                        "role": "attribute",
                    },
                    inside & (level == one),
                    inside & (level != one) & (level != UNKNOWN),
                )


def _tests(
    samples: tuple[Reals, Reals], share: Reals, minimum: int
) -> Iterator[Mapping[str, object]]:
    from scipy.stats import ks_2samp

    sizes = len(samples[0]), len(samples[1])
    said = {"patients_with": sizes[0], "patients_without": sizes[1]}
    if min(sizes) < minimum:
        lack = f"{sizes[0]} patients against {sizes[1]}; {minimum} of each are needed"
        yield {**said, "status": "not assessable", "reason": lack}
        return
    for place in range(len(share)):
        found = ks_2samp(samples[0][:, place], samples[1][:, place], method="asymp")
        yield {
            **said,
            "component": place + 1,
            "variance_share": float(share[place]),
            "statistic": float(found.statistic),
            # More of the group lies below the point: it stands lower.
            "direction": "lower" if found.statistic_sign > 0 else "higher",
            "p_value": float(found.pvalue),
            "status": "assessed",
        }


def _adjusted(table: pl.DataFrame) -> pl.DataFrame:
    p = table["p_value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    control = (table["role"] == "positive control").to_numpy()
    adjusted = np.full(len(p), np.nan)
    for family in (control, ~control):
        adjusted[family] = benjamini_yekutieli(p[family])
    return table.with_columns(p_adjusted=pl.Series(adjusted).fill_nan(None))
