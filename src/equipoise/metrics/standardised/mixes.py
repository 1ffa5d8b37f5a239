"""A declared case mix: the strata, and the share that each shall have in every group."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl

from equipoise.errors import InvalidConfiguration, InvalidTable

PREVALENCE = "prevalence"
"""The name under which the share of positives is declared, beside the columns."""

Shares = Mapping[str, float]
Declared = Mapping[str, Shares | str | float]

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Mix:
    """A case mix to which estimates are standardised.

    Parameters
    ----------
    name
        In words; an estimate's `adjustment` is *standardised to <name>*.
    columns
        The columns whose cross makes the strata; none if only prevalence is declared.
    source
        Where the shares are from: *overall*, everybody whose stratum is known; *reference*, the
        group in `reference`; *declared*, the table in `shares`.
    reference
        The subgroup whose mix it is.
    shares
        A level per column → share; they sum to one.
    prevalence
        The share of positives; *source* for that of the same people; None leaves each group's own.
    trim
        Whether strata in which some group has nobody are left out of the mix, for all groups.
    """

    name: str
    columns: tuple[str, ...]
    source: Literal["overall", "reference", "declared"]
    reference: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    prevalence: float | Literal["source"] | None = None
    trim: bool = False


def mix(standardise: Declared, *, trim: bool = False, name: str | None = None) -> Mix:
    """Return the case mix that is declared.

    Parameters
    ----------
    standardise
        Column → the share of each of its levels, or *overall*, or a group as ``"sex=M"``. Shares
        of several columns are crossed as if independent; else give the cross, by `crossed`.
        *prevalence* → the share of positives, or one of these two words.
    trim
        Whether strata in which some group has nobody are left out, for all groups.
    name
        In words; else made of what is declared.

    Raises
    ------
    InvalidConfiguration
        If nothing is declared, shares do not sum to one, or sources are mixed.

    Examples
    --------
    >>> mix({"age_band": {"0-64": 0.75, "65+": 0.25}, "prevalence": 0.1}).name
    'the declared mix of age_band, prevalence 0.1'
    >>> mix({"age_band": "overall", "view": "overall"}).name
    'the overall mix of age_band, view'
    """
    if not standardise:
        raise InvalidConfiguration(
            "standardise: nothing is declared", hint="as in age_band: overall, prevalence: 0.1"
        )
    columns = {key: given for key, given in standardise.items() if key != PREVALENCE}
    share = standardise.get(PREVALENCE)
    words = {given for given in [*columns.values(), share] if isinstance(given, str)}
    tables = {key: given for key, given in columns.items() if isinstance(given, Mapping)}
    numbers = [key for key, given in columns.items() if not isinstance(given, str | Mapping)]
    if numbers:
        raise InvalidConfiguration(
            f"standardise: '{numbers[0]}' is {columns[numbers[0]]!r}; expected a share per level, "
            "'overall', or a group as sex=M"
        )
    if len(words) > 1 or (tables and len(tables) < len(columns)):
        raise InvalidConfiguration(
            "standardise: the columns have several sources; expected one for all of them",
            hint="declare shares for each column, or 'overall' for each",
        )
    made = _sourced(tuple(columns), words, tables)
    made = replace(made, prevalence=_prevalence(share, made.source), trim=trim)
    return replace(made, name=name or _named(made))


def crossed(
    table: pl.DataFrame,
    *,
    prevalence: float | None = None,
    trim: bool = False,
    name: str | None = None,
) -> Mix:
    """Return the case mix of a table with a row per stratum.

    Parameters
    ----------
    table
        The columns, as text, and `share`.
    prevalence
        The share of positives; None leaves each group's own.
    trim, name
        As for `mix`.

    Raises
    ------
    InvalidTable
        If there is no `share`, a stratum stands there twice, or shares do not sum to one.

    Examples
    --------
    >>> rows = pl.DataFrame({"age_band": ["0-64", "65+"], "share": [0.75, 0.25]})
    >>> crossed(rows).shares
    {('0-64',): 0.75, ('65+',): 0.25}
    """
    if "share" not in table.columns or table.width < 2:
        raise InvalidTable(
            f"case mix: expected 'share' and one column or more beside it; got {table.columns}"
        )
    columns = tuple(column for column in table.columns if column != "share")
    strata = list(table.select(pl.col(columns).cast(pl.String)).iter_rows())
    if len(set(strata)) < len(strata):
        twice = next(stratum for stratum in strata if strata.count(stratum) > 1)
        raise InvalidTable(f"case mix: the stratum {twice} stands there twice")
    shares = dict(zip(strata, table["share"].cast(pl.Float64).to_list(), strict=True))
    _check_shares(", ".join(columns), shares)
    made = Mix("", columns, "declared", shares=shares, trim=trim)
    made = replace(made, prevalence=_prevalence(prevalence, "declared"))
    return replace(made, name=name or _named(made))


def in_words(columns: tuple[str, ...], stratum: tuple[str, ...]) -> str:
    """Return a stratum in words.

    Examples
    --------
    >>> in_words(("sex", "view"), ("F", "AP"))
    'sex=F, view=AP'
    """
    return ", ".join(f"{name}={level}" for name, level in zip(columns, stratum, strict=True))


def _sourced(columns: tuple[str, ...], words: set[str], tables: Mapping[str, Shares]) -> Mix:
    if words == {"overall"} and not tables:
        return Mix("", columns, "overall")
    if words and (tables or words == {"overall"}):
        raise InvalidConfiguration(
            f"standardise: '{min(words)}' beside declared shares; expected one source for all",
            hint="declare the prevalence as a number too",
        )
    if words:
        attribute, equals, level = next(iter(words)).partition("=")
        if not (attribute and equals and level):
            raise InvalidConfiguration(
                f"standardise: {next(iter(words))!r}; expected 'overall' or a group as sex=M"
            )
        return Mix("", columns, "reference", reference={attribute: level})
    for column, shares in tables.items():
        _check_shares(column, shares)
    cross = {
        stratum: _product([tables[c][level] for c, level in zip(columns, stratum, strict=True)])
        for stratum in itertools.product(*(tables[column] for column in columns))
    }
    return Mix("", columns, "declared", shares=cross)


def _product(shares: list[float]) -> float:
    found = 1.0
    for share in shares:
        found *= float(share)
    return found


def _check_shares(what: str, shares: Mapping[str, float] | Mapping[tuple[str, ...], float]) -> None:
    total = sum(shares.values())
    if not all(0.0 <= share <= 1.0 for share in shares.values()):
        raise InvalidConfiguration(f"standardise: '{what}' has shares outside [0, 1]")
    if not abs(total - 1.0) <= _TOLERANCE:
        raise InvalidConfiguration(
            f"standardise: the shares of '{what}' sum to {total:g}; expected 1",
            hint="write 20 % as 0.2, and name every level, with 0 where it shall not count",
        )


def _prevalence(given: object, source: str) -> float | Literal["source"] | None:
    if given is None:
        return None
    if isinstance(given, str) and source != "declared":
        return "source"
    if isinstance(given, int | float) and 0.0 < given < 1.0:
        return float(given)
    raise InvalidConfiguration(
        f"standardise: prevalence is {given!r}; expected a share between 0 and 1, or 'overall'"
    )


def _named(made: Mix) -> str:
    whose = {
        "overall": "the overall",
        "reference": "the",
        "declared": "the declared",
    }[made.source]
    of = "".join(f" of {k}={v}" for k, v in made.reference.items())
    parts = []
    if made.columns:
        parts.append(f"{whose} mix{of}{' in' if of else ' of'} {', '.join(made.columns)}")
    if made.prevalence == "source":
        parts.append(f"{whose} prevalence{of}")
    elif made.prevalence is not None:
        parts.append(f"prevalence {made.prevalence:g}")
    return ", ".join(parts)
