"""The words are all there, all used, and nothing is said outside of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from equipoise import words
from equipoise.errors import InvalidConfiguration, UnknownName

SOURCE = Path(words.__file__).parent.parent
SPEAKERS = [
    path
    for folder in ("report", "pages", "monitor", "figures")
    for path in sorted((SOURCE / folder).rglob("*"))
    if path.suffix in {".py", ".jinja"}
]
FILES = (".parquet", ".json", ".css", ".html", ".jinja", ".csv")
FORBIDDEN = re.compile(r"\b(un)?fair(ness|er|est|ly)?\b|unbias|debias|\bsolv", re.IGNORECASE)


def test_every_key_that_is_used_exists() -> None:
    texts = words.load()
    known = {f"{section}.{name}" for section, part in texts.items() for name in part}
    exact, openings, _ = _used()
    assert exact - known == set()
    assert [start for start in openings if not any(key.startswith(start) for key in known)] == []


def test_no_key_is_left_unused() -> None:
    exact, openings, families = _used()
    unused = [
        f"{section}.{name}"
        for section, part in words.load().items()
        for name in part
        if f"{section}.{name}" not in exact
        and not f"{section}.{name}".startswith(tuple(openings))
        and section not in families
    ]
    assert unused == []


def test_no_template_says_anything_outside_the_words() -> None:
    said = [text for path in SPEAKERS if path.suffix == ".jinja" for text in _bare(path)]
    assert said == []


def test_a_text_left_in_a_template_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "a.jinja"
    path.write_text("<p title='{{ say('a.b') }}'>{{ n }} patients</p>{# not said #}")
    assert list(_bare(path)) == ["patients"]


def test_the_words_promise_nothing_that_numbers_cannot() -> None:
    texts = words.load()
    found = [text for part in texts.values() for text in part.values() if FORBIDDEN.search(text)]
    assert found == []
    assert FORBIDDEN.search("an unbiased and fair model")


def test_no_text_holds_markup_and_all_placeholders_are_names() -> None:
    for part in words.load().values():
        for text in part.values():
            assert not re.search(r"[<>]|&\w+;", text)
            assert all(re.fullmatch(r"[a-z_]+", name) for name in re.findall(r"{([^}]*)}", text))


def test_no_name_is_that_of_a_method_of_dict_or_read_as_a_truth_value() -> None:
    raw = yaml.safe_load((SOURCE / "words" / "en.yaml").read_text(encoding="utf-8"))
    assert all(isinstance(name, str) for part in raw.values() for name in part)


def test_an_absent_language_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="no words in the language 'pt'; known languages: en"):
        words.load("pt")
    with pytest.raises(UnknownName, match="known languages: en"):
        words.load("../en")


def test_an_absent_key_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"no text 'verdict\.failed'") as caught:
        words.say(words.load(), "verdict.failed")
    assert caught.value.hint == "did you mean 'verdict.fail'?"


def test_a_placeholder_without_a_value_is_an_error_and_no_hole_in_a_sentence() -> None:
    with pytest.raises(InvalidConfiguration, match=r"'a\.b' wants 'n'; got \['m'\]"):
        words.say({"a": {"b": "{n} left"}}, "a.b", m=1)


def test_braces_in_a_value_stay_as_they_are() -> None:
    assert words.say({"a": {"b": "{n}!"}}, "a.b", n="{x} {0} {n}") == "{x} {0} {n}!"


def test_a_name_without_words_stands_for_itself() -> None:
    texts = words.load()
    assert words.named(texts, "verdict", "not assessable") == "Not assessable"
    assert words.named(texts, "attribute", "skin_type") == "skin_type"


def _used() -> tuple[set[str], set[str], set[str]]:
    """Return the keys that are said, what said keys begin with, and the sections of names."""
    exact: set[str] = set()
    openings: set[str] = set()
    families: set[str] = set()
    for path in SPEAKERS:
        text = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for key in re.findall(r"['\"]([a-z_]+\.[a-z0-9_]*)['\"]", text):
            if not key.endswith(FILES):
                (openings if key.endswith(("_", ".")) else exact).add(key)
        openings |= set(re.findall(r"f\"([a-z_]+\.)\{", text))
        families |= set(re.findall(r"named\((?:texts, )?['\"]([a-z_]+)['\"]", text))
    own = (SOURCE / "words" / "texts.py").read_text(encoding="utf-8")
    exact |= set(re.findall(r"\"(group\.[a-z_]+)\"", own))
    return (
        exact - {f"equipoise.{name}" for name in ("report", "pages", "monitor")},
        openings,
        families,
    )


def _bare(path: Path) -> Iterator[str]:
    """Yield the words that stand in a template and are said by nobody."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"{#.*?#}|{{.*?}}|{%.*?%}", " ", text, flags=re.DOTALL)
    text = re.sub(r"<style>.*?</style>|<code>.*?</code>|<[^>]*>", " ", text, flags=re.DOTALL)
    yield from re.findall(r"[^\W\d_]{2,}", text)
