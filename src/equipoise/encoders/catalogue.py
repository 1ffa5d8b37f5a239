"""The models that have a card here: a YAML file each, read when it is asked for."""

from functools import cache
from importlib import resources
from pathlib import Path

import polars as pl
import yaml

from equipoise.encoders.card import Card, card_of
from equipoise.encoders.licensing import allows, unseen
from equipoise.errors import InvalidEncoder, UnknownName, nearest

_ENDING = ".yaml"
_FOLDER = resources.files("equipoise.encoders").joinpath("cards")


@cache
def names() -> tuple[str, ...]:
    """Return the names of the models that have a card, sorted.

    Examples
    --------
    >>> "rad-dino" in names()
    True
    """
    found = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING)))


@cache
def card(name: str) -> Card:
    """Return the card of a model.

    Raises
    ------
    UnknownName
        If there is none, with the nearest name.
    InvalidEncoder
        If the file is no card: it must state a licence, and be called as its file is.

    Examples
    --------
    >>> card("virchow2").dimension
    2560
    >>> card("virchow")
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no card 'virchow' in the catalogue of 74 encoders
    """
    if name not in names():
        raise UnknownName(
            f"no card '{name}' in the catalogue of {len(names())} encoders",
            hint=nearest(name, names()) or "'equipoise encoders list' names them all",
        )
    where = f"card {name} of the catalogue"
    found = card_of(yaml.safe_load(path(name).read_text(encoding="utf-8")), where=where)
    if found.name != name:
        raise InvalidEncoder(f"{where}: is called '{found.name}'; expected the name of its file")
    return found


def path(name: str) -> Path:
    """Return the file that holds the card of a model of the catalogue.

    Examples
    --------
    >>> path("rad-dino").name
    'rad-dino.yaml'
    """
    return Path(str(_FOLDER.joinpath(f"{name}{_ENDING}")))


def table() -> pl.DataFrame:
    """Return a row for each model, sorted by modality and name.

    Returns
    -------
    ``name, modality, architecture, dimension, licence, gated, commercial, loader`` and, of the
    facts that its card tells, how many were ``verified``; null is not known.

    Examples
    --------
    >>> table().filter(pl.col("name") == "virchow2").select("dimension", "commercial").row(0)
    (2560, 'no')
    """
    rows = [_row(card(name)) for name in names()]
    return pl.DataFrame(rows, infer_schema_length=None).sort("modality", "name")


def _row(one: Card) -> dict[str, object]:
    told = one.facts()
    gated = None if one.terms is None else one.terms.gated
    return {
        "name": one.name,
        "modality": one.modality,
        "architecture": one.architecture,
        "dimension": one.dimension,
        "licence": one.licence,
        "gated": None if gated is None else ("yes" if gated else "no"),
        "commercial": _commercial(one),
        "loader": one.loader,
        "verified": len(told) - len(one.unverified()),
        "facts": len(told),
    }


def _commercial(one: Card) -> str | None:
    said = one.summary()
    answer = allows(said, "commercial")
    if answer is None:
        return None
    return "no" if not answer else ("yes, not verified" if unseen(said, "commercial") else "yes")
