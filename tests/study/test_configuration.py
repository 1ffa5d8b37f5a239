import pytest
from pydantic import BaseModel, ConfigDict, Field

from equipoise.errors import InvalidConfiguration
from equipoise.study import load, parse
from equipoise.study.configuration import validated


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("a: [")
    with pytest.raises(InvalidConfiguration, match=r"study\.yaml: not readable as YAML"):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "study: is list; expected keys with values"),
        ({"version": 2, "name": "x", "stages": {}}, "version is 2; expected 1"),
        ({"version": 1, "stages": {}}, "name is None; expected a short text"),
        ({"version": 1, "name": "x", "stages": {}}, "stages is empty"),
        ({"version": 1, "name": "x", "stages": {"ingets": {}}}, "no stage 'ingets'; known stages:"),
        (
            {"version": 1, "name": "x", "stages": {"a/b": {"stage": "gate"}}},
            "'a/b' cannot name a folder",
        ),
        (
            {"version": 1, "name": "x", "stages": {"gate": {"policy": "p.yaml"}}},
            "stages.gate: needs estimates, which no stage before it gives",
        ),
    ],
)
def test_what_is_wrong_in_a_study_is_said(content, message):
    with pytest.raises(InvalidConfiguration, match=message):
        parse(content)


def test_an_unknown_key_names_the_nearest_known_one():
    with pytest.raises(InvalidConfiguration, match="unknown key 'stage'") as caught:
        parse({"version": 1, "name": "x", "stage": {}})
    assert caught.value.hint == "did you mean 'stages'?"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size_mm: int = 1


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Field(default_factory=Inner)
    several: list[Inner] = Field(default_factory=list)
    count: int


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"cuont": 1}, "here: unknown key 'cuont'; known keys: inner, several, count", "count"),
        ({"count": 1, "inner": {"size": 1}}, "here.inner: unknown key 'size'", "size_mm"),
        (
            {"count": 1, "several": [{"sizemm": 1}]},
            "here.several.0: unknown key 'sizemm'; known keys: size_mm",
            "size_mm",
        ),
    ],
)
def test_an_unknown_key_of_a_stage_is_found_at_any_depth(said, message, hint):
    class Strict(Options):
        count: int = 0

    with pytest.raises(InvalidConfiguration, match=message) as caught:
        validated(Strict, said, "here")
    assert caught.value.hint == f"did you mean '{hint}'?"


def test_a_missing_key_and_a_wrong_value_are_said():
    with pytest.raises(InvalidConfiguration, match=r"here\.count: field required$"):
        validated(Options, {}, "here")
    with pytest.raises(InvalidConfiguration, match=r"here\.count: .*integer.*; got 'many'"):
        validated(Options, {"count": "many"}, "here")


def test_a_misspelt_key_is_named_although_the_right_one_is_missing_too():
    with pytest.raises(InvalidConfiguration, match="here: unknown key 'cuont'") as caught:
        validated(Options, {"cuont": 1}, "here")
    assert caught.value.hint == "did you mean 'count'?"
