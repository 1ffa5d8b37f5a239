"""One self-contained table of predictions, audited in memory."""

import logging
from collections.abc import Mapping, Sequence

import polars as pl

from equipoise import metrics
from equipoise.audit.options import Options
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics.reading import declared_levels, of_split, wide, with_attributes
from equipoise.tables import findings as findings_of

_log = logging.getLogger(__name__)

Points = pl.DataFrame | Mapping[str, float]


def estimates(
    predictions: pl.DataFrame,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    options: Options | None = None,
) -> pl.DataFrame:
    """Return the table *estimates*: every metric of every declared subgroup, with intervals.

    Parameters
    ----------
    predictions
        A row per image with `label` and `score`, or ``label:<finding>`` and ``score:<finding>``;
        or a row per `image_id` and `finding`. With a column `split` only the test split is
        audited, unless the options say otherwise.
    by
        Attribute → its levels, declared before looking. None for the levels, or a list of
        attributes, takes them from the data and makes every result exploratory.
    patient
        The column that says whose image it is. None takes images as independent, and says so:
        the intervals are then too narrow wherever a patient has several.
    operating_points
        Name → threshold for all findings, or a table of `finding`, `operating_point`,
        `threshold` and perhaps `fold`. None: only metrics that need no threshold.
    options
        The rest: references, intersections, metrics, minimum numbers, seed.

    Returns
    -------
    A row per estimate and interval. Differences have a `contrast`; a group's own value has none.
    What is too small has no value, the status *not assessable*, and a reason.

    Raises
    ------
    InvalidTable
        If the predictions are not what they must be, or a level occurs that is not declared.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 40, "patient_id": [str(i) for i in range(80)],
    ...                      "label": [1, 1, 0, 0] * 20, "score": [i % 7 / 7 for i in range(80)]})
    >>> found = estimates(rows, by={"sex": ["F", "M"]})
    >>> found.filter(pl.col("sex") == "F", level=0.9)["metric", "value", "reason"].rows()[0]
    ('auroc', None, 'sex=F has 20 positives (10 more are needed) and 20 negatives (10 more are \
needed)')
    """
    chosen = options or Options()
    frame = of_split(wide(predictions), chosen.split, patient)
    names = list(by)
    if patient in names:
        raise InvalidConfiguration(f"audit: '{patient}' cannot be an attribute and the patient")
    check_patient(frame, patient)
    frame = with_attributes(frame, names)
    levels, exploratory = declared_levels(frame, by)
    table = metrics.subgroups(levels, order=chosen.intersections, exploratory=exploratory)
    return estimated(
        frame,
        table,
        options=chosen,
        patient=patient,
        points=thresholds(operating_points, frame),
        candidate=chosen.candidate or "predictions",
    ).estimates


def estimated(
    frame: pl.DataFrame,
    table: pl.DataFrame,
    *,
    options: Options,
    patient: str | None,
    points: pl.DataFrame | None,
    candidate: str,
) -> metrics.Estimated:
    """Return estimates and counts of a table that is already as it must be.

    Parameters
    ----------
    frame
        Predictions, wide, with their attributes as text.
    table
        The table *subgroups*.
    options
        What is audited.
    patient
        The column that says whose image it is, or None.
    points
        The thresholds, or None.
    candidate
        Whose scores they are.

    Raises
    ------
    InvalidTable
        If a finding is absent.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F"], "label:x": [True], "score:x": [0.9]})
    >>> made = estimated(rows, metrics.subgroups({"sex": ["F"]}), options=Options(), patient=None,
    ...                  points=None, candidate="probe")
    >>> made.counts["sex", "n_positive"].rows()
    [(None, 1), ('F', 1)]
    """
    known = findings_of(frame)
    for finding in options.findings or []:
        if finding not in known:
            raise InvalidTable(
                f"predictions: no finding '{finding}'; known findings: {', '.join(known)}",
                hint=nearest(finding, known),
            )
    people = metrics.population(
        frame, table, patient=patient, points=points, findings=options.findings
    )
    for sample in people.samples:
        if sample.unscored:
            _log.warning(
                "predictions: finding '%s': %d images with a label have no score and are in no "
                "number",
                sample.finding,
                sample.unscored,
            )
    plan = metrics.Plan(
        references=options.references,
        metrics=tuple(options.metrics),
        minimum=options.minimum,
        candidate=candidate,
        seed=options.seed,
    )
    return metrics.estimate(people, table, plan)


def check_patient(frame: pl.DataFrame, patient: str | None) -> None:
    """Refuse a table without the column that says whose image it is.

    Raises
    ------
    InvalidTable
        If a column is named that is not there.

    Examples
    --------
    >>> check_patient(pl.DataFrame({"score": [0.5]}), None)
    """
    if patient is not None and patient not in frame.columns:
        close = nearest(patient, [name for name in frame.columns if name != "image_id"])
        raise InvalidTable(
            f"predictions: no column '{patient}'; got {frame.columns}",
            hint=close or "without patient ids images are taken as independent: say so",
        )


def thresholds(given: Points | None, frame: pl.DataFrame) -> pl.DataFrame | None:
    """Return operating points as a table, those that are only named for every finding.

    Raises
    ------
    InvalidTable
        If a threshold is no number in [0, 1].

    Examples
    --------
    >>> thresholds({"screening": 0.2}, pl.DataFrame({"label:x": [True]})).rows()
    [('x', 'screening', 0.2)]
    """
    if given is None or isinstance(given, pl.DataFrame):
        return _checked(given)
    rows = [
        {"finding": finding, "operating_point": name, "threshold": float(threshold)}
        for finding in findings_of(frame)
        for name, threshold in given.items()
    ]
    return _checked(pl.DataFrame(rows))


def _checked(points: pl.DataFrame | None) -> pl.DataFrame | None:
    if points is None:
        return None
    for name in ("finding", "operating_point", "threshold"):
        if name not in points.columns:
            raise InvalidTable(
                f"operating points: no column '{name}'; got {points.columns}",
                hint=nearest(name, points.columns),
            )
    bad = points.filter(~pl.col("threshold").cast(pl.Float64).is_finite().fill_null(value=False))
    if bad.height:
        raise InvalidTable(
            f"operating points: {bad.height} thresholds are no numbers, as {bad['threshold'][0]}"
        )
    # A threshold that calls nobody lies a hair above the highest score, which may be 1.
    outside = points.filter(~pl.col("threshold").cast(pl.Float64).is_between(0, 1 + 1e-6))
    if outside.height:
        raise InvalidTable(
            f"operating points: {outside.height} thresholds outside [0, 1], "
            f"as {outside['threshold'][0]}",
            hint="scores lie in [0, 1], so 20 % is 0.2",
        )
    return points
