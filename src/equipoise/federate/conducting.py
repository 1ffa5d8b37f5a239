"""What the server does with the answers: two rounds, and the rules of who is in the sum.

It knows nothing of how messages travel: `ask` is given, so that the same lines run in a test, in
the simulator and between hospitals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from equipoise import metrics
from equipoise.errors import EquipoiseError, InvalidInput, Refused
from equipoise.federate import sums
from equipoise.federate.answering import COUNTS, MOMENTS, asked
from equipoise.federate.declaring import SCHEMA, Federation, digest
from equipoise.federate.local import keyed_of
from equipoise.federate.messages import Message, unpacked
from equipoise.metrics.parts import overlap
from equipoise.metrics.parts.overlap import check_disjoint

Ask = Callable[[str, bytes, Sequence[str]], "Heard"]
"""Called as ``ask(round, question, sites)``."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back in one round.

    Parameters
    ----------
    answers
        Site → bytes of its answer. The transport knows who answers: by certificate.
    silent
        Site → why it did not answer.
    seconds
        How long the round took.
    """

    answers: Mapping[str, bytes]
    silent: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Leaving:
    """A site that is not in the sum.

    Parameters
    ----------
    site, round
        Which, and in which round it left; *start* if it was never there.
    kind
        *absent*, *silent*, *error* (its own), or *refused* (by the server).
    reason
        One sentence.
    """

    site: str
    round: str
    kind: str
    reason: str


@dataclass(slots=True)
class Course:
    """What has happened so far, told even when it ends in an error."""

    rounds: list[dict[str, object]] = field(default_factory=list)
    left: list[Leaving] = field(default_factory=list)

    def staying(self, sites: Sequence[str]) -> list[str]:
        """Return who of these has not left."""
        gone = {leaving.site for leaving in self.left}
        return [site for site in sites if site not in gone]


@dataclass(frozen=True, slots=True)
class Summed:
    """The result: estimates of all contributing sites together.

    Parameters
    ----------
    estimated
        Estimates and counts.
    contributing
        The sites in the sum.
    digests
        Site → file → SHA-256 of what it counted.
    """

    estimated: metrics.Estimated
    contributing: tuple[str, ...]
    digests: Mapping[str, Mapping[str, str]]


def conducted(
    study: Federation, ask: Ask, present: Sequence[str], job: str, course: Course
) -> Summed:
    """Return the federated audit: the first round's sums, the second's, and the estimates.

    Parameters
    ----------
    study
        What is declared.
    ask
        The transport.
    present
        The sites that are connected.
    job
        The name of the job.
    course
        Is told what happens.

    Raises
    ------
    Refused
        If too few sites are left.
    InvalidInput
        If a site is there that is not declared, or two sites hold the same patients.

    Examples
    --------
    See ``tests/federate``, where sites answer in memory, late, wrongly and not at all.
    """
    for site in present:
        if site not in study.sites:
            raise InvalidInput(
                f"site '{site}' is not declared; the study names {', '.join(study.sites)}"
            )
    for site in study.sites:
        if site not in present:
            course.left.append(Leaving(site, "start", "absent", "it was not connected"))
    _enough(study, course)
    first = _round(study, ask, COUNTS, job, {}, course)
    counted = _sound(first, "part", partial(_check_first, study), COUNTS, course)
    check_disjoint(
        overlap({site: keyed_of(first[site].blobs) for site in counted}),
        local_codes=study.codes_local,
    )
    digests = {site: _digests(first[site]) for site in counted}
    merged, seconds = _second(study, ask, job, (counted, digests), course)
    staying = tuple(seconds)
    return Summed(
        sums.estimated(study, merged, seconds),
        staying,
        {site: digests[site] for site in staying},
    )


def _second(
    study: Federation,
    ask: Ask,
    job: str,
    first: tuple[Mapping[str, bytes], Mapping[str, dict[str, str]]],
    course: Course,
) -> tuple[bytes, dict[str, bytes]]:
    """Ask for the moments until all that are in the sum have answered.

    Whoever leaves here is taken out of the counts, and the rest are asked again: their moments
    were about the sum with the one that left. Each turn loses a site, so there are few.
    """
    counted, digests = first
    while True:
        _enough(study, course)
        mine = {site: said for site, said in counted.items() if site in course.staying(study.sites)}
        merged = sums.together(study, mine)
        answers = _round(study, ask, MOMENTS, job, {"merged": merged}, course)
        seconds = _sound(
            answers,
            "moments",
            partial(_check_second, study, merged, digests),
            MOMENTS,
            course,
        )
        if set(seconds) == set(mine):
            return merged, {site: seconds[site] for site in mine}


def _enough(study: Federation, course: Course) -> None:
    staying = course.staying(study.sites)
    if len(staying) < study.minimum_sites:
        why = "; ".join(f"{one.site}: {one.reason} ({one.round})" for one in course.left)
        raise Refused(
            f"{len(staying)} of {len(study.sites)} sites contribute; expected "
            f"{study.minimum_sites} or more, else a sum tells of one site. Left: {why}",
            hint="see to the sites that left, then submit the job again",
        )


def _round(
    study: Federation,
    ask: Ask,
    name: str,
    job: str,
    blobs: Mapping[str, bytes],
    course: Course,
) -> dict[str, Message]:
    """Ask all that stay, and keep the answers that are sound; the rest leave by name."""
    sites = course.staying(study.sites)
    heard = ask(name, asked(study, name, job, blobs), sites)
    kept = {}
    for site in sites:
        if site not in heard.answers:
            reason = heard.silent.get(site, "it did not answer in time")
            course.left.append(Leaving(site, name, "silent", reason))
            continue
        try:
            kept[site] = _message((digest(study), name, job), site, heard.answers[site])
        except _Error as error:
            course.left.append(Leaving(site, name, "error", str(error)))
        except EquipoiseError as error:
            course.left.append(Leaving(site, name, "refused", str(error)))
    course.rounds.append(
        {
            "round": name,
            "asked": sites,
            "answered": list(heard.answers),
            "seconds": round(heard.seconds, 3),
            "bytes": {site: len(said) for site, said in heard.answers.items()},
        }
    )
    _enough(study, course)
    return kept


class _Error(EquipoiseError):
    """What a site says of itself."""


def _message(asked: tuple[str, str, str], site: str, said: bytes) -> Message:
    """Return a site's answer to what was asked: study, round and job."""
    message = unpacked(said)
    head = message.head
    if head.get("schema") != SCHEMA:
        raise Refused(
            f"site '{site}' speaks schema version {head.get('schema')!r}; the server {SCHEMA}"
        )
    if head.get("error"):
        raise _Error(_printable(str(head["error"])[:1000]))
    if (head.get("study"), head.get("round"), head.get("job")) != asked:
        raise Refused(f"site '{site}' answered another question than was asked")
    return message


