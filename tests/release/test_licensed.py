"""What the licence of an encoder binds is not released, whatever a policy or a person says."""

from datetime import date

import pytest

from equipoise import bundles, release, tables
from equipoise.encoders import ENCODERS
from equipoise.errors import Refused
from tests.release import made
from tests.release.test_release import NEVER, OVERRIDE, released

pytestmark = pytest.mark.slow
CLAUSE = r"encoder 'filterbank': the release of a model .*its own.*terms of access, 3"


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A run on bound vectors up to a fail, not to be changed."""
    folder = tmp_path_factory.mktemp("licensed") / "failed"
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(ENCODERS, "filterbank", "tests.release.licensed:bound")
        made.go(folder, made.study(rules=NEVER))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run up to a pass with the filterbank as it is, not to be changed."""
    folder = tmp_path_factory.mktemp("licensed") / "run"
    made.go(folder, made.study())
    return folder


def test_an_override_does_not_lift_what_the_licence_binds(failed, tmp_path):
    with pytest.raises(Refused, match=CLAUSE) as why:
        released(failed, tmp_path / "release", override=OVERRIDE, today="2026-01-01")
    assert "no override lifts this" in why.value.hint
    assert not (tmp_path / "release").exists()


def test_a_fail_is_told_before_the_licence_with_its_exit_code(failed, tmp_path):
    with pytest.raises(Refused, match="the verdict is 'fail'") as why:
        released(failed, tmp_path / "release")
    assert why.value.exit_code == 1


def test_a_card_that_binds_today_is_heeded_though_it_was_silent_then(run, tmp_path, monkeypatch):
    monkeypatch.setitem(ENCODERS, "filterbank", "tests.release.licensed:bound")
    with pytest.raises(Refused, match=CLAUSE):
        released(run, tmp_path / "release")


def test_an_open_licence_is_released_without_a_word(run, tmp_path):
    said = released(run, tmp_path / "release")
    assert "licence_notes" not in said
    card = (tmp_path / "release" / "bundle" / "model_card.md").read_text(encoding="utf-8")
    assert "- derivative bound: no" in card
    assert "- gated: not known" in card


@pytest.mark.parametrize(
    ("licence", "note", "shown"),
    [
        ("silent", "terms: not known", "- terms: not known"),
        ("within", "shared on conditions", r"- may be shared on conditions: pass on \<i\>these"),
    ],
)
def test_what_is_not_known_and_conditions_go_along(tmp_path, monkeypatch, licence, note, shown):
    monkeypatch.setitem(ENCODERS, "filterbank", f"tests.release.licensed:{licence}")
    made.go(tmp_path / "run", made.study())
    said = released(tmp_path / "run", tmp_path / "release")
    assert any(note in one for one in said["licence_notes"])
    assert tables.read_json(tmp_path / "release" / "release.json") == said
    card = (tmp_path / "release" / "bundle" / "model_card.md").read_text(encoding="utf-8")
    assert shown in card


def test_a_model_from_outside_is_not_wrapped_against_its_licence(tmp_path, monkeypatch):
    asked = release.Wrapping.model_validate(
        {
            "name": "outside",
            "encoder": "filterbank",
            "parameters": {},
            "heads": {"opacity": 0},
            "contract": {"height": 64, "width": 64, "channels": 1},
            "audit": {"attributes": {"sex": ["F", "M", "unknown"]}},
            "policy": made.policy(),
            "override": OVERRIDE,
        }
    )
    release.wrapped(tmp_path / "a", asked, on=date(2026, 1, 1))
    assert bundles.opened(tmp_path / "a").manifest.name == "outside"
    monkeypatch.setitem(ENCODERS, "filterbank", "tests.release.licensed:bound")
    with pytest.raises(Refused, match=CLAUSE):
        release.wrapped(tmp_path / "b", asked, on=date(2026, 1, 1))
    assert not (tmp_path / "b").exists()
