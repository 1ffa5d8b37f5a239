"""The command ``encoders``: list, show, check."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from equipoise.cli import showing
from equipoise.encoders import catalogue
from tests.cli.test_command_line import call
from tests.conftest import ROOT
from tests.encoders.models import model

CARD = {
    "name": "own",
    "layout": "NHWC",
    "height": 4,
    "width": 4,
    "channels": 1,
    "value_range": "uint8",
    "dimension": 16,
    "licence": "MIT",
    "loader": "onnx",
    "populations": [{"dataset": "ours [b]", "country": "BR", "people": "one ward", "source": "us"}],
    "terms": {"gated": True},
    "verified": ["licence"],
}


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(CARD), encoding="utf-8")
    return path


def test_the_list_names_every_model_and_what_its_licence_allows(capsys):
    code, said, err = call(capsys, "encoders", "list")
    assert code == 0, err
    for name in catalogue.names():
        assert name in said
    assert "74 encoders" in said
    assert "a dash is not known: ask its maker before such a use" in " ".join(err.split())


def test_the_list_is_narrowed_by_modality_and_loader(capsys):
    code, said, err = call(capsys, "encoders", "list", "--modality", "EYE", "--loader", "timm")
    assert code == 0, err
    assert "retfound-mae-cfp" in said
    assert "6 encoders" in said
    assert "flair" not in said
    assert "virchow2" not in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--loader", "tim"), "--loader tim: no card has it; known: "),
        (("--modality", "teeth"), "--modality teeth: no card holds it; known: "),
    ],
)
def test_a_filter_that_nothing_passes_is_an_error(capsys, flags, words):
    code, _, err = call(capsys, "encoders", "list", *flags)
    assert code == 2
    assert words in " ".join(err.split())


def test_a_card_is_shown_with_what_was_seen_and_what_is_not_known(capsys):
    code, said, err = call(capsys, "encoders", "show", "cxr-foundation")
    assert code == 0, err
    flat = " ".join(said.split())
    assert "who it learnt from (not verified)" in flat
    assert "documented bias (verified): the first version" in flat
    assert "Glocker et al. 2023" in flat
    assert "may be shared on conditions: HAI-DEF terms" in flat
    assert "not known: training_data, terms.derivative_bound" in flat
    assert "notes: no loader: a TensorFlow SavedModel" in flat


def test_people_that_are_not_known_are_said_to_be(capsys):
    _, said, _ = call(capsys, "encoders", "show", "usfm")
    assert "who it learnt from: not known" in said
    assert "documented bias: not known to this card; that does not say there is none" in said


def test_text_of_a_card_is_shown_as_it_is(capsys, own):
    code, said, err = call(capsys, "encoders", "show", str(own))
    assert code == 0, err
    assert "ours [b]" in said


def test_an_unknown_name_has_a_hint(capsys):
    code, _, err = call(capsys, "encoders", "show", "radino")
    assert code == 2
    assert "did you mean 'rad-dino'?" in err


def test_every_card_is_checked_and_what_is_left_is_named_and_counted(capsys):
    code, said, err = call(capsys, "encoders", "check")
    assert code == 0, err
    lines = said.splitlines()
    assert len(lines) == len(catalogue.names())
    left = sum(len(catalogue.card(name).unverified()) for name in catalogue.names())
    facts = sum(len(catalogue.card(name).facts()) for name in catalogue.names())
    assert f"{left} of {facts} facts are not verified" in " ".join(err.split())
    (virchow,) = [line for line in lines if line.startswith("virchow2: ")]
    assert virchow.endswith("not verified: channels, populations")


def test_what_a_licence_leaves_open_is_told_where_a_stage_ends():
    outcome = SimpleNamespace(result={"licence_notes": ["encoder 'one': ask its maker"]})
    assert list(showing._left(outcome)) == ["licence: encoder 'one': ask its maker"]
    assert list(showing._left(SimpleNamespace(result={}))) == []


def test_a_card_file_is_checked(capsys, own):
    code, said, err = call(capsys, "encoders", "check", str(own))
    assert code == 0, err
    assert said.startswith("own: 1 of 10 facts; not verified: ")
    own.write_text(yaml.safe_dump({**CARD, "licence": None}), encoding="utf-8")
    code, _, err = call(capsys, "encoders", "check", str(own))
    assert code == 2
    assert "no licence; expected the terms" in " ".join(err.split())


def test_weights_are_loaded_and_held_against_the_vector_of_the_card(capsys, own, tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(model())
    code, said, err = call(capsys, "encoders", "check", str(own), "--path", str(path))
    assert code == 0, err
    assert "own: loaded, 16 values, onnxruntime" in said
    assert "a wrong normalisation would not show" in said
    wrong = {**CARD, "test_vector": {"values": [9.0] * 16}}
    own.write_text(yaml.safe_dump(wrong), encoding="utf-8")
    code, _, err = call(capsys, "encoders", "check", str(own), "--path", str(path))
    assert code == 2
    assert "the test vector of its card is missed" in " ".join(err.split())


def test_weights_without_a_loader_are_refused_and_why(capsys, tmp_path):
    code, _, err = call(capsys, "encoders", "check", "flair", "--path", str(tmp_path))
    assert code == 2
    assert "its loader is 'none'" in err
    assert "its own package" in " ".join(err.split())
    code, _, err = call(capsys, "encoders", "check", "--path", str(tmp_path))
    assert code == 2
    assert "expected: equipoise encoders check CARD" in " ".join(err.split())


def test_the_table_in_the_documentation_is_that_of_the_command(capsys):
    code, said, err = call(capsys, "encoders", "check", "--unverified")
    assert code == 0, err
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    assert said.strip() in page, "run 'equipoise encoders check --unverified' and put it in again"


def test_the_help_of_the_group_reads_no_card_and_loads_no_engine():
    probe = (
        "import sys\nfrom equipoise.cli import main\n"
        "try:\n    main(['encoders', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = 'onnxruntime', 'equipoise.encoders'\n"
        "sys.stderr.write(' '.join(m for m in heavy if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stderr == ""
