import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidInput
from equipoise.federate.messages import Message, packed, unpacked

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON), st.dictionaries(st.text(), st.binary()))
def test_a_message_arrives_as_it_was_sent(head, blobs):
    found = unpacked(packed(Message(head, blobs)))
    assert found.head == head
    assert found.blobs == blobs


@given(st.binary())
def test_any_bytes_are_a_message_or_an_error_of_ours(said):
    with contextlib.suppress(InvalidInput):
        unpacked(said)


@given(st.integers(0, 60))
def test_a_torn_message_is_never_read_as_a_whole_one(cut):
    said = packed(Message({"a": 1}, {"b": b"x" * 40}))
    if cut < len(said):
        with pytest.raises(InvalidInput):
            unpacked(said[:cut])


@pytest.mark.parametrize(
    "said",
    [
        b"[]\n",
        b'{"head":{}}\n',
        b'{"head":{},"blobs":[]}\n',
        b'{"head":{},"blobs":{"a":true}}\nx',
        b'{"head":{},"blobs":{"a":-1,"b":2}}\nx',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(said):
    with pytest.raises(InvalidInput, match="message"):
        unpacked(said)
