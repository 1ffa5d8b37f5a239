"""Messages as bytes: safetensors with a head in JSON, checked as they are unpacked."""

import json
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from equipoise.errors import InvalidTable
from equipoise.evidence import canonical
from equipoise.metrics.parts.agreements import VERSION, Agreed
from equipoise.metrics.parts.checks import check_merged, check_part
from equipoise.metrics.parts.messages import COUNTS, SECOND, Counts, Merged, Part, Second
from equipoise.metrics.parts.positivity import check_second

_Arrays = dict[str, np.ndarray]


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    version: int
    names: list[str] = Field(min_length=1)
    clustered: bool = True
    agreed: dict[str, object] = Field(default_factory=dict)
    of: str = ""


def packed(message: Part | Merged | Second) -> bytes:
    """Return a message as bytes: safetensors, without pickle, with a head in JSON.

    Examples
    --------
    >>> empty = np.zeros((0, 0))
    >>> packed(Second(("site-1",), "ab", empty, empty, empty, empty, empty))[8:25]
    b'{"__metadata__":{'
    """
    from safetensors.numpy import save

    if isinstance(message, Second):
        head: dict[str, object] = {
            "kind": "moments",
            "names": list(message.names),
            "of": message.of,
        }
        arrays = {name: getattr(message, name) for name in SECOND}
    else:
        one = isinstance(message, Part)
        head = {
            "kind": "counts" if one else "merged",
            "names": [message.name] if isinstance(message, Part) else list(message.names),
            "clustered": message.clustered,
            "agreed": dict(message.head),
        }
        arrays = {name: getattr(message.counts, name) for name in COUNTS}
        arrays["withheld"] = message.withheld
        if isinstance(message, Merged):
            arrays["told"] = message.told
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = canonical({**head, "version": VERSION}).decode("utf-8")
    return bytes(save(whole, metadata={"head": text}))


def unpacked(data: bytes, agreed: Agreed, *, name: str) -> Part:
    """Return the counts that a part sent, once they are seen to be possible.

    Parameters
    ----------
    data
        What came.
    agreed
        What was to be counted.
    name
        Who sent it, as the transport knows.

    Raises
    ------
    InvalidTable
        Naming the part, the table, the subgroup, what was found and what was expected.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> unpacked(b"torn", agreed, name="site-2")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: 'site-2' sent 4 bytes that are no counts
    """
    head, arrays = _opened(data, "counts", name)
    part = Part(name, head.clustered, head.agreed, _counts(arrays), arrays["withheld"])
    check_part(part, agreed)
    return part


def unpacked_merged(data: bytes, agreed: Agreed, *, name: str = "the server") -> Merged:
    """Return the merged counts that the server sent, once they are seen to be possible.

    Raises
    ------
    InvalidTable
        As for `unpacked`.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import first, merge, population_of
    >>> import polars as pl
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> people = population_of(pl.DataFrame({"sex": ["F"]}), agreed, patient=None)
    >>> merged = merge([first(people, agreed, name="site-1")], agreed, disjoint_patients=True)
    >>> unpacked_merged(packed(merged), agreed).names
    ('site-1',)
    """
    head, arrays = _opened(data, "merged", name)
    merged = Merged(
        tuple(head.names),
        head.clustered,
        head.agreed,
        _counts(arrays),
        arrays["withheld"],
        arrays["told"],
    )
    check_merged(merged, agreed, name=name)
    return merged


def unpacked_second(data: bytes, merged: Merged, agreed: Agreed, *, name: str) -> Second:
    """Return the second moments that a part sent, once they are seen to be possible.

    Parameters
    ----------
    data
        What came.
    merged
        The counts at which they were to be taken.
    agreed
        What was counted.
    name
        Who sent it, as the transport knows.

    Raises
    ------
    InvalidTable
        As for `unpacked`.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> unpacked_second(b"torn", None, agreed, name="site-2")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: 'site-2' sent 4 bytes that are no moments
    """
    head, arrays = _opened(data, "moments", name)
    second = Second((name,), head.of, **{one: arrays[one] for one in SECOND})
    check_second(second, merged, agreed)
    return second


_EXPECTED = {
    "counts": {*COUNTS, "withheld"},
    "merged": {*COUNTS, "withheld", "told"},
    "moments": {*SECOND},
}


def _opened(data: bytes, kind: str, name: str) -> tuple[_Head, _Arrays]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        # What `load` has read without complaint has a header of the length that it says.
        size = int.from_bytes(data[:8], "little")
        said = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["head"])
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise InvalidTable(f"parts: '{name}' sent {len(data)} bytes that are no {kind}") from error
    head = _head(said, name)
    if head.kind != kind:
        raise InvalidTable(f"parts: '{name}' sent {head.kind}; expected {kind}")
    if kind != "merged" and head.names != [name]:
        raise InvalidTable(f"parts: '{name}' sent the {kind} of {head.names}; expected its own")
    if set(arrays) != _EXPECTED[kind]:
        raise InvalidTable(
            f"parts: '{name}' sent the arrays {sorted(arrays)}; expected {sorted(_EXPECTED[kind])}"
        )
    return head, arrays


def _head(said: object, name: str) -> _Head:
    version = said.get("version") if isinstance(said, Mapping) else None
    if version != VERSION:
        raise InvalidTable(
            f"parts: '{name}' sends version {version!r}; expected {VERSION}",
            hint="install the same version of equipoise everywhere",
        )
    try:
        return _Head.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InvalidTable(f"parts: '{name}' sent a head with {place}: {first['msg']}") from error


def _counts(arrays: _Arrays) -> Counts:
    return Counts(**{one: arrays[one] for one in COUNTS})
