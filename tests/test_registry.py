import pytest

from equipoise import registry
from equipoise.errors import UnknownName

FAMILY = {"dumps": "json:dumps", "gone": "json:gone", "nowhere": "nowhere.at.all:f"}


def test_an_unknown_name_lists_the_known_and_hints_at_the_nearest():
    message = "no writer 'dump'; known: dumps, gone, nowhere"
    with pytest.raises(UnknownName, match=message) as caught:
        registry.load("dump", FAMILY, kind="writer")
    assert caught.value.hint == "did you mean 'dumps'?"


def test_a_study_may_name_its_own_function():
    assert registry.load("json:loads", FAMILY, kind="writer")("[1]") == [1]


@pytest.mark.parametrize("name", ["gone", "nowhere"])
def test_an_address_that_leads_nowhere_is_named(name):
    with pytest.raises(UnknownName, match=f"writer '{name}': cannot import '{FAMILY[name]}'"):
        registry.load(name, FAMILY, kind="writer")
