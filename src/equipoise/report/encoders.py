"""The encoder behind the numbers: whose images it learnt from, what was measured, its terms."""

from collections.abc import Mapping

from equipoise.encoders.knowledge import completed, not_known
from equipoise.encoders.licensing import terms_of
from equipoise.encoders.provenance import TERM_FACTS
from equipoise.errors import InvalidEncoder
from equipoise.report.material import Material, Record

_APART = ("populations", "documented_bias", "terms", "verified", "seen_in")
_POPULATION = ("dataset", "country", "people", "images", "source")


def encoder(material: Material) -> dict[str, object] | None:
    """Return what is known of the encoder and what is not, None without embeddings.

    Returns
    -------
    `facts`: the metadata of the embeddings, without what stands in rows of its own;
    `populations` and `documented_bias`: rows; `terms`: a row per point of its licence, None where
    none is known; `not_known`: names of facts; `completed`: what was taken from the catalogue, as
    the card of the same model; `not_verified`: which of the rows nobody has seen.
    """
    said = material.embeddings
    if said is None:
        return None
    given = said.get("card")
    card: Record = given if isinstance(given, Mapping) else {}
    whole, added = completed(card)
    plain = {name: value for name, value in card.items() if name not in _APART}
    return {
        "facts": {**said, **({"card": plain} if isinstance(given, Mapping) else {})},
        "populations": _rows(whole, "populations", _POPULATION),
        "documented_bias": _rows(whole, "documented_bias", ("finding", "source")),
        **_licence(whole),
        "completed": list(added),
        "not_verified": _not_verified(whole, added),
    }


def _rows(card: Record, name: str, columns: tuple[str, ...]) -> list[dict[str, object]]:
    found = card.get(name)
    rows = found if isinstance(found, list | tuple) else []
    return [{key: row.get(key) for key in columns} for row in rows if isinstance(row, Mapping)]


def _licence(card: Record) -> dict[str, object]:
    """Return the terms and what is not known; terms that cannot be are not known."""
    try:
        terms = terms_of(card)
    except InvalidEncoder:
        card = {**card, "terms": None, "licence": None}
        terms = None
    rows = None
    if terms is not None:
        rows = [
            {
                "point": fact,
                "holds": getattr(terms, point),
                "clause": terms.clauses.get(point),
            }
            for point, fact in TERM_FACTS.items()
        ]
    return {
        "terms": rows,
        "share_conditions": None if terms is None else terms.share_conditions,
        "not_known": not_known(card),
    }


def _not_verified(card: Record, added: tuple[str, ...]) -> list[str]:
    """Return which of the parts nobody verified; a card that tells nothing of it has its word."""
    seen = card.get("verified")
    if not isinstance(seen, list | tuple):
        return []
    parts = [name for name in ("training_data", *_APART[:3]) if card.get(name) or name in added]
    said = {str(name) for name in seen}
    return [name for name in parts if name not in said]
