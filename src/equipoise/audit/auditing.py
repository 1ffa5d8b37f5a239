"""One self-contained table of predictions, audited in memory."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from equipoise import metrics
from equipoise.audit.mixing import beside
from equipoise.audit.options import Options
from equipoise.audit.points import Points, Rows, points_of
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics.reading import (
    Source,
    classes_of,
    declared_levels,
    of_split,
    read_predictions,
    with_attributes,
)
from equipoise.tables import findings as findings_of

_log = logging.getLogger(__name__)


def estimates(
    predictions: Source,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    tune: Source | None = None,
    options: Options | None = None,
) -> pl.DataFrame:
    """Return the table *estimates*: every metric of every declared subgroup, with intervals.

    Parameters
    ----------
    predictions
        A path (CSV, Parquet, Arrow, Feather) or a table of polars, pandas or pyarrow: a row per
        image with `label` and `score`, or ``label:<finding>`` and ``score:<finding>``, or a `label`
        of class names and ``score:<class>``; or a row per `image_id` and `finding`. The layouts of
        fairmedfm, Fairlearn and MEDFAIR are recognised. With a column `split` only the test split
        is audited, unless the options say otherwise.
    by
        Attribute → its levels, declared before looking; bands as ``40-64`` cut numbers, in
        completed units. None for the levels, or a list of attributes, takes them from the data and
        makes every result exploratory.
    patient
        The column that says whose image it is. None takes images as independent, and says so:
        the intervals are then too narrow wherever a patient has several.
    operating_points
        Name → threshold, or → a rule as ``"specificity=0.9"``, for all findings; or a table of
        `finding`, `operating_point`, `threshold` and perhaps `fold`. None: only metrics that need
        no threshold.
    tune
        What rules choose thresholds on: never what is audited. Without it, the rows of the split
        *validation* of the same table.
    options
        The rest: references, intersections, metrics, minimum numbers, seed.

    Returns
    -------
    A row per estimate and interval. Differences have a `contrast`; a group's own value has none.
    What is too small has no value, the status *not assessable*, and a reason.

    Raises
    ------
    InvalidTable
        If the predictions are not what they must be, a level occurs that is not declared, or a
        threshold was chosen on what is audited.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 40, "patient_id": [str(i) for i in range(80)],
    ...                      "label": [1, 1, 0, 0] * 20, "score": [i % 7 / 7 for i in range(80)]})
    >>> found = estimates(rows, by={"sex": ["F", "M"]})
    >>> found.filter(pl.col("sex") == "F", level=0.9)["metric", "value", "reason"].rows()[0]
    ('auroc', None, 'sex=F has 20 positives (10 more are needed) and 20 negatives (10 more are \
needed)')
    """
    return audited(
        predictions,
        by=by,
        patient=patient,
        operating_points=operating_points,
        tune=tune,
        options=options,
    ).estimates


def audited(
    predictions: Source,
    *,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    tune: Source | None = None,
    options: Options | None = None,
) -> metrics.Estimated:
    """Return what `estimates` returns, with the table *counts* and what the intervals rest on.

    Parameters
    ----------
    predictions, by, patient, operating_points, tune, options
        As of `estimates`.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `estimates`.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 40, "label": [1, 1, 0, 0] * 20,
    ...                      "score": [i % 7 / 7 for i in range(80)]})
    >>> audited(rows, by={"sex": ["F", "M"]}, patient=None).counts["sex", "n_positive"].rows()
    [(None, 40), ('F', 20), ('M', 20)]
    """
    chosen = options or Options()
    frame, table, points = prepared(predictions, by, patient, operating_points, tune, chosen)
    return estimated(
        frame,
        table,
        options=chosen,
        patient=patient,
        points=points,
        candidate=chosen.candidate or "predictions",
    )


def prepared(
    predictions: Source,
    by: Mapping[str, Sequence[str] | None] | Sequence[str],
    patient: str | None,
    operating_points: Points | None,
    tune: Source | None,
    chosen: Options,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
    """Return the rows that are audited, the table *subgroups*, and the operating points.

    Parameters
    ----------
    predictions, by, patient, operating_points, tune, chosen
        As of `estimates`.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `estimates`.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F"], "label": [1], "score": [0.5]})
    >>> prepared(rows, {"sex": ["F"]}, None, None, None, Options())[1].height
    2
    """
    _check_by(by)
    everyone = read_predictions(predictions)
    frame = of_split(everyone, chosen.split, patient)
    names = list(by)
    if patient in names:
        raise InvalidConfiguration(f"audit: '{patient}' cannot be an attribute and the patient")
    check_patient(frame, patient)
    rows = Rows(frame, everyone, chosen.split or "test", patient)
    points = points_of(operating_points, rows, tune)
    frame = with_attributes(frame, by)
    levels, exploratory = declared_levels(frame, by)
    # The model was fitted or chosen on the other splits.
    exploratory |= "split" in frame.columns and bool((frame["split"] != "test").any())
    table = metrics.subgroups(
        levels, order=chosen.intersections, exploratory=exploratory, sets=chosen.sets
    )
    return frame, table, points


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
    InvalidTable, InvalidConfiguration
        If a finding is absent or asked for twice, or no metric can be had without a threshold.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F"], "label:x": [True], "score:x": [0.9]})
    >>> made = estimated(rows, metrics.subgroups({"sex": ["F"]}), options=Options(), patient=None,
    ...                  points=None, candidate="probe")
    >>> made.counts["sex", "n_positive"].rows()
    [(None, 1), ('F', 1)]
    """
    _check_asked(options, points)
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
        against=options.against,
        describe=options.describe,
        shrink=options.shrink,
        classes=classes_of(frame) if options.findings is None else (),
    )
    made = metrics.estimate(people, table, plan)
    if not options.standardise:
        return made
    named = options.model_copy(update={"candidate": candidate})
    both = beside(made.estimates, frame, table, options=named, patient=patient, points=points)
    return replace(made, estimates=both)


def _check_by(by: object) -> None:
    """Refuse attributes and levels that are not lists of words: a word is a list of its letters."""
    if isinstance(by, str) or not by:
        raise InvalidConfiguration(
            f"audit: no attribute to audit by in {by!r}; expected a list of attributes, or "
            "attribute → levels, as {'sex': ['F', 'M']}"
        )
    levels = by.items() if isinstance(by, Mapping) else ()
    for name, some in levels:
        if isinstance(some, str) or not all(isinstance(level, str) for level in some or ()):
            raise InvalidConfiguration(
                f"audit: attribute '{name}' has the levels {some!r}; expected a list of texts, as "
                "['F', 'M'], or None"
            )


def _check_asked(options: Options, points: pl.DataFrame | None) -> None:
    """Refuse a finding asked for twice, and metrics none of which can be had without a point."""
    named = options.findings or []
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise InvalidConfiguration(f"audit: finding '{twice[0]}' is asked for twice")
    if points is None and all(metrics.metric(name).thresholded for name in options.metrics):
        raise InvalidConfiguration(
            "audit: every metric asked for needs an operating point, and there is none: "
            f"{', '.join(options.metrics)}",
            hint="state one, as --threshold 0.5, or choose one with --rule",
        )


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
