"""What is known of an encoder, and what is not: its card, completed by that of the catalogue."""

from collections.abc import Mapping

from equipoise.encoders import catalogue
from equipoise.encoders.card import NOT_AVAILABLE
from equipoise.encoders.licensing import terms_of
from equipoise.encoders.provenance import TERM_FACTS

_PEOPLE = ("training_data", "populations", "documented_bias", "terms")
"""What the catalogue adds to a card that does not say it."""

_ASKED = ("architecture", "source_id", "training_data", "populations", "documented_bias")


def completed(said: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return a card with what the catalogue knows of the same model, and what was added.

    A model is the same if its card names the same source, or has the name and the length of
    vector of one in the catalogue. What a card says itself always stands.

    Parameters
    ----------
    said
        What the card says, as in the metadata of embeddings.

    Examples
    --------
    >>> whole, added = completed({"name": "uni", "dimension": 1024, "licence": "its own"})
    >>> added, whole["licence"]
    (('training_data', 'populations', 'terms'), 'its own')
    >>> completed({"name": "uni", "dimension": 7})[1]
    ()
    """
    found = _same(said)
    if found is None:
        return dict(said), ()
    known = catalogue.card(found).summary()
    added = tuple(name for name in _PEOPLE if not _says(said.get(name)) and _says(known.get(name)))
    whole = {**said, **{name: known[name] for name in added}}
    if added:
        whole["verified"] = _verified(said, known, added)
    return whole, added


def _verified(
    said: Mapping[str, object], known: Mapping[str, object], added: tuple[str, ...]
) -> list[str]:
    """Return what is verified of both; a card that tells nothing of it is taken at its word."""
    own, theirs = said.get("verified"), known.get("verified")
    mine = own if isinstance(own, list | tuple) else list(said)
    them = theirs if isinstance(theirs, list | tuple) else []
    return [str(name) for name in mine] + [
        str(name) for name in them if str(name).partition(".")[0] in added
    ]


def _says(value: object) -> bool:
    return value is not None and value != NOT_AVAILABLE


def _same(said: Mapping[str, object]) -> str | None:
    name, source = said.get("name"), said.get("source_id")
    if isinstance(name, str) and name in catalogue.names():
        alike = catalogue.card(name)
        if alike.dimension == said.get("dimension") or (source and alike.source_id == source):
            return name
    if isinstance(source, str):
        those = [n for n in catalogue.names() if catalogue.card(n).source_id == source]
        return those[0] if len(those) == 1 else None
    return None


def not_known(said: Mapping[str, object]) -> list[str]:
    """Return the facts of an encoder that its card does not tell, each of the terms by its name.

    Who it learnt from is known of an encoder that was made here, by `groups_seen`, and of one that
    learnt from nobody.

    Examples
    --------
    >>> not_known({"name": "bank", "training_data": "none: fixed filters", "licence": "MIT",
    ...            "architecture": "filters", "source_id": "here"})
    ['documented_bias', 'terms.gated']
    """
    made_here = _says(said.get("groups_seen")) or str(said.get("training_data")).startswith("none")
    lacking = [
        name
        for name in _ASKED
        if not _says(said.get(name)) and not (name == "populations" and made_here)
    ]
    terms = terms_of(said)
    unsaid = [fact for point, fact in TERM_FACTS.items() if getattr(terms, point, None) is None]
    return lacking + unsaid
