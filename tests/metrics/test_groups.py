import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import subgroups
from equipoise.metrics.arms import arms
from equipoise.metrics.groups import cells

LEVELS = {"sex": ["F", "M", "unknown"], "site": ["A", "B"]}


def test_everybody_each_level_and_each_pair_are_declared() -> None:
    table = subgroups(LEVELS, order=2)
    assert table.height == 1 + 3 + 2 + 6
    assert subgroups(LEVELS, order=1).height == 1 + 3 + 2
    assert table["exploratory"].sum() == 0


def test_an_undeclared_subgroup_is_an_error_not_a_gap() -> None:
    rows = pl.DataFrame({"sex": ["F", "intersex", "intersex", "intersex"], "site": ["A"] * 4})
    with pytest.raises(
        InvalidTable, match=r"predictions: 3 rows in undeclared subgroups, as \{'sex': 'intersex'\}"
    ) as raised:
        cells(rows, subgroups(LEVELS))
    assert raised.value.hint == "declare it: sex=F,M,unknown,intersex"


def test_unknown_where_it_is_not_declared_is_an_error() -> None:
    with pytest.raises(InvalidTable, match="'sex': 'unknown'"):
        cells(pl.DataFrame({"sex": ["unknown"]}), subgroups({"sex": ["F", "M"]}))


def test_an_attribute_that_is_no_column_is_an_error() -> None:
    with pytest.raises(InvalidTable, match="no column 'sex'; got"):
        cells(pl.DataFrame({"gender": ["F"]}), subgroups({"sex": ["F"]}))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"metric": ["a"]}, "name of a column of the estimates"),
        ({"sex": []}, "has no levels"),
        ({"sex": ["F", "F"]}, "declares 'F' twice"),
    ],
)
def test_levels_that_cannot_be_declared(declared: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InvalidTable, match=message):
        subgroups(declared)


def test_unknown_is_compared_with_nothing_and_nothing_with_it() -> None:
    table = subgroups(LEVELS)
    rows = pl.DataFrame({"sex": ["F", "M", "unknown"], "site": ["A", "B", "A"]})
    found = arms(table, cells(rows, table), {})
    compared = {found.names[c.group] for c in found.contrasts}
    assert not any("unknown" in name for name in compared)
    assert "sex=F, site=A" in compared
    rest = {found.names[c.group]: found.inside[c.against] for c in found.contrasts}
    seen = cells(rows, table)
    assert list(seen.levels["sex"][rest["sex=F"]]) == ["M"]
    assert list(seen.levels["sex"][rest["sex=F, site=A"]]) == ["M"]


def test_a_reference_must_be_declared_and_known() -> None:
    table = subgroups(LEVELS)
    seen = cells(pl.DataFrame({"sex": ["F"], "site": ["A"]}), table)
    with pytest.raises(InvalidConfiguration, match="sex=X is not a declared level") as raised:
        arms(table, seen, {"sex": "X"})
    with pytest.raises(InvalidConfiguration, match="sex=unknown is not a declared level"):
        arms(table, seen, {"sex": "unknown"})
    with pytest.raises(InvalidConfiguration, match="no attribute 'sexx'") as raised:
        arms(table, seen, {"sexx": "F"})
    assert raised.value.hint == "did you mean 'sex'?"


@given(st.lists(st.tuples(st.sampled_from("FM"), st.sampled_from("AB")), max_size=30))
def test_every_row_is_in_the_cell_of_its_levels(rows: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"sex": pl.String, "site": pl.String}, orient="row")
    seen = cells(frame, subgroups({"sex": ["F", "M"], "site": ["A", "B"]}))
    back = [(seen.levels["sex"][c], seen.levels["site"][c]) for c in seen.code]
    assert back == rows
