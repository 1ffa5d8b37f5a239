"""Estimates at declared case mixes: the strata found in the table, and one answer per mix."""

from collections.abc import Sequence

import polars as pl

from equipoise import metrics
from equipoise.audit.options import Options
from equipoise.errors import InvalidConfiguration
from equipoise.metrics.groups import UNKNOWN, levels_of
from equipoise.metrics.reading import declared_levels, with_attributes
from equipoise.metrics.standardised import Mix, Standardised, mix, standardised
from equipoise.metrics.standardised.mixes import Declared


def mixed(
    frame: pl.DataFrame,
    table: pl.DataFrame,
    mixes: Sequence[Mix],
    *,
    options: Options,
    patient: str | None,
    points: pl.DataFrame | None,
) -> list[Standardised]:
    """Return the estimates of all declared subgroups at each case mix.

    Parameters
    ----------
    frame
        Predictions, wide, with their attributes as text, and the columns of the mixes.
    table
        The table *subgroups*; what a mix is of need not be among its attributes.
    mixes
        The case mixes; each is a family of its own.
    options
        What is audited; its candidate names the rows.
    patient
        The column that says whose image it is, or None.
    points
        The thresholds, or None.

    Raises
    ------
    InvalidConfiguration
        If two mixes have one name.
    InvalidTable
        If a column of a mix is absent, or holds a level without a share.

    Examples
    --------
    >>> rows = pl.DataFrame({"sex": ["F"], "view": ["AP"], "label:x": [True], "score:x": [0.9]})
    >>> made = mixed(rows, metrics.subgroups({"sex": ["F"]}), [mix({"view": "overall"})],
    ...              options=Options(), patient=None, points=None)
    >>> made[0].estimates["adjustment"][0]
    'standardised to the overall mix of view'
    """
    _check_names(tuple(one.name for one in mixes))
    plan = metrics.Plan(
        references=options.references,
        metrics=tuple(options.metrics),
        minimum=options.minimum,
        candidate=options.candidate or "predictions",
        seed=options.seed,
        against=options.against,
    )
    made = []
    for one in mixes:
        cut, cells = _strata(frame, table, one)
        people = metrics.population(
            cut, cells, patient=patient, points=points, findings=options.findings
        )
        made.append(standardised(people, table, plan, one))
    return made


def beside(
    crude: pl.DataFrame,
    frame: pl.DataFrame,
    table: pl.DataFrame,
    *,
    options: Options,
    patient: str | None,
    points: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return estimates with those at the case mixes of the options below them.

    Parameters
    ----------
    crude
        The table *estimates*.
    frame, table, options, patient, points
        As of `mixed`.

    Raises
    ------
    InvalidConfiguration, InvalidTable
        As of `mixed`.

    Examples
    --------
    >>> crude = pl.DataFrame({"adjustment": ["crude"]})
    >>> beside(crude, pl.DataFrame(), pl.DataFrame(), options=Options(), patient=None,
    ...        points=None).height
    1
    """
    mixes = [mix(declared) for declared in options.standardise]
    made = mixed(frame, table, mixes, options=options, patient=patient, points=points)
    return below(crude, made)


def columns_of(declared: Sequence[Declared]) -> list[str]:
    """Return the columns that case mixes need, those of reference groups too.

    Parameters
    ----------
    declared
        The case mixes, as in the options.

    Raises
    ------
    InvalidConfiguration
        If one makes no sense.

    Examples
    --------
    >>> columns_of([{"view": "sex=M", "prevalence": 0.1}])
    ['view', 'sex']
    """
    mixes = [mix(one) for one in declared]
    return list(dict.fromkeys(name for one in mixes for name in (*one.columns, *one.reference)))


def below(crude: pl.DataFrame, made: Sequence[Standardised]) -> pl.DataFrame:
    """Return estimates with standardised ones below them, in the columns of the first.

    Parameters
    ----------
    crude
        The table *estimates*.
    made
        What was estimated at each case mix.

    Raises
    ------
    InvalidConfiguration
        If two mixes have one name.

    Examples
    --------
    >>> below(pl.DataFrame({"adjustment": ["crude"]}), []).height
    1
    """
    _check_names(tuple(one.estimates["adjustment"][0] for one in made if one.estimates.height))
    return pl.concat([crude, *(one.estimates for one in made)], how="diagonal_relaxed").select(
        crude.columns
    )


def _strata(
    frame: pl.DataFrame, table: pl.DataFrame, one: Mix
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the table with the columns of a mix as levels, and all cells that are told apart."""
    groups = levels_of(table)
    asked: dict[str, list[str] | None] = {}
    for place, column in enumerate(one.columns):
        shares = list(dict.fromkeys(stratum[place] for stratum in one.shares))
        # An image of an unknown stratum has no weight; it is no error.
        asked[column] = [*shares, UNKNOWN] if shares else None
    asked |= dict.fromkeys(set(one.reference) - set(asked))
    asked = {column: levels for column, levels in asked.items() if column not in groups}
    cut = with_attributes(frame, asked)
    levels, _ = declared_levels(cut, asked)
    return cut, metrics.subgroups({**groups, **levels}, order=1)


def _check_names(names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidConfiguration(
            f"standardise: two case mixes are '{twice[0]}'; expected one of each"
        )
