"""The operating points of an audit: stated, given in a table, or chosen on other rows by a rule."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import polars as pl

from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics.points import Rule, check_apart, operating_points, rule
from equipoise.metrics.reading import Source, of_split, read_predictions
from equipoise.tables import findings as findings_of

_log = logging.getLogger(__name__)

Points = pl.DataFrame | Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an audit, and those beside them.

    Parameters
    ----------
    audited
        Predictions, wide, of the split that is audited.
    everyone
        The same table with all its splits.
    split
        Which one is audited.
    patient
        The column that says whose image it is, if there is one.
    """

    audited: pl.DataFrame
    everyone: pl.DataFrame
    split: str
    patient: str | None


def points_of(given: Points | None, rows: Rows, tune: Source | None) -> pl.DataFrame | None:
    """Return the table *operating points* that was given, stated, or is chosen by rules.

    Parameters
    ----------
    given
        Name → threshold, or → a rule as ``specificity=0.9``, for all findings; or a table.
    rows
        What is audited.
    tune
        What rules choose on; without it, the rows of the split *validation* of the same table.

    Raises
    ------
    InvalidTable
        If a threshold is outside [0, 1], was chosen on rows that are audited, or none is of a
        finding that was predicted.
    InvalidConfiguration
        If there is no such rule, or nothing for it to choose on.

    Examples
    --------
    >>> seen = pl.DataFrame({"label:x": [True], "score:x": [0.9]})
    >>> points_of({"half": 0.5}, Rows(seen, seen, "all", None), None)["chosen_on"].to_list()
    ['stated']
    """
    if given is None:
        return None
    if isinstance(given, pl.DataFrame):
        _check_chosen_on(given, rows)
        return _of_known(checked(given), findings_of(rows.audited))
    stated = {name: said for name, said in given.items() if not isinstance(said, str)}
    rules = {name: rule(said) for name, said in given.items() if isinstance(said, str)}
    parts = [_stated(stated, rows.audited)]
    if rules:
        parts.append(_chosen(rules, rows, tune))
    made = checked(pl.concat(parts))
    return made if made.height else None


def checked(points: pl.DataFrame) -> pl.DataFrame:
    """Return operating points whose thresholds are numbers in [0, 1].

    Raises
    ------
    InvalidTable
        If a column is absent, or a threshold is none.

    Examples
    --------
    >>> checked(pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [20.0]}))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: operating points: 1 thresholds outside [0, 1], as 20.0
    """
    for name in ("finding", "operating_point", "threshold"):
        if name not in points.columns:
            raise InvalidTable(
                f"operating points: no column '{name}'; got {points.columns}",
                hint=nearest(name, points.columns),
            )
    number = pl.col("threshold").cast(pl.Float64, strict=False)
    unnamed = points["operating_point"].null_count()
    if unnamed:
        raise InvalidTable(
            f"operating points: column 'operating_point': {unnamed} nulls; expected none"
        )
    bad = points.filter(~number.is_finite().fill_null(value=False))
    if bad.height:
        raise InvalidTable(
            f"operating points: {bad.height} thresholds are no numbers, as {bad['threshold'][0]}"
        )
    # A threshold that calls nobody lies a hair above the highest score, which may be 1.
    outside = points.filter(~number.is_between(0, 1 + 1e-6))
    if outside.height:
        raise InvalidTable(
            f"operating points: {outside.height} thresholds outside [0, 1], "
            f"as {outside['threshold'][0]}",
            hint="scores lie in [0, 1], so 20 % is 0.2",
        )
    return points.with_columns(number)


def _of_known(points: pl.DataFrame, known: list[str]) -> pl.DataFrame:
    """Return the points, once it is said which are of findings that nobody predicted."""
    named = points["finding"].cast(pl.String)
    stray = named.filter(~named.is_in(known).fill_null(value=False)).unique().sort()
    if stray.len() and not named.is_in(known).any():
        raise InvalidTable(
            f"operating points: none is of a finding of the predictions, as {stray[0]!r}; "
            f"findings: {', '.join(known)}",
            hint=nearest(str(stray[0]), known),
        )
    if stray.len():
        _log.warning(
            "operating points: %d findings are not among the predictions and have no effect, as %r",
            stray.len(),
            stray[0],
        )
    return points


def _stated(said: Mapping[str, float], frame: pl.DataFrame) -> pl.DataFrame:
    for name, threshold in said.items():
        if isinstance(threshold, bool) or not isinstance(threshold, Real):
            raise InvalidTable(
                f"operating points: the threshold of '{name}' is {threshold!r}; expected a number"
            )
    text = pl.String()
    return pl.DataFrame(
        [
            (finding, name, "stated", float(threshold), "stated", "none")
            for finding in findings_of(frame)
            for name, threshold in said.items()
        ],
        schema={
            "finding": text,
            "operating_point": text,
            "rule": text,
            "threshold": pl.Float64(),
            "chosen_on": text,
            "digest": text,
        },
        orient="row",
    )


def _chosen(rules: Mapping[str, Rule], rows: Rows, tune: Source | None) -> pl.DataFrame:
    known = findings_of(rows.audited)
    if all(one.kind == "net_benefit" for one in rules.values()):
        # A threshold probability is what a patient would accept: no row is asked.
        made = operating_points(
            rows.audited, list(rules.values()), chosen_on="stated", findings=known
        )
    else:
        validation, chosen_on = _validation(rows, tune)
        made = operating_points(
            validation, list(rules.values()), chosen_on=chosen_on, findings=known
        )
    names = pl.Series("operating_point", list(rules) * len(known), dtype=pl.String)
    return made.with_columns(names)


def _validation(rows: Rows, tune: Source | None) -> tuple[pl.DataFrame, str]:
    """Return the rows on which rules choose, and what they are called."""
    if tune is not None:
        found = read_predictions(tune)
        found = of_split(found, "validation", rows.patient)
        check_apart(rows.audited, found, patient=rows.patient)
        return found, "validation" if "split" in found.columns else "tuning table"
    if "split" not in rows.everyone.columns:
        raise InvalidConfiguration(
            "operating points: a rule needs rows that are not audited to choose on; got one table "
            "without a column 'split'",
            hint="name another table with --tune, or state a threshold with --threshold",
        )
    if rows.split in {"validation", "all"}:
        raise InvalidTable(
            "operating points: thresholds tuned on the audited set: the split 'validation' is "
            f"audited (split '{rows.split}')",
            hint="audit the test split, or state a threshold",
        )
    return of_split(rows.everyone, "validation", rows.patient), "validation"


def _check_chosen_on(points: pl.DataFrame, rows: Rows) -> None:
    if "chosen_on" not in points.columns or "split" not in rows.audited.columns:
        return
    same = points.filter(pl.col("chosen_on").cast(pl.String) == rows.split)
    if same.height:
        raise InvalidTable(
            f"operating points: thresholds tuned on the audited set: {same.height} were chosen on "
            f"the split '{rows.split}', which is audited",
            hint="choose them on validation, or audit another split",
        )
