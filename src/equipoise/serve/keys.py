"""Secrets of a service: the site key behind its pseudonyms, and the token of its callers."""

import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from equipoise.errors import InvalidConfiguration, InvalidInput, StorageFailure
from equipoise.tables import make_folder

_BYTES = 32
_FEWEST_CHARACTERS = 32
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class SiteKey:
    """What pseudonyms are made with; it never leaves its site.

    Parameters
    ----------
    secret
        The key.
    id
        Tells keys apart and tells nothing of the key.
    """

    secret: bytes = field(repr=False)
    id: str = ""


def site_key(path: Path, *, log: Path, entropy: Callable[[int], bytes]) -> SiteKey:
    """Return the site key in a file, which is made, readable by its owner only, if it is absent.

    Parameters
    ----------
    path
        The file.
    log
        The log folder: the key must not lie in it, since logs travel and the key does not.
    entropy
        Gives so many random bytes, as ``secrets.token_bytes``.

    Raises
    ------
    InvalidConfiguration
        If it lies in the log folder, is no key, or others than its owner may read it.
    StorageFailure
        If it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> made = site_key(place / "site.key", log=place / "log", entropy=lambda n: b"7" * n)
    >>> made == site_key(place / "site.key", log=place / "log", entropy=bytes)
    True
    >>> site_key(place / "log" / "a.key", log=place / "log", entropy=bytes)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: site key a.key: lies in the log folder; expected it \
outside, where the log does not carry it along
    """
    if path.resolve().is_relative_to(log.resolve()):
        raise InvalidConfiguration(
            f"site key {path.name}: lies in the log folder; expected it outside, where the log "
            "does not carry it along"
        )
    if not path.exists():
        _make(path, entropy(_BYTES).hex())
    text = _private(path, "site key")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) < _BYTES:
        raise InvalidConfiguration(
            f"site key {path}: is no key of {_BYTES} bytes in hexadecimal digits",
            hint="name a file that does not exist: a key is made there",
        )
    return SiteKey(secret, hashlib.sha256(b"equipoise site key\0" + secret).hexdigest()[:16])


def pseudonym(key: SiteKey, identifier: str) -> str:
    """Return what stands in the log for a patient or an image: 32 hexadecimal digits.

    HMAC-SHA256 under the site key: the same each time, and without the key neither to be turned
    round nor to be found by trying all numbers. Labels that come later are given the same name.

    References
    ----------
    Krawczyk, Bellare & Canetti 1997, RFC 2104.

    Examples
    --------
    >>> pseudonym(SiteKey(b"0" * 32), "12345") == pseudonym(SiteKey(b"0" * 32), "12345")
    True
    >>> pseudonym(SiteKey(b"0" * 32), "12345") == pseudonym(SiteKey(b"1" * 32), "12345")
    False
    """
    return hmac.new(key.secret, identifier.encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def token(path: Path) -> str:
    """Return the bearer token in a file.

    Raises
    ------
    InvalidConfiguration
        If it is absent, shorter than 32 characters, or others than its owner may read it.

    Examples
    --------
    >>> token(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: token nowhere: cannot be read (No such file or directory)
    """
    text = _private(path, "token")
    if len(text) < _FEWEST_CHARACTERS or not text.isascii() or not text.isprintable():
        raise InvalidConfiguration(
            f"token {path}: holds {len(text)} characters; expected {_FEWEST_CHARACTERS} or more, "
            "printable ASCII on one line",
            hint="python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one",
        )
    return text


def matches(said: str, expected: str) -> bool:
    """Return whether an Authorization header bears the token, in time that tells nothing.

    Examples
    --------
    >>> matches("Bearer abc", "abc"), matches("Bearer xyz", "abc"), matches("abc", "abc")
    (True, False, False)
    """
    scheme, _, given = said.partition(" ")
    same = hmac.compare_digest(given.strip().encode(), expected.encode())
    return same and scheme.lower() == "bearer"


def _make(path: Path, text: str) -> None:
    make_folder(path.parent)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, text.encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise StorageFailure(f"site key {path}: cannot be made ({error.strerror})") from error


def _private(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InvalidConfiguration(f"{what} {path}: cannot be read ({why})") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InvalidConfiguration(
            f"{what} {path}: others than its owner may read it (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {path}",
        )
    return text


def needs_token(host: str, given: Path | None) -> None:
    """Refuse to listen on any but a loopback address without a token.

    Raises
    ------
    InvalidInput
        If no token is given and the address can be reached from other machines.

    Examples
    --------
    >>> needs_token("127.0.0.1", None)
    >>> needs_token("0.0.0.0", None)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: host 0.0.0.0 can be reached from other machines; expected a \
token file
    """
    if given is None and not is_loopback(host):
        raise InvalidInput(
            f"host {host} can be reached from other machines; expected a token file",
            hint="give --token-file, and put TLS before the service: a token in clear can be read",
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("10.0.0.7")
    (True, True, False)
    """
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
