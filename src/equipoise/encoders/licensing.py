"""What a licence lets one do with an encoder: a use that it forbids is refused, with the clause.

Nothing here is legal advice: a card says what was read, and where. What it does not know is said
to be not known, which is another thing than allowed. No override lifts a refusal: who answers for
a model within an institution cannot give leave for its maker.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from equipoise.encoders.provenance import TERM_FACTS, Terms, Use
from equipoise.errors import InvalidEncoder, Refused

OPEN = frozenset({"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0"})
"""Licences that leave every use free and what is made with it to its maker, by their SPDX names."""

_FORBIDS: dict[Use, tuple[str, ...]] = {
    "research": (),
    "clinical": ("research_only",),
    "commercial": ("non_commercial", "research_only"),
}
"""Use → the points of a licence that rule it out."""

_WORDS = {
    "research_only": "for research only",
    "non_commercial": "for non-commercial use only",
    "derivative_bound": "what is made with it may not be shared without its maker's leave",
}


def terms_of(said: Mapping[str, object]) -> Terms | None:
    """Return what the licence of an encoder asks, None if nothing is known of it.

    Parameters
    ----------
    said
        What its card says, as in the metadata of embeddings. Without terms an open licence speaks
        for itself.

    Raises
    ------
    InvalidEncoder
        If its terms say what cannot be.

    Examples
    --------
    >>> terms_of({"licence": "MIT"}).non_commercial
    False
    >>> terms_of({"licence": "of our own"}) is None
    True
    """
    given = said.get("terms")
    if given is None:
        free = {"research_only": False, "non_commercial": False, "derivative_bound": False}
        return Terms.model_validate(free) if said.get("licence") in OPEN else None
    try:
        return Terms.model_validate(given)
    except ValidationError as error:
        raise InvalidEncoder(
            f"encoder '{said.get('name')}': terms: {error.errors()[0]['msg']}"
        ) from error


def allows(said: Mapping[str, object], use: Use) -> bool | None:
    """Return whether a licence allows a use, None where that is not known.

    Parameters
    ----------
    said
        What the encoder's card says.
    use
        What its vectors are made for.

    Examples
    --------
    >>> [allows({"licence": one}, "commercial") for one in ("MIT", "of our own")]
    [True, None]
    >>> allows({"licence": "of our own"}, "research")
    True
    """
    terms = terms_of(said)
    answers = [getattr(terms, point, None) for point in _FORBIDS[use]]
    if any(answers):
        return False
    return None if None in answers else True


def unseen(said: Mapping[str, object], use: Use) -> bool:
    """Return whether that a use is allowed stands on terms that nobody has verified.

    Parameters
    ----------
    said
        What the encoder's card says. One that tells of nothing whether it is verified, as a card
        of your own, is taken at its word.
    use
        What its vectors are made for.

    Examples
    --------
    >>> unseen({"terms": {"non_commercial": False}, "verified": ["licence"]}, "commercial")
    True
    """
    return any(_unseen(said, point) for point in _FORBIDS[use])


def _unseen(said: Mapping[str, object], point: str) -> bool:
    verified = said.get("verified")
    if said.get("terms") is None or not isinstance(verified, list | tuple):
        return False
    return "terms" not in verified and TERM_FACTS[point] not in verified


def allowed(said: Mapping[str, object], use: Use) -> tuple[str, ...]:
    """Refuse a use that the licence of an encoder forbids; return what is to be looked at.

    Parameters
    ----------
    said
        What its card says.
    use
        What its vectors are made for.

    Returns
    -------
    A sentence where it is not known or not verified whether the use is allowed, and where it is
    for somebody to judge; none for research.

    Raises
    ------
    Refused
        With the clause that forbids it.

    Examples
    --------
    >>> terms = {"non_commercial": True, "clauses": {"non_commercial": "section 2"}}
    >>> allowed({"name": "one", "licence": "CC-BY-NC-4.0", "terms": terms}, "commercial")
    Traceback (most recent call last):
        ...
    equipoise.errors.Refused: encoder 'one': commercial use is ruled out by its licence \
(CC-BY-NC-4.0), for non-commercial use only: section 2
    >>> allowed({"name": "one", "licence": "of our own"}, "clinical")
    ("encoder 'one': whether its licence (of our own) allows clinical use is not known",)
    """
    terms = terms_of(said)
    for point in _FORBIDS[use]:
        if getattr(terms, point, None):
            raise _refusal(said, terms, point, f"{use} use is ruled out")
    told = []
    if allows(said, use) is None:
        told.append(f"whether its licence ({said.get('licence')}) allows {use} use is not known")
    elif unseen(said, use):
        told.append(f"that its licence allows {use} use is from general knowledge, not verified")
    if use == "clinical" and terms is not None and terms.non_commercial:
        clause = terms.clauses["non_commercial"]
        told.append(
            f"see whether your clinical use is non-commercial, as its licence asks: {clause}"
        )
    return tuple(f"encoder '{said.get('name')}': {one}" for one in told)


def releasable(said: Mapping[str, object]) -> tuple[str, ...]:
    """Refuse to release what its encoder's licence binds; return what is to be looked at.

    Parameters
    ----------
    said
        What the encoder's card says, as in the metadata of embeddings. Where it says nothing of
        terms, as older ones did not, nothing is known and nothing refused.

    Returns
    -------
    What is not known, and the conditions on which a probe on its vectors may be shared.

    Raises
    ------
    Refused
        With the clause that binds what is made with it.

    Examples
    --------
    >>> bound = {"derivative_bound": True, "clauses": {"derivative_bound": "terms of access"}}
    >>> releasable({"name": "one", "licence": "its own", "terms": bound})
    Traceback (most recent call last):
        ...
    equipoise.errors.Refused: encoder 'one': the release of a model on its vectors is ruled out \
by its licence (its own), what is made with it may not be shared without its maker's leave: \
terms of access
    >>> releasable({"name": "one", "licence": "MIT"})
    ()
    """
    terms = terms_of(said)
    if terms is not None and terms.derivative_bound:
        action = "the release of a model on its vectors is ruled out"
        raise _refusal(said, terms, "derivative_bound", action)
    told = []
    if terms is None:
        told.append(
            f"terms: not known; its licence is said to be {said.get('licence', 'not available')}"
        )
    elif terms.derivative_bound is None and terms.share_conditions is None:
        told.append(
            f"whether its licence ({said.get('licence')}) lets a model on its vectors be shared is "
            "not known"
        )
    elif terms.derivative_bound is False and _unseen(said, "derivative_bound"):
        told.append("that a model on its vectors may be shared is not verified")
    if terms is not None and terms.share_conditions:
        told.append(f"what is made with it may be shared on conditions: {terms.share_conditions}")
    if terms is not None and terms.gated:
        told.append("its weights stand behind a form: see whether a bundle may hold them")
    return tuple(f"encoder '{said.get('name')}': {one}" for one in told)


def _refusal(said: Mapping[str, object], terms: Terms | None, point: str, action: str) -> Refused:
    clause = "" if terms is None else terms.clauses[point]
    return Refused(
        f"encoder '{said.get('name')}': {action} by its licence ({said.get('licence')}), "
        f"{_WORDS[point]}: {clause}",
        hint="no override lifts this: ask its maker for leave, or choose another encoder "
        "('equipoise encoders list')",
    )
