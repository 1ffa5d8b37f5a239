"""The audit again, its intervals by a bootstrap of patients."""

from collections.abc import Mapping, Sequence

import polars as pl

from equipoise import metrics
from equipoise.audit.auditing import prepared
from equipoise.audit.options import Options
from equipoise.audit.points import Points
from equipoise.errors import InvalidConfiguration
from equipoise.metrics.bootstrapped import bootstrapped as resampled
from equipoise.metrics.reading import Source
from equipoise.metrics.samples import patient_ids
from equipoise.tables import ESTIMATES, check


def bootstrapped(
    predictions: Source,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    options: Options | None = None,
    replicates: int = 1_000,
) -> pl.DataFrame:
    """Return the table *estimates* with pointwise intervals from replicates of the patients.

    The values are those of `estimates`. Weights hang on the patients' ids, so that findings, models
    and sites are resampled alike, and the order of rows does not matter.

    Parameters
    ----------
    predictions, by, patient, operating_points, options
        As of `estimates`.
    replicates
        How many.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `estimates`, and if thresholds differ by fold or a case mix is declared.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 80, "label": [1, 1, 0, 0] * 40,
    ...                      "score": [i * 7 % 11 / 11 for i in range(160)]})
    >>> chosen = Options(metrics=["average_precision"])
    >>> made = bootstrapped(rows, by={"sex": ["F", "M"]}, patient=None, options=chosen,
    ...                     replicates=200)
    >>> made["sex", "metric", "interval"].rows()[0]
    (None, 'average_precision', 'pointwise')
    """
    chosen = options or Options()
    if chosen.standardise:
        raise InvalidConfiguration(
            f"bootstrapped: options.standardise declares {len(chosen.standardise)} case mix(es), "
            "which replicates do not estimate; expected none",
            hint="leave it out here, or estimate at a case mix with `estimates`",
        )
    frame, table, points = prepared(predictions, by, patient, operating_points, None, chosen)
    people = metrics.population(
        frame, table, patient=patient, points=points, findings=chosen.findings
    )
    plan = metrics.Plan(
        references=chosen.references,
        metrics=tuple(chosen.metrics),
        minimum=chosen.minimum,
        candidate=chosen.candidate or "predictions",
        seed=chosen.seed,
        against=chosen.against,
    )
    ids = patient_ids(frame, patient)
    return check(resampled(people, table, plan, ids=ids, n=replicates), ESTIMATES)
