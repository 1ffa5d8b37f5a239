import pytest
import yaml

from equipoise.encoders import NOT_AVAILABLE, Card, card_of, load
from equipoise.errors import InvalidEncoder

FIELDS = {
    "name": "tiny",
    "layout": "NHWC",
    "height": 4,
    "width": 4,
    "channels": 1,
    "value_range": "uint8",
    "dimension": 16,
    "licence": "Apache-2.0",
}


def test_what_a_card_does_not_say_is_not_available():
    card = card_of(FIELDS, where="card")
    for name in ("modality", "source", "training_data", "notes", "precision"):
        assert getattr(card, name) == NOT_AVAILABLE


def test_a_card_is_read_from_yaml(tmp_path):
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(FIELDS))
    assert load(tmp_path / "card.yaml") == Card(**FIELDS)


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(InvalidEncoder, match="card: unknown key 'heightt'") as caught:
        card_of({**FIELDS, "heightt": 4}, where="card")
    assert caught.value.hint == "did you mean 'height'?"


@pytest.mark.parametrize("licence", [None, ""])
def test_a_card_without_a_licence_is_refused(licence):
    with pytest.raises(InvalidEncoder, match="card: no licence; expected the terms"):
        card_of({**FIELDS, "licence": licence}, where="card")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 4}, r"channels: .* \(got 4\)"),
        ({"layout": "NWHC"}, r"layout: .* \(got 'NWHC'\)"),
        ({"height": 0}, r"height: .* \(got 0\)"),
        ({"mean": [0.5, 0.5]}, "mean has 2 values; expected one for each of the 1 channels"),
        ({"std": [0.0]}, "std holds 0; expected numbers above 0"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InvalidEncoder, match=message):
        card_of({**FIELDS, **change}, where="card")


def test_a_missing_field_is_named():
    with pytest.raises(InvalidEncoder, match="card: height: Field required"):
        card_of({k: v for k, v in FIELDS.items() if k != "height"}, where="card")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not readable as YAML"), ("- 1", "holds list; expected a mapping of fields")],
)
def test_a_file_that_is_no_card_is_refused(tmp_path, text, message):
    (tmp_path / "card.yaml").write_text(text)
    with pytest.raises(InvalidEncoder, match=message):
        load(tmp_path / "card.yaml")


def test_only_what_changes_vectors_is_in_the_preprocessing():
    one = card_of(FIELDS, where="card")
    said = card_of({**FIELDS, "notes": "kind", "source": "here"}, where="card")
    other = card_of({**FIELDS, "value_range": "zero_one"}, where="card")
    assert one.preprocessing() == said.preprocessing()
    assert one.preprocessing() != other.preprocessing()
