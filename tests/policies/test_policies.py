from pathlib import Path

import pytest
import yaml

from equipoise import policies
from equipoise.errors import InvalidConfiguration


def content(**changes: object) -> dict[str, object]:
    said: dict[str, object] = {
        "version": 1,
        "name": "local",
        "criteria": [{"name": "equal", "metric": "auroc", "attributes": ["sex"], "tolerance": 0.1}],
        "floors": [{"name": "useful", "metric": "auroc", "minimum": 0.7, "attributes": ["sex"]}],
    }
    return {**said, **changes}


def test_the_example_is_a_policy_and_says_whose_its_numbers_are() -> None:
    text = policies.example()
    policy = policies.parse(text)
    assert "EVERY NUMBER HERE IS TO BE REPLACED BY YOUR INSTITUTION'S OWN" in text
    judged = {part.metric for part in [*policy.criteria, *policy.floors]}
    assert judged.isdisjoint({"ppv", "npv", "brier"})  # they move with prevalence


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(InvalidConfiguration, match="unknown key 'floor'; known keys") as raised:
        policies.validated(content(floor=[]))
    assert raised.value.hint == "did you mean 'floors'?"


def test_an_unknown_key_within_a_criterion_names_its_place_and_the_nearest() -> None:
    criterion = {"name": "x", "metric": "auroc", "attributes": ["sex"], "tolerence": 0.1}
    with pytest.raises(
        InvalidConfiguration, match="unknown key 'tolerence' in criteria 1; known keys: name"
    ) as raised:
        policies.validated(content(criteria=[criterion]))
    assert raised.value.hint == "did you mean 'tolerance'?"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: Input should be 1; found 2"),
        ({"criteria": []}, "criteria: List should have at least 1 item"),
        ({"floors": []}, "floors: List should have at least 1 item"),
        ({"maximum_unknown_share": 1.5}, "maximum_unknown_share: .*less than or equal to 1"),
        (
            {"criteria": [{"name": "x", "metric": "auroc", "tolerance": 0.1}]},
            "criterion 'x' names no attributes",
        ),
        (
            {"criteria": [{"name": "x", "metric": "auroc", "attributes": ["sex"], "tolerance": 0}]},
            "criteria.0.tolerance: Input should be greater than 0",
        ),
        (
            {"floors": [{"name": "x", "metric": "brier", "minimum": 0.1, "attributes": ["sex"]}]},
            "small is good for brier",
        ),
    ],
)
def test_what_a_policy_cannot_say(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        policies.validated(content(**changes))


@pytest.mark.parametrize(
    "floors",
    [
        [{"name": "a", "metric": "auroc", "minimum": 0.5, "attributes": ["sex"]}],
        [{"name": "a", "metric": "auroc", "minimum": 0.7, "attributes": ["age_band"]}],
        [{"name": "a", "metric": "auroc", "minimum": 0.7, "attributes": []}],
        [{"name": "a", "metric": "sensitivity", "minimum": 0.9, "attributes": ["sex"]}],
        [
            {
                "name": "a",
                "metric": "auroc",
                "minimum": 0.7,
                "attributes": ["sex"],
                "findings": ["edema"],
            }
        ],
    ],
)
def test_a_policy_that_a_useless_model_could_pass_is_refused(floors: list[object]) -> None:
    with pytest.raises(InvalidConfiguration, match="no floor would stop a useless model"):
        policies.validated(content(floors=floors))


def test_floors_of_both_rates_stop_a_useless_model_too() -> None:
    floors = [
        {"name": m, "metric": m, "minimum": 0.6, "attributes": ["sex"]}
        for m in ("sensitivity", "specificity")
    ]
    assert len(policies.validated(content(floors=floors)).floors) == 2


def test_a_policy_is_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(content()), encoding="utf-8")
    assert policies.load(path) == policies.validated(content())


def test_a_file_that_is_no_yaml_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("criteria: [", encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match=r"policy\.yaml: not readable as YAML"):
        policies.load(path)


@pytest.mark.parametrize("metric", ["sensitivity", "specificity", "ppv", "npv"])
def test_a_good_ranking_does_not_excuse_a_useless_threshold(metric: str) -> None:
    compared = {"name": "x", "metric": metric, "attributes": ["sex"], "tolerance": 0.1}
    ranking = {"name": "r", "metric": "auroc", "minimum": 0.9, "attributes": ["sex"]}
    found = {"name": "s", "metric": "sensitivity", "minimum": 0.6, "attributes": ["sex"]}
    spared = {"name": "h", "metric": "specificity", "minimum": 0.5, "attributes": ["sex"]}
    for floors in ([ranking], [ranking, found]):  # all could be called positive
        with pytest.raises(InvalidConfiguration, match="sensitivity and specificity that add up"):
            policies.validated(content(criteria=[compared], floors=floors))
    assert policies.validated(content(criteria=[compared], floors=[found, spared]))
