import polars as pl
import pytest

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics.standardised import crossed, mix


def test_shares_of_two_columns_are_crossed() -> None:
    made = mix({"age": {"y": 0.25, "o": 0.75}, "view": {"AP": 0.4, "PA": 0.6}})
    assert made.shares["y", "PA"] == pytest.approx(0.15)
    assert sum(made.shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({}, "nothing is declared"),
        ({"age": {"y": 0.2, "o": 0.7}}, "sum to 0.9; expected 1"),
        ({"age": {"y": 1.2, "o": -0.2}}, r"shares outside \[0, 1\]"),
        ({"age": "overall", "view": {"AP": 1.0}}, "several sources"),
        ({"age": "overall", "view": "sex=M"}, "several sources"),
        ({"age": 0.3}, "'age' is 0.3; expected a share per level"),
        ({"age": "everyone"}, "'everyone'; expected 'overall' or a group"),
        ({"age": {"y": 1.0}, "prevalence": "overall"}, "beside declared shares"),
        ({"prevalence": 10.0}, "prevalence is 10.0; expected a share between 0 and 1"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(declared: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidConfiguration, match=said):
        mix(declared)  # type: ignore[arg-type]


def test_a_table_of_strata_must_be_whole() -> None:
    with pytest.raises(InvalidTable, match="expected 'share'"):
        crossed(pl.DataFrame({"age": ["y"]}))
    with pytest.raises(InvalidTable, match="stands there twice"):
        crossed(pl.DataFrame({"age": ["y", "y"], "share": [0.5, 0.5]}))
    with pytest.raises(InvalidConfiguration, match=r"sum to 0\.5"):
        crossed(pl.DataFrame({"age": ["y"], "share": [0.5]}))


def test_the_name_says_whose_mix_it_is() -> None:
    assert mix({"age": "sex=M"}).name == "the mix of sex=M in age"
    assert mix({"prevalence": 0.1}).name == "prevalence 0.1"
    assert mix({"age": "overall", "prevalence": "overall"}).name == (
        "the overall mix of age, the overall prevalence"
    )
