"""Values as every page writes them: a group, a number, a digest, the columns of some rows."""

from collections.abc import Mapping, Sequence

from equipoise import figures
from equipoise.words import Texts, named, say


def group_name(subgroup: Mapping[str, str], *, texts: Texts) -> str:
    """Return a subgroup as it is read in a sentence or a cell.

    Examples
    --------
    >>> group_name({"sex": "F", "age_band": "60+"}, texts={})
    'sex F, age band 60+'
    """
    if not subgroup:
        return say(texts, "group.everybody")
    named_parts = (
        f"{named(texts, 'attribute', name).replace('_', ' ')} {level}".strip()
        for name, level in subgroup.items()
    )
    return ", ".join(named_parts)


def spaced(name: str, *, texts: Texts) -> str:
    """Return the name of an attribute as it is read.

    Examples
    --------
    >>> spaced("skin_type", texts={})
    'skin type'
    """
    return named(texts, "attribute", name).replace("_", " ")


def cell_text(value: object, *, texts: Texts) -> str:
    """Return a value from JSON as it stands in a cell; what is absent says so.

    Examples
    --------
    >>> from equipoise import words
    >>> cell_text([1234, True, 0.5], texts=words.load())
    '1,234, yes, 0.5000'
    """
    if value is None or value == "":
        return say(texts, "state.not_available")
    if isinstance(value, bool):
        return say(texts, "state.yes" if value else "state.no")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return figures.plain(value, places=4 if abs(value) < 1 else 2)
    if isinstance(value, list | tuple):
        return ", ".join(cell_text(part, texts=texts) for part in value) or say(texts, "state.none")
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {cell_text(part, texts=texts)}" for key, part in value.items())
    return str(value)


def thousands(n: int | None) -> str:
    """Return a whole number as it is read, or a dash.

    Examples
    --------
    >>> thousands(12345), thousands(None)
    ('12,345', '–')
    """
    return "–" if n is None else f"{n:,}"


def is_digest(value: object) -> bool:
    """Return whether a value is a SHA-256 as 64 hex digits.

    Examples
    --------
    >>> is_digest("ab" * 32), is_digest("z" * 64)
    (True, False)
    """
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def columns_of(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the columns of rows, in the order of first use.

    Examples
    --------
    >>> columns_of([{"a": 1}, {"b": 2, "a": 3}])
    ['a', 'b']
    """
    return list(dict.fromkeys(key for row in rows for key in row))


def without_parts(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return rows without what has parts of its own, which a cell has no room for.

    Examples
    --------
    >>> without_parts([{"a": 1, "b": {"c": 2}}])
    [{'a': 1}]
    """
    return [{k: v for k, v in row.items() if not isinstance(v, Mapping)} for row in rows]
