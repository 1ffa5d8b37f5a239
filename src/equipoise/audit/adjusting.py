"""One table of predictions, estimated at a declared case mix."""

from collections.abc import Mapping, Sequence

import polars as pl

from equipoise.audit.auditing import prepared
from equipoise.audit.mixing import mixed
from equipoise.audit.options import Options
from equipoise.audit.points import Points
from equipoise.metrics.reading import Source
from equipoise.metrics.standardised import Mix, Standardised, crossed, mix

CaseMix = Mapping[str, Mapping[str, float] | str | float] | pl.DataFrame | Mix


def standardised(
    predictions: Source,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    standardise: CaseMix,
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    options: Options | None = None,
) -> pl.DataFrame:
    """Return the table *estimates* of every declared subgroup, as if all had one case mix.

    A gap that shrinks here was, in that part, one of case mix; a gap that stays is not explained by
    the columns of the mix. Neither says what caused it.

    Parameters
    ----------
    predictions, by, patient, operating_points, options
        As of `estimates`.
    standardise
        Column → *overall*, the share of each level, or a group as ``"sex=M"``; *prevalence* → the
        share of positives. Or a table with a row per stratum and its `share`; or a `Mix`.

    Returns
    -------
    Rows whose `adjustment` says the mix; differences are a family of their own. A group without
    images in a stratum of the mix is *not assessable*, and so is one that the mix's columns define.

    Raises
    ------
    InvalidConfiguration
        If the mix makes no sense.
    InvalidTable
        If the predictions are not what they must be, or a level has no share.

    References
    ----------
    Kitagawa 1955, JASA 50:1168; Glocker et al. 2023, eBioMedicine 89 (PMC10025760).

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 80, "view": ["AP", "AP", "PA", "PA"] * 40,
    ...                      "label": [1] * 160, "score": [0.2, 0.3, 0.8, 0.9] * 40})
    >>> found = standardised(rows, by={"sex": ["F", "M"]}, patient=None,
    ...     standardise={"view": {"AP": 0.3, "PA": 0.7}}, operating_points={"half": 0.5})
    >>> found.filter(metric="sensitivity")["value"][0]
    0.7
    """
    return reweighted(
        predictions,
        by=by,
        standardise=standardise,
        patient=patient,
        operating_points=operating_points,
        options=options,
    ).estimates


def reweighted(
    predictions: Source,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    standardise: CaseMix,
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    options: Options | None = None,
) -> Standardised:
    """Return what `standardised` returns, with what the weights cost: effective numbers of images.

    Parameters
    ----------
    predictions, by, standardise, patient, operating_points, options
        As of `standardised`.

    Raises
    ------
    InvalidConfiguration, InvalidTable
        As of `standardised`.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 80, "view": ["AP", "PA", "PA", "PA"] * 40,
    ...                      "label": [1, 1, 0, 0] * 40, "score": [0.2, 0.3, 0.8, 0.9] * 40})
    >>> made = reweighted(rows, by=["sex"], patient=None, standardise={"prevalence": 0.5})
    >>> made.weights.filter(metric="brier")["effective_share"].round(6)[0]
    1.0
    """
    chosen = options or Options()
    asked = _mix(standardise)
    frame, table, points = prepared(predictions, by, patient, operating_points, None, chosen)
    made = mixed(frame, table, [asked], options=chosen, patient=patient, points=points)
    return made[0]


def _mix(standardise: CaseMix) -> Mix:
    if isinstance(standardise, Mix):
        return standardise
    return crossed(standardise) if isinstance(standardise, pl.DataFrame) else mix(standardise)
