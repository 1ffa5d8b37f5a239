"""Every model of the list has a card, and every card holds together."""

import polars as pl
import pytest
import yaml

from equipoise.encoders import catalogue, knowledge
from equipoise.encoders.building import card_file, card_from
from equipoise.encoders.card import Card, card_of
from equipoise.encoders.provenance import POINTS
from equipoise.errors import InvalidEncoder, UnknownName
from equipoise.scope import Scope

LOADERS = {
    "onnx",
    "openvino",
    "timm",
    "torch",
    "transformers",
    "open_clip",
    "torchxrayvision",
    "monai",
    "none",
}
LISTED = """
    rad-dino rad-dino-maira-2 cxr-foundation medsiglip-448 derm-foundation path-foundation
    medimageinsight biomedclip pubmedclip chexzero medclip-vit medclip-resnet50 eva-x-tiny
    eva-x-small eva-x-base xraysiglip-vit-l-16-384 xraysiglip-vit-b-16-512 ark-plus
    torchxrayvision-densenet121 torchxrayvision-resnet50 torchxrayvision-resnet-ae
    retfound-mae-cfp retfound-mae-oct retfound-mae-meh retfound-mae-shanghai retfound-dinov2-meh
    retfound-dinov2-shanghai flair eyeclip visionfm uni uni2-h conch conch-1.5 virchow2
    prov-gigapath phikon phikon-v2 h-optimus-0 h-optimus-1 openmidnight panderm panderm-base monet
    medsam sam-med2d biomedparse medsam2 merlin ct-fm vista3d brainiac brainiac-resnet50 usfm
    echo-clip echo-clip-r dinov2-small dinov2-small-reg dinov2-base dinov2-base-reg dinov2-large
    dinov2-large-reg dinov2-giant dinov2-giant-reg dinov3-vits16 dinov3-vits16plus dinov3-vitb16
    dinov3-vitl16 dinov3-vith16plus dinov3-vit7b16 dinov3-convnext-tiny dinov3-convnext-small
    dinov3-convnext-base dinov3-convnext-large
"""
MODELS = LISTED.split()
"""The models of the list, a card for each of the weights."""

EVERY = [catalogue.card(name) for name in catalogue.names()]
each = pytest.mark.parametrize("card", EVERY, ids=lambda card: card.name)
KNOWN_LENGTHS = {"virchow2": 2560, "uni2-h": 1536, "derm-foundation": 6144, "merlin": 2048}
BOUND = {"uni", "uni2-h", "conch", "conch-1.5", "virchow2", "h-optimus-1"}
NON_COMMERCIAL = {"visionfm", "phikon", "phikon-v2", "usfm", "monet", "panderm", "brainiac"}


def test_every_model_of_the_list_has_a_card():
    assert sorted(MODELS) == list(catalogue.names())


@each
def test_a_card_says_what_one_must_know_before_use(card):
    assert card.licence != "not available"
    assert card.loader in LOADERS
    assert card.checked == "2026-11"
    assert card.source_id
    assert card.seen_in
    assert card.verified
    assert card.text_tower is not None
    if card.loader == "none":
        assert card.notes.startswith("no loader"), "a card without a loader says why"
    else:
        assert card.arguments is not None


@each
def test_what_is_verified_is_a_fact_that_the_card_tells(card):
    told = {*card.facts(), "terms"} if card.terms else set(card.facts())
    assert set(card.verified) <= told
    assert len(set(card.verified)) == len(card.verified)


@each
def test_numbers_of_a_card_fit_each_other(card):
    for values in (card.mean, card.std):
        assert values is None or len(values) == card.channels
    assert (card.mean is None) == (card.std is None)
    top = 255 if card.value_range == "uint8" else 1
    assert card.mean is None or all(0 <= one <= top for one in card.mean)
    assert card.resize is None or card.resize >= max(card.height, card.width)
    assert (card.depth is not None) == (card.name in VOLUMES)
    assert card.test_vector is None, "nobody here has seen the weights"


VOLUMES = {"merlin", "ct-fm", "vista3d", "brainiac", "brainiac-resnet50"}


@each
def test_what_can_be_loaded_is_never_fed_an_unknown_normalisation(card):
    if card.loader != "none":
        assert card.mean is not None or card.value_range != "zero_one"


@each
def test_what_a_licence_rules_out_has_its_clause(card):
    if card.terms is not None:
        for point in ("research_only", "non_commercial", "derivative_bound"):
            assert not getattr(card.terms, point) or card.terms.clauses[point]


