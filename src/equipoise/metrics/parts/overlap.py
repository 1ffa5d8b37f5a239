"""Whether parts that are declared to share no patient do, told by keyed digests of their ids."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from equipoise.errors import InvalidConfiguration, InvalidTable

_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Keyed:
    """Keyed digests of the patients of one part, sorted.

    Parameters
    ----------
    ids
        Of whole patient ids, as ``site-1/0042``.
    codes
        Of what stands behind the site, as ``0042``: the same in two parts if the two number their
        patients alike, or if one cohort was given to both.
    """

    ids: tuple[str, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """How many patients two parts share.

    Parameters
    ----------
    first, second
        The parts.
    ids, codes
        How many whole ids, and how many codes behind the site.
    n
        How many patients the smaller part has.
    """

    first: str
    second: str
    ids: int
    codes: int
    n: int


def keyed(patients: Iterable[str], *, salt: bytes) -> Keyed:
    """Return keyed digests of patient ids (HMAC-SHA256, 32 hex digits).

    The salt is shared by the parts and must stay unknown to whoever compares: patient ids are few
    and regular, so that who has the salt can try them all. Who compares learns how many patients
    each part has and which digests recur, nothing of who they are. A part that gives the salt
    away undoes it for all.

    Parameters
    ----------
    patients
        Their ids, any order, any number of times.
    salt
        At least 16 random bytes, the same in all parts of one study, of no other study.

    Raises
    ------
    InvalidConfiguration
        If the salt is short.

    Examples
    --------
    >>> salt = bytes(range(16))
    >>> one, two = keyed(["a/1", "a/1"], salt=salt), keyed(["b/1"], salt=salt)
    >>> len(one.ids), one.ids == two.ids, one.codes == two.codes
    (1, False, True)
    """
    if len(salt) < _SALT_BYTES:
        raise InvalidConfiguration(
            f"overlap: the salt has {len(salt)} bytes; expected {_SALT_BYTES} or more",
            hint="draw it once at one site with secrets.token_bytes(32), and give it to the others",
        )
    ids = set(patients)
    codes = {one.partition("/")[2] or one for one in ids}
    return Keyed(
        tuple(sorted(_digest(salt, f"id:{one}") for one in ids)),
        tuple(sorted(_digest(salt, f"code:{one}") for one in codes)),
    )


def overlap(parts: Mapping[str, Keyed]) -> list[Shared]:
    """Return each two parts that share a patient id, or a code behind the site.

    Examples
    --------
    >>> salt = bytes(range(16))
    >>> one, two = keyed(["a/1", "a/2"], salt=salt), keyed(["b/1"], salt=salt)
    >>> overlap({"site-1": one, "site-2": two})
    [Shared(first='site-1', second='site-2', ids=0, codes=1, n=1)]
    """
    found = [
        Shared(
            a,
            b,
            len(set(parts[a].ids) & set(parts[b].ids)),
            len(set(parts[a].codes) & set(parts[b].codes)),
            min(len(parts[a].ids), len(parts[b].ids)),
        )
        for a, b in combinations(sorted(parts), 2)
    ]
    return [shared for shared in found if shared.ids or shared.codes]


def check_disjoint(shared: Iterable[Shared], *, local_codes: bool) -> None:
    """Raise if parts that are declared to share no patient share one.

    Parameters
    ----------
    shared
        From `overlap`.
    local_codes
        Whether each part gives its own codes, so that the same code is another patient: then only
        whole ids are held against each other.

    Raises
    ------
    InvalidTable
        Naming the two parts, and how many patients they share.

    Examples
    --------
    >>> check_disjoint([Shared("site-1", "site-2", 0, 3, 50)], local_codes=True)
    >>> check_disjoint([Shared("site-1", "site-2", 0, 3, 50)], local_codes=False)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: 'site-1' and 'site-2' are declared to share no patient, \
but 3 of 50 patient codes are in both
    """
    for pair in shared:
        n, what = (pair.ids, "ids") if pair.ids or local_codes else (pair.codes, "codes")
        if n:
            raise InvalidTable(
                f"parts: '{pair.first}' and '{pair.second}' are declared to share no patient, but "
                f"{n} of {pair.n} patient {what} are in both",
                hint="leave them out at one site; or, if each site numbers its own patients, say "
                "that codes are local",
            )


def _digest(salt: bytes, text: str) -> str:
    return hmac.new(salt, text.encode("utf-8"), "sha256").hexdigest()[:32]
