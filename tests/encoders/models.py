"""Tiny ONNX models, written byte by byte, so that tests need no package to make them."""

from collections.abc import Sequence

FLOAT, UINT8, DOUBLE = 1, 2, 11


def model(
    shape: Sequence[int | str] = ("batch", 4, 4, 1),
    *,
    kind: int = UINT8,
    operators: Sequence[str] = ("Flatten",),
    dimension: int | str = 16,
    outputs: Sequence[str] = ("embedding",),
    weights_elsewhere: bool = False,
) -> bytes:
    """Return a model that casts its input to float and applies unary operators to it."""
    nodes = [_node("Cast", "images", "cast", _integer("to", FLOAT))]
    names = ["cast", *(f"step{i}" for i in range(1, len(operators))), outputs[0]]
    for operator, source, target in zip(operators, names, names[1:], strict=False):
        axis = _integer("axis", 1) if operator == "Flatten" else b""
        nodes.append(_node(operator, source, target, axis))
    nodes += [_node("Identity", outputs[0], name, b"") for name in outputs[1:]]
    graph = b"".join(_bytes(1, node) for node in nodes) + _text(2, "tiny")
    if weights_elsewhere:
        place = _text(1, "location") + _text(2, "weights.bin")
        graph += _bytes(5, _text(8, "w") + _bytes(13, place) + _number(14, 1))
    graph += _bytes(11, _port("images", kind, shape))
    for name in outputs:
        graph += _bytes(12, _port(name, FLOAT, ("batch", dimension)))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 13))


def _node(operator: str, source: str, target: str, attribute: bytes) -> bytes:
    found = _text(1, source) + _text(2, target) + _text(4, operator)
    return found + (_bytes(5, attribute) if attribute else b"")


def _integer(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, 2)


def _port(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(
        _bytes(1, _number(1, size) if isinstance(size, int) else _text(2, size)) for size in shape
    )
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, sizes)))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