def test_licences_with_nc_in_their_name_rule_commerce_out():
    for card in EVERY:
        named = "-NC" in card.licence or "non-commercial" in card.licence
        said = card.terms is not None and card.terms.non_commercial
        assert said or not named, card.name
    assert {c.name for c in EVERY if c.terms and c.terms.non_commercial} >= NON_COMMERCIAL
    assert {c.name for c in EVERY if c.terms and c.terms.derivative_bound} >= BOUND


@pytest.mark.parametrize(("name", "length"), KNOWN_LENGTHS.items())
def test_lengths_that_were_published(name, length):
    assert catalogue.card(name).dimension == length


@each
def test_countries_are_iso_letters_and_each_population_has_a_source(card):
    for one in card.populations or ():
        assert one.country == "several" or (len(one.country) == 2 and one.country.isupper())
        assert one.source


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(UnknownName, match="no card 'radino' in the catalogue") as caught:
        catalogue.card("radino")
    assert caught.value.hint == "did you mean 'rad-dino'?"


def test_a_card_of_the_catalogue_without_a_licence_is_refused():
    content = yaml.safe_load(catalogue.path("uni").read_text(encoding="utf-8"))
    del content["licence"]
    with pytest.raises(InvalidEncoder, match="no licence; expected the terms"):
        card_of(content, where="uni")


def test_a_verified_fact_that_is_none_is_refused():
    content = yaml.safe_load(catalogue.path("uni").read_text(encoding="utf-8"))
    with pytest.raises(InvalidEncoder, match=r"verified: unknown field 'terms\.price'"):
        card_of({**content, "verified": ["terms.price"]}, where="uni")


def test_the_table_has_a_row_for_each_and_nulls_where_nothing_is_known():
    found = catalogue.table()
    assert found.height == len(MODELS)
    by = {row["name"]: row for row in found.iter_rows(named=True)}
    assert by["eyeclip"]["gated"] is None
    assert by["eyeclip"]["commercial"] is None
    assert by["medsam"]["commercial"] == "yes"
    assert by["medsiglip-448"]["commercial"] == "yes, not verified"
    assert by["rad-dino"]["commercial"] == "no", "its card says research, whatever MIT allows"
    assert found.filter(pl.col("verified") > pl.col("facts")).is_empty()


def test_each_of_the_terms_counts_as_a_fact_of_its_own():
    card = catalogue.card("retfound-mae-cfp")
    assert "terms.gated" in card.facts()
    assert "terms.gated" not in card.unverified(), "terms are verified as a whole"
    part = catalogue.card("monet")
    assert "terms.non_commercial" not in part.unverified()
    assert [f"terms.{p}" for p in POINTS if f"terms.{p}" in part.facts()] == [
        "terms.non_commercial"
    ]


def test_a_card_may_be_named_and_a_file_of_that_name_comes_first(tmp_path):
    scope = Scope(base=tmp_path)
    assert card_from("uni", scope, where="w").dimension == 1024
    (tmp_path / "uni").write_text(yaml.safe_dump(OWN), encoding="utf-8")
    assert card_file("uni", scope) == tmp_path / "uni"
    assert card_from("uni", scope, where="w").dimension == 3
    with pytest.raises(InvalidEncoder, match="no such file"):
        card_from("uny", scope, where="w")


OWN = {
    "name": "own",
    "layout": "NCHW",
    "height": 8,
    "width": 8,
    "channels": 1,
    "value_range": "uint8",
    "dimension": 3,
    "licence": "MIT",
}


def test_the_catalogue_completes_a_card_of_the_same_model_alone():
    plain = Card(**{**OWN, "name": "virchow2", "dimension": 2560, "licence": "its own"})
    whole, added = knowledge.completed(plain.summary())
    assert set(added) == {"populations", "terms"}
    assert whole["licence"] == "its own"
    other = Card(**{**OWN, "name": "virchow2"})
    assert knowledge.completed(other.summary()) == (other.summary(), ())
    known = {**OWN, "source_id": "paige-ai/Virchow2", "training_data": "ours"}
    whole, added = knowledge.completed(Card(**known).summary())
    assert "populations" in added
    assert whole["training_data"] == "ours"


def test_what_is_not_known_is_told_by_name():
    card = catalogue.card("eyeclip")
    assert knowledge.not_known(card.summary()) == [
        "documented_bias",
        *(f"terms.{point}" for point in POINTS),
    ]
    assert "populations" in knowledge.not_known(catalogue.card("usfm").summary())
    ours = {**OWN, "groups_seen": {"sex": {"F": 1}}}
    assert "populations" not in knowledge.not_known(ours)
