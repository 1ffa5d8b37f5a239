"""A use that a licence forbids is refused with its clause; what is not known is said."""

import pytest

from equipoise.encoders import catalogue
from equipoise.encoders.licensing import allowed, allows, releasable, terms_of
from equipoise.errors import InvalidEncoder, Refused


def card(name):
    return catalogue.card(name).summary()


@pytest.mark.parametrize(
    ("name", "use", "clause"),
    [
        ("retfound-mae-cfp", "commercial", r"CC-BY-NC-4\.0.*section 2\(a\)\(1\)"),
        ("virchow2", "commercial", "terms of access"),
        ("virchow2", "clinical", "non-commercial, academic research only"),
        ("rad-dino", "clinical", "not meant for clinical practice"),
        ("rad-dino", "commercial", "not meant for clinical practice"),
        ("biomedclip", "commercial", "any deployed use"),
        ("echo-clip", "commercial", "paragraph 1"),
    ],
)
def test_a_forbidden_use_is_refused_with_the_clause(name, use, clause):
    with pytest.raises(Refused, match=clause) as caught:
        allowed(card(name), use)
    assert f"encoder '{name}': {use} use is ruled out by its licence" in str(caught.value)
    assert "no override lifts this" in caught.value.hint
    assert caught.value.exit_code == 2
    assert allows(card(name), use) is False


@pytest.mark.parametrize("name", catalogue.names())
def test_research_is_what_every_card_is_for(name):
    assert allowed(card(name), "research") == ()


@pytest.mark.parametrize("name", ["medsam", "flair", "dinov2-base", "torchxrayvision-densenet121"])
@pytest.mark.parametrize("use", ["clinical", "commercial"])
def test_an_open_licence_lets_every_use_be(name, use):
    assert allowed(card(name), use) == ()
    assert releasable(card(name)) == ()


@pytest.mark.parametrize("use", ["clinical", "commercial"])
def test_what_is_not_known_is_said_and_not_refused(use):
    (told,) = allowed(card("eyeclip"), use)
    assert told.endswith(f"allows {use} use is not known")
    assert allows(card("eyeclip"), use) is None


def test_a_known_point_does_not_hide_one_that_is_not_known():
    half = {"name": "half", "licence": "own", "terms": {"non_commercial": False}}
    assert allows(half, "commercial") is None
    assert len(allowed(half, "commercial")) == 1


def test_clinical_use_under_a_non_commercial_licence_is_to_be_looked_at():
    told = allowed(card("retfound-mae-cfp"), "clinical")
    assert any("see whether your clinical use is non-commercial" in one for one in told)


@pytest.mark.parametrize(
    "name", ["virchow2", "uni", "conch", "h-optimus-1", "echo-clip", "panderm"]
)
def test_a_model_on_bound_vectors_is_not_released(name):
    with pytest.raises(Refused, match="the release of a model on its vectors is ruled out") as why:
        releasable(card(name))
    assert catalogue.card(name).terms.clauses["derivative_bound"] in str(why.value)


def test_conditions_and_forms_are_told_and_nothing_refused():
    told = " ".join(releasable(card("medsiglip-448")))
    assert "may be shared on conditions: HAI-DEF terms" in told
    assert "behind a form" in told
    assert "shared under the same licence only" in " ".join(releasable(card("monet")))


def test_what_says_nothing_of_terms_is_released_and_that_is_told():
    assert releasable({}) == (
        "encoder 'None': terms: not known; its licence is said to be not available",
    )
    old = {"name": "old", "licence": "of the hospital"}
    assert "terms: not known" in releasable(old)[0]
    assert "is not known" in releasable({**old, "terms": {"gated": False}})[0]


def test_terms_that_cannot_be_are_an_error_and_not_passed_over():
    with pytest.raises(InvalidEncoder, match=r"encoder 'odd': terms: .*no clause"):
        terms_of({"name": "odd", "licence": "x", "terms": {"non_commercial": True}})


def test_an_allowance_that_nobody_verified_is_told_and_a_refusal_stands_all_the_same():
    said = card("medsiglip-448")
    assert allows(said, "commercial") is True
    (told,) = allowed(said, "commercial")
    assert "from general knowledge, not verified" in told
    assert allowed({**said, "verified": ["terms"]}, "commercial") == ()
    own = {key: value for key, value in said.items() if key != "verified"}
    assert allowed(own, "commercial") == (), "a card of one's own is taken at its word"
    with pytest.raises(Refused):
        allowed({**card("phikon"), "verified": []}, "commercial")
    assert "may be shared is not verified" in releasable({**card("rad-dino")})[0]
