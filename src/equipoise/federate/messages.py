"""What travels: a head in JSON and named blobs of bytes, and nothing that could run.

A message is read strictly: what is not as it must be is an error that the receiver lays at the
sender's door by name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from equipoise import evidence
from equipoise.errors import InvalidInput

_MOST = 1 << 30
"""Largest message that is read (bytes)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a round.

    Parameters
    ----------
    head
        What it says, in JSON: schema version, round, digest of the study, and more.
    blobs
        Name → bytes.
    """

    head: Mapping[str, object]
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def packed(message: Message) -> bytes:
    r"""Return a message as bytes.

    Examples
    --------
    >>> packed(Message({"a": 1}, {"b": b"xy"}))
    b'{"blobs":{"b":2},"head":{"a":1}}\nxy'
    """
    # In the order of names, as canonical JSON has them: the sizes say where each blob starts.
    blobs = dict(sorted(message.blobs.items()))
    sizes = {name: len(blob) for name, blob in blobs.items()}
    first = evidence.canonical({"head": dict(message.head), "blobs": sizes})
    return first + b"\n" + b"".join(blobs.values())


def unpacked(said: bytes) -> Message:
    r"""Return the message in these bytes.

    Raises
    ------
    InvalidInput
        If they are none.

    Examples
    --------
    >>> unpacked(b'{"blobs":{"b":2},"head":{"a":1}}\nxy').blobs
    {'b': b'xy'}
    >>> unpacked(b'{"blobs":{"b":3},"head":{"a":1}}\nxy')
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: message: its blobs take 3 bytes; got 2
    """
    if len(said) > _MOST:
        raise InvalidInput(f"message: {len(said)} bytes; expected at most {_MOST}")
    first, _, rest = said.partition(b"\n")
    try:
        content = json.loads(first)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("message: its head is not JSON") from error
    if not isinstance(content, dict) or set(content) != {"head", "blobs"}:
        raise InvalidInput("message: expected a head and blobs")
    head, sizes = content["head"], content["blobs"]
    if not isinstance(head, dict) or not isinstance(sizes, dict):
        raise InvalidInput("message: expected a head and blobs")
    # A Boolean is an int to Python; no size is one.
    if not all(type(size) is int and size >= 0 for size in sizes.values()):
        raise InvalidInput("message: a blob's size is no number of bytes")
    if sum(sizes.values()) != len(rest):
        raise InvalidInput(f"message: its blobs take {sum(sizes.values())} bytes; got {len(rest)}")
    blobs, start = {}, 0
    for name, size in sizes.items():
        blobs[name] = rest[start : start + size]
        start += size
    return Message(head, blobs)
