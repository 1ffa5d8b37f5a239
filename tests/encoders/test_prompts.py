import pytest
import yaml

from equipoise.encoders import PromptSet, load_prompts
from equipoise.errors import InvalidConfiguration
from tests.conftest import ROOT

SAID = {
    "name": "lungs",
    "templates": ["{}", "chest X-ray: {}"],
    "findings": {
        "edema": {"positive": ["edema", "wet lungs"], "negative": ["no edema", "dry lungs"]},
        "effusion": {
            "positive": ["effusion"],
            "negative": ["no effusion", "clear"],
            "pairing": "crossed",
        },
    },
}


def test_prompts_are_put_into_every_template():
    made = PromptSet.model_validate(SAID)
    assert made.texts(made.findings["edema"].positive) == (
        "edema",
        "chest X-ray: edema",
        "wet lungs",
        "chest X-ray: wet lungs",
    )


def test_pairs_go_in_order_or_each_with_each():
    made = PromptSet.model_validate(SAID)
    assert made.pairs("edema") == (
        ("edema", "no edema"),
        ("chest X-ray: edema", "chest X-ray: no edema"),
        ("wet lungs", "dry lungs"),
        ("chest X-ray: wet lungs", "chest X-ray: dry lungs"),
    )
    assert [pair[1] for pair in made.pairs("effusion")] == [
        "no effusion",
        "chest X-ray: no effusion",
        "clear",
        "chest X-ray: clear",
    ]


def test_a_set_is_read_from_yaml_and_its_digest_is_of_what_is_said(tmp_path):
    path = tmp_path / "prompts.yaml"
    path.write_text(yaml.safe_dump(SAID))
    made = load_prompts(path)
    assert made == PromptSet.model_validate(SAID)
    path.write_text(yaml.safe_dump({**SAID, "name": "other", "source": "a paper"}))
    assert load_prompts(path).digest() == made.digest()
    path.write_text(yaml.safe_dump({**SAID, "templates": ["{}"]}))
    assert load_prompts(path).digest() != made.digest()


def sides(**change):
    return {**SAID, "findings": {"edema": {**SAID["findings"]["edema"], **change}}}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("", "holds nothing; expected a mapping with 'name' and 'findings'"),
        ("- edema", "holds list; expected a mapping"),
        ("a: [", "not readable as YAML"),
        ("!!python/object/apply:os.getcwd []", "not readable as YAML"),
        ({**SAID, "findings": {}}, "findings: .*no finding; expected at least one"),
        ({"name": "x"}, "findings: Field required"),
        (sides(negative=[]), "findings.edema: .*no negative prompt; expected at least one"),
        (sides(positive=[]), "findings.edema: .*no positive prompt; expected at least one"),
        (sides(negative=["no", "no"]), "a negative prompt occurs twice"),
        (sides(negative=["no", " "]), "a negative prompt is blank"),
        (sides(negative=["no", "edema"]), "'edema' is both positive and negative"),
        (sides(negative=["no"]), "2 positive and 1 negative prompts do not pair; .*crossed"),
        (sides(negatives=["no"]), "findings.edema.negatives: Extra inputs"),
        ({**SAID, "templates": ["X-ray"]}, r"template 'X-ray' has 0 places \{\}; expected one"),
        ({**SAID, "templates": ["{}{}"]}, r"has 2 places \{\}"),
        ({**SAID, "templates": ["{}", "{}"]}, "a template occurs twice"),
    ],
)
def test_what_is_no_prompt_set_is_refused(tmp_path, said, message):
    path = tmp_path / "prompts.yaml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said))
    with pytest.raises(InvalidConfiguration, match=message):
        load_prompts(path)


def test_a_finding_without_a_negative_key_names_it(tmp_path):
    path = tmp_path / "prompts.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "findings": {"edema": {"positive": ["edema"]}}}))
    with pytest.raises(InvalidConfiguration, match=r"findings\.edema\.negative: Field required"):
        load_prompts(path)


def test_the_example_is_a_prompt_set():
    made = load_prompts(ROOT / "examples" / "prompts.yaml")
    assert len(made.pairs("edema")) == 4
