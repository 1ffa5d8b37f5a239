"""What a site answers to each round: bytes in, bytes out, nothing else leaves."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from equipoise import __version__
from equipoise.errors import EquipoiseError, InvalidInput
from equipoise.federate import sums
from equipoise.federate.declaring import SCHEMA, Federation, digest
from equipoise.federate.local import Local, NotAsDeclared, local, pseudonyms
from equipoise.federate.messages import Message, packed, unpacked

_log = logging.getLogger(__name__)

COUNTS, MOMENTS = "counts", "moments"
ROUNDS = (COUNTS, MOMENTS)


class NotAgreed(InvalidInput):
    """What is asked is not what this site agreed to answer."""


def asked(study: Federation, name: str, job: str, blobs: Mapping[str, bytes]) -> bytes:
    """Return what the server asks in a round.

    Parameters
    ----------
    study
        What is declared; only its digest travels.
    name
        The round.
    job
        The name of the job.
    blobs
        What the sites need to answer.

    Examples
    --------
    >>> from equipoise.federate.declaring import declared
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F"]},
    ...                   "findings": ["x"], "patients_disjoint": True})
    >>> sorted(unpacked(asked(study, COUNTS, "1", {})).head)
    ['job', 'round', 'schema', 'study']
    """
    head = {"schema": SCHEMA, "study": digest(study), "round": name, "job": job}
    return packed(Message(head, blobs))


def answer(said: bytes, folder: Path, name: str) -> bytes:
    """Return a site's answer; what it cannot do it says, in words that tell of no row.

    Parameters
    ----------
    said
        What the server asks.
    folder
        The site's folder ``local``.
    name
        The site.

    Examples
    --------
    >>> unpacked(answer(b"?", Path("nowhere"), "a")).head["error"]
    'the question cannot be read: message: its head is not JSON'
    """
    head: dict[str, object] = {"schema": SCHEMA, "package": __version__}
    try:
        question = _understood(said)
        told, blobs = _answered(question, folder, name)
    except (NotAsDeclared, NotAgreed) as error:
        return packed(Message({**head, "error": str(error)}))
    except EquipoiseError as error:
        # The words may hold an identifier or a value of a row: they stay at the site.
        _log.error("%s; the server is told only that there is an error", error)
        kind = type(error).__name__
        return packed(
            Message({**head, "error": f"{kind}; what it is stands in the site's own log alone"})
        )
    return packed(Message({**head, **told}, blobs))


def _understood(said: bytes) -> Message:
    try:
        question = unpacked(said)
    except InvalidInput as error:
        raise NotAgreed(f"the question cannot be read: {error}") from error
    if question.head.get("schema") != SCHEMA:
        raise NotAgreed(
            f"schema version here is {SCHEMA}; the job says {question.head.get('schema')!r}"
        )
    return question


def _answered(
    question: Message, folder: Path, name: str
) -> tuple[dict[str, object], dict[str, bytes]]:
    head = question.head
    site = local(folder, name)
    mine = digest(site.study)
    if head.get("study") != mine:
        raise NotAgreed(
            f"the study agreed to here is {mine[:12]}; the job asks for "
            f"{str(head.get('study'))[:12]}"
        )
    turn = str(head.get("round"))
    if turn not in _WORK:
        raise NotAgreed(f"no round '{turn}'; known rounds: {', '.join(_WORK)}")
    told: dict[str, object] = {"study": mine, "round": turn, "tables": dict(site.digests)}
    told["job"] = head.get("job")
    return told, _WORK[turn](site, question)


def _counts(site: Local, question: Message) -> dict[str, bytes]:
    job = str(question.head.get("job"))
    return {"part": sums.part(site), **pseudonyms(site, job)}


def _moments(site: Local, question: Message) -> dict[str, bytes]:
    if "merged" not in question.blobs:
        raise NotAgreed("message: no merged counts; expected them in the second round")
    return {"moments": sums.second(site, question.blobs["merged"])}


_WORK: dict[str, Callable[[Local, Message], dict[str, bytes]]] = {
    COUNTS: _counts,
    MOMENTS: _moments,
}