def _printable(text: str) -> str:
    """Return text that does nothing to a terminal: a site says it, people read it elsewhere."""
    return "".join(one if one.isprintable() else " " for one in text)


def _sound(
    answers: Mapping[str, Message],
    blob: str,
    check: Callable[[str, Message], None],
    name: str,
    course: Course,
) -> dict[str, bytes]:
    """Return the blobs that are possible tables; who sends another is refused by name."""
    kept = {}
    for site, message in answers.items():
        try:
            if blob not in message.blobs:
                raise InvalidInput(f"no '{blob}' in its answer")
            check(site, message)
            kept[site] = message.blobs[blob]
        except EquipoiseError as error:
            reason = f"an answer that cannot be: {error}"
            course.left.append(Leaving(site, name, "refused", reason))
        except Exception as error:  # noqa: BLE001  one site's bytes must not end the others' audit
            reason = f"an answer that cannot be read ({type(error).__name__})"
            course.left.append(Leaving(site, name, "refused", reason))
    return kept


def _check_first(study: Federation, site: str, message: Message) -> None:
    sums.check_part(study, site, message.blobs["part"])
    keyed_of(message.blobs)


def _check_second(
    study: Federation,
    merged: bytes,
    digests: Mapping[str, dict[str, str]],
    site: str,
    message: Message,
) -> None:
    if _digests(message) != digests[site]:
        raise InvalidInput("its tables changed between the rounds")
    sums.check_second(study, merged, site, message.blobs["moments"])


def _digests(message: Message) -> dict[str, str]:
    said = message.head.get("tables")
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}
