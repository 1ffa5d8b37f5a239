import json
import socket

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from equipoise.encoders import known_colours
from equipoise.encoders.transformers import load, load_text
from equipoise.errors import InvalidEncoder
from equipoise.scope import Scope
from tests.encoders.hub_folders import (
    FIELDS,
    PIXELS,
    PREPROCESSOR,
    SIDE,
    libraries,
    prepared,
    save_clip_tokeniser,
    save_siglip_tokeniser,
    save_word_tokeniser,
    saved,
)

TEXTS = ["edema", "no edema", "clear lungs no effusion"]


def loaded(folder, **change):
    return load({"path": str(folder), "card": {**FIELDS, **change}}, Scope())


def expected(module, pooling):
    """Return what the library's own forward pass gives, pooled here."""
    torch, _ = libraries()
    images = prepared(PIXELS)
    with torch.no_grad():
        if pooling == "projection":
            found = module.get_image_features(pixel_values=images)
            return getattr(found, "pooler_output", found).numpy()
        tower = getattr(module, "vision_model", module)
        out = tower(images)
    config = getattr(module.config, "vision_config", module.config)
    first = 1 + (getattr(config, "num_register_tokens", 0) or 0)
    first -= type(module).__name__.startswith("Siglip")
    tokens = out.last_hidden_state.numpy()
    assert tokens.shape[1] - first == 16
    cls, mean = tokens[:, 0], tokens[:, first:].mean(axis=1)
    pooled = None if out.pooler_output is None else out.pooler_output.numpy()
    return {
        "cls": cls,
        "mean": mean,
        "cls_mean": np.concatenate([cls, mean], axis=1),
        "pooled": pooled,
    }[pooling]


CASES = [
    ("Dinov2Model", "cls", 16),
    ("Dinov2Model", "mean", 16),
    ("Dinov2Model", "cls_mean", 32),
    ("Dinov2WithRegistersModel", "cls", 16),
    ("Dinov2WithRegistersModel", "mean", 16),
    ("DINOv3ViTModel", "cls", 16),
    ("DINOv3ViTModel", "mean", 16),
    ("ViTModel", "cls", 16),
    ("ViTModel", "pooled", 16),
    ("SiglipModel", "pooled", 16),
    ("SiglipModel", "projection", 16),
    ("SiglipModel", "mean", 16),
    ("SiglipVisionModel", "pooled", 16),
    ("CLIPModel", "cls", 16),
    ("CLIPModel", "pooled", 16),
    ("CLIPModel", "projection", 12),
    ("CLIPVisionModel", "pooled", 16),
    ("CLIPVisionModelWithProjection", "pooled", 16),
]


@pytest.mark.parametrize(("name", "pooling", "dimension"), CASES)
def test_vectors_are_those_of_the_librarys_own_forward_pass(tmp_path, name, pooling, dimension):
    module = saved(tmp_path, name)
    found = loaded(tmp_path, pooling=pooling, dimension=dimension).embed(PIXELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(module, pooling), rtol=1e-5, atol=1e-5)


def test_images_with_projection_of_a_vision_tower_alone(tmp_path):
    torch, _ = libraries()
    module = saved(tmp_path, "CLIPVisionModelWithProjection")
    found = loaded(tmp_path, pooling="projection", dimension=12).embed(PIXELS)
    with torch.no_grad():
        told = module(prepared(PIXELS)).image_embeds.numpy()
    np.testing.assert_allclose(found, told, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_of_torch_gives_the_same_and_runs_no_code(tmp_path):
    torch, _ = libraries()
    module = saved(tmp_path, "Dinov2Model")
    first = loaded(tmp_path)
    torch.save(module.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    second = loaded(tmp_path)
    np.testing.assert_array_equal(first.embed(PIXELS), second.embed(PIXELS))
    assert first.digest != second.digest  # of the bytes of another file


def test_a_checkpoint_in_parts_gives_the_same(tmp_path):
    module = saved(tmp_path, "Dinov2Model")
    whole = loaded(tmp_path).embed(PIXELS)
    (tmp_path / "model.safetensors").unlink()
    module.save_pretrained(tmp_path, max_shard_size="10KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    np.testing.assert_array_equal(loaded(tmp_path).embed(PIXELS), whole)


def test_parts_outside_the_folder_are_not_read(tmp_path):
    saved(tmp_path, "Dinov2Model")
    (tmp_path / "model.safetensors").unlink()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"layernorm.bias": "../other.safetensors"}}))
    with pytest.raises(InvalidEncoder, match=r"other\.safetensors' is not a file of this folder"):
        loaded(tmp_path)
    index.write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(InvalidEncoder, match="no 'weight_map'; expected tensor → file"):
        loaded(tmp_path)


def test_dinov2_takes_any_whole_number_of_patches_and_others_only_their_own(tmp_path):
    saved(tmp_path / "free", "Dinov2Model", preprocessor=None)
    assert loaded(tmp_path / "free", height=48, width=48).embed(PIXELS).shape == (5, 16)
    with pytest.raises(InvalidEncoder, match="takes whole patches of 8 x 8; its card says 50 x 50"):
        loaded(tmp_path / "free", height=50, width=50)
    saved(tmp_path / "bound", "ViTModel", preprocessor=None)
    with pytest.raises(InvalidEncoder, match="takes images of 32 x 32; its card says 48 x 48"):
        loaded(tmp_path / "bound", height=48, width=48)


def test_nothing_is_asked_of_another_machine_when_a_path_is_given(tmp_path, monkeypatch):
    saved(tmp_path, "CLIPModel")
    save_clip_tokeniser(tmp_path)

    def refused(*_):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    card = {**FIELDS, "pooling": "projection", "dimension": 12}
    load({"path": str(tmp_path), "card": card}, Scope()).embed(PIXELS)
    load_text({"path": str(tmp_path), "card": card}, Scope()).embed(TEXTS)


def test_the_digest_is_of_weights_and_config_together(tmp_path):
    saved(tmp_path, "Dinov2Model")
    first = loaded(tmp_path).digest
    path = tmp_path / "config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "transformers_version": "0.0.1", "dtype": "float16"}))
    assert loaded(tmp_path).digest == first
    path.write_text(json.dumps({**said, "layer_norm_eps": 0.1}))
    assert loaded(tmp_path).digest != first


def test_half_the_digits_are_said_and_are_other_vectors(tmp_path):
    saved(tmp_path, "Dinov2Model")
    whole = loaded(tmp_path)
    parameters = {"path": str(tmp_path), "card": FIELDS, "precision": "bfloat16"}
    half = load(parameters, Scope())
    assert (whole.precision, half.precision) == ("float32", "bfloat16")
    assert whole.digest != half.digest
    a, b = whole.embed(PIXELS), half.embed(PIXELS)
    assert 0 < np.linalg.norm(a - b) / np.linalg.norm(a) < 0.05


def test_a_vit_without_a_pooler_is_made_without_one(tmp_path):
    _, t = libraries()
    module = saved(tmp_path, "ViTModel")
    module.pooler = None
    module.save_pretrained(tmp_path)
    bare = t.ViTModel.from_pretrained(tmp_path, add_pooling_layer=False)
    found = loaded(tmp_path).embed(PIXELS)
    np.testing.assert_allclose(found, expected(bare, "cls"), rtol=1e-5, atol=1e-5)
    with pytest.raises(InvalidEncoder, match="pooling is pooled in the card; ViTModel as it lies"):
        loaded(tmp_path, pooling="pooled")


@pytest.mark.parametrize(
    ("name", "pooling", "gives"),
    [
        ("SiglipModel", "cls", "mean, pooled, projection"),
        ("Dinov2Model", "projection", "mean, cls, cls_mean, pooled"),
        ("Dinov2Model", None, "mean, cls, cls_mean, pooled"),
        ("CLIPVisionModel", "projection", "mean, cls, cls_mean, pooled"),
    ],
)
def test_a_pooling_that_the_network_has_not_is_refused(tmp_path, name, pooling, gives):
    saved(tmp_path, name)
    with pytest.raises(InvalidEncoder, match=f"pooling is {pooling} in the card; .* {gives}$"):
        loaded(tmp_path, pooling=pooling)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}, "normalisation"),
        ({"mean": [0.40, 0.45, 0.48], "std": [0.28, 0.27, 0.26]}, "order of channels"),
        ({"pooling": "mean"}, "pooling"),
    ],
)
def test_the_test_vector_shows_what_a_card_says_wrongly(tmp_path, change, said):
    saved(tmp_path, "Dinov2Model", preprocessor=None)
    right = loaded(tmp_path).embed(known_colours(SIDE, SIDE)[None])[0]
    known = {"values": [float(one) for one in right]}
    loaded(tmp_path, test_vector=known)
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        loaded(tmp_path, test_vector=known, **change)


def rewritten(folder, name, change):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auto_map": {"AutoModel": "modeling.Own"}}, "'auto_map' asks for code or arithmetic"),
        ({"quantization_config": {"quant_method": "x"}}, "'quantization_config' asks for code"),
        ({"architectures": ["LlamaForCausalLM"]}, r"architectures is \['Llama.*expected one of CL"),
        ({"architectures": None}, "architectures is None; expected one of CLIPModel"),
        ({"hidden_size": 32}, r"shape of 'embeddings.cls_token' is .* of Dinov2Model"),
        ({"num_hidden_layers": 1}, "Dinov2Model cannot be made of it .out_features must be"),
        ({"use_mask_token": False}, r"does not fit Dinov2Model: has beside them 'embeddings.mask"),
        ({"num_hidden_layers": 3}, r"does not fit Dinov2Model: misses 'encoder.layer.2"),
        ({"mlp_ratio": 4}, r"shape of 'encoder.layer.0.mlp.fc1.bias' is .* of Dinov2Model"),
    ],
)
def test_a_config_that_is_not_of_the_weights_is_refused(tmp_path, change, message):
    saved(tmp_path, "Dinov2Model")
    rewritten(tmp_path, "config.json", change)
    with pytest.raises(InvalidEncoder, match=message):
        loaded(tmp_path)


def test_a_network_of_colour_is_not_given_grey(tmp_path):
    saved(tmp_path, "Dinov2Model")
    with pytest.raises(InvalidEncoder, match=r"takes 3 channels \(NCHW\); its card says 1 "):
        loaded(tmp_path, channels=1, mean=[0.5], std=[0.5])


def test_a_network_that_calls_for_attention_of_the_hub_gets_the_librarys_own(tmp_path):
    module = saved(tmp_path, "Dinov2Model")
    rewritten(tmp_path, "config.json", {"_attn_implementation": "somebody/kernel"})
    found = loaded(tmp_path).embed(PIXELS)
    np.testing.assert_allclose(found, expected(module, "cls"), rtol=1e-5, atol=1e-5)


def test_files_that_are_absent_are_named(tmp_path):
    with pytest.raises(InvalidEncoder, match="nowhere: no such file or folder"):
        loaded(tmp_path / "nowhere")
    with pytest.raises(InvalidEncoder, match=r"config\.json: no such file"):
        loaded(tmp_path)
    saved(tmp_path, "Dinov2Model")
    with pytest.raises(InvalidEncoder, match=r"is a file; expected the folder with config\.json"):
        loaded(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InvalidEncoder, match=r"no weights; expected model\.safetensors or pytorch"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_mean": [0.5, 0.5, 0.5]}, r"mean \[0.5, 0.5, 0.5\].*its card says.*mean \[0.48, "),
        ({"image_std": [0.5, 0.5, 0.5]}, r"std \[0.5, 0.5, 0.5\]; its card says.*std \[0.26, "),
        ({"image_mean": [0.4, 0.45, 0.48]}, r"mean \[0.4, 0.45, 0.48\], std"),
        (
            {"image_mean": [0.40, 0.45, 0.48], "image_std": [0.28, 0.27, 0.26]},
            r"mean \[0.4, 0.45, 0.48\], std \[0.28, 0.27, 0.26\]; its card says",
        ),
        ({"rescale_factor": 1.0}, "multiplied by 1, .* its card says value_range zero_one"),
        ({"do_rescale": False}, "multiplied by 1, "),
        ({"do_normalize": False}, "mean none, std none; its card says"),
        ({"size": {"height": 64, "width": 64}}, "size is 64 x 64; its card says 32 x 32"),
        (
            {"do_center_crop": True, "crop_size": 32, "size": {"shortest_edge": 40}},
            "resize is 40; its card says None",
        ),
        ({"resample": 3}, "interpolation is bicubic; its card says bilinear"),
    ],
)
def test_a_preprocessor_that_disagrees_with_the_card_is_refused(tmp_path, change, message):
    saved(tmp_path, "Dinov2Model")
    rewritten(tmp_path, "preprocessor_config.json", change)
    with pytest.raises(InvalidEncoder, match=rf"preprocessor_config\.json: .*{message}"):
        loaded(tmp_path)


def test_a_range_of_minus_one_to_one_is_a_mean_and_deviation_of_a_half(tmp_path):
    halves = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    saved(tmp_path, "Dinov2Model", preprocessor={**PREPROCESSOR, **halves})
    loaded(tmp_path, value_range="minus_one_one", mean=None, std=None)
    with pytest.raises(InvalidEncoder, match="its card says value_range minus_one_one, mean"):
        loaded(tmp_path, value_range="minus_one_one")


def test_the_newer_file_of_a_processor_is_compared_too(tmp_path):
    saved(tmp_path, "Dinov2Model", preprocessor=None)
    said = {"image_processor": {**PREPROCESSOR, "image_mean": [0.5] * 3}}
    (tmp_path / "processor_config.json").write_text(json.dumps(said))
    with pytest.raises(InvalidEncoder, match=r"processor_config\.json: pixels are multiplied by"):
        loaded(tmp_path)


def test_without_a_path_the_hub_is_asked_and_what_it_gives_is_loaded(tmp_path, monkeypatch):
    import huggingface_hub

    saved(tmp_path, "Dinov2Model")
    asked = []

    def given(name, *, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", given)
    card = {**FIELDS, "source_id": "maker/tiny", "arguments": {"revision": "abc"}}
    assert load({"card": card}, Scope()).embed(PIXELS).shape == (5, 16)
    assert asked[0][:2] == ("maker/tiny", "abc")
    assert "config.json" in asked[0][2]
    assert not any("py" in name.rpartition(".")[2] for name in asked[0][2])


def test_a_hub_that_is_not_reached_says_which_files_to_place(monkeypatch):
    import huggingface_hub

    def unreached(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("cannot be reached")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreached)
    terms = {"gated": True}
    with pytest.raises(InvalidEncoder, match=r"does not give 'maker/tiny' \(cannot be") as caught:
        load({"card": {**FIELDS, "source_id": "maker/tiny", "terms": terms}}, Scope())
    assert "after its terms were accepted: place config.json" in caught.value.hint
    with pytest.raises(InvalidEncoder, match="neither 'path' nor a source_id in the card 'tiny'"):
        load({"card": FIELDS}, Scope())


def test_an_unknown_argument_is_refused(tmp_path):
    saved(tmp_path, "Dinov2Model")
    with pytest.raises(InvalidEncoder, match="unknown argument 'trust_remote_code'"):
        loaded(tmp_path, arguments={"trust_remote_code": True})


def both_towers(folder, name, tokeniser):
    module = saved(folder, name)
    tokeniser(folder)
    card = {**FIELDS, "pooling": "projection", "dimension": 12 if name == "CLIPModel" else 16}
    parameters = {"path": str(folder), "card": card}
    return module, load(parameters, Scope()), load_text(parameters, Scope())


SHARED = [("CLIPModel", save_clip_tokeniser), ("SiglipModel", save_word_tokeniser)]


@pytest.mark.parametrize(("name", "tokeniser"), SHARED)
def test_both_towers_give_the_logits_of_the_librarys_own_forward_pass(tmp_path, name, tokeniser):
    torch, t = libraries()
    module, images, texts = both_towers(tmp_path, name, tokeniser)
    tokens = t.AutoTokenizer.from_pretrained(tmp_path)
    more = {"padding": "max_length", "max_length": 24} if "Sig" in name else {"padding": True}
    given = tokens(TEXTS, return_tensors="pt", **more)
    mask = {} if "Sig" in name else {"attention_mask": given["attention_mask"]}
    with torch.no_grad():
        told = module(input_ids=given["input_ids"], pixel_values=prepared(PIXELS), **mask)
    found = texts.embed(TEXTS)
    assert len({tuple(one) for one in given["input_ids"].tolist()}) == len(TEXTS)
    np.testing.assert_allclose(found, told.text_embeds.numpy(), rtol=1e-5, atol=1e-5)
    x = images.embed(PIXELS)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(x, told.image_embeds.numpy(), rtol=1e-5, atol=1e-5)
    bias = float(getattr(module, "logit_bias", torch.zeros(1)).detach())
    logits = texts.scale * x @ found.T + bias
    np.testing.assert_allclose(logits, told.logits_per_image.numpy(), rtol=1e-5, atol=1e-5)


def test_the_tokeniser_of_siglip_itself_fills_up_to_its_whole_length(tmp_path):
    pytest.importorskip("sentencepiece")
    torch, t = libraries()
    module, _, texts = both_towers(tmp_path, "SiglipModel", save_siglip_tokeniser)
    tokens = t.SiglipTokenizer.from_pretrained(tmp_path)
    given = tokens(TEXTS, return_tensors="pt", padding="max_length", max_length=24)["input_ids"]
    assert given.shape == (3, 24)
    assert int(given.max()) > 2
    with torch.no_grad():
        told = module.get_text_features(input_ids=given)
    told = getattr(told, "pooler_output", told).numpy()
    told /= np.linalg.norm(told, axis=1, keepdims=True)
    np.testing.assert_allclose(texts.embed(TEXTS), told, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "tokeniser"), SHARED)
def test_a_text_has_the_same_vector_alone_and_among_others(tmp_path, name, tokeniser):
    _, _, texts = both_towers(tmp_path, name, tokeniser)
    alone = np.concatenate([texts.embed([one]) for one in TEXTS])
    np.testing.assert_allclose(texts.embed(TEXTS), alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1.0, rtol=1e-6)


def test_a_prompt_that_would_be_cut_off_is_refused(tmp_path):
    _, _, texts = both_towers(tmp_path, "SiglipModel", save_word_tokeniser)
    with pytest.raises(InvalidEncoder, match=r"'edema edema.*' is 25 tokens; the network reads 24"):
        texts.embed([" ".join(["edema"] * 24)])


def test_a_tokeniser_that_is_absent_or_of_another_network_is_refused(tmp_path):
    saved(tmp_path, "SiglipModel")
    parameters = {"path": str(tmp_path), "card": {**FIELDS, "pooling": "projection"}}
    with pytest.raises(InvalidEncoder, match=r"no tokeniser; expected one of tokenizer\.json"):
        load_text(parameters, Scope())
    save_clip_tokeniser(tmp_path)
    with pytest.raises(InvalidEncoder, match=r"has the token \d+; the network knows 56"):
        load_text(parameters, Scope())
    rewritten(tmp_path, "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.Own"]}})
    with pytest.raises(InvalidEncoder, match="'auto_map' asks for code"):
        load_text(parameters, Scope())


def test_a_network_of_images_alone_has_no_text_tower(tmp_path):
    saved(tmp_path, "Dinov2Model")
    with pytest.raises(InvalidEncoder, match="Dinov2Model has no text tower; expected CLIPModel"):
        load_text({"path": str(tmp_path), "card": FIELDS}, Scope())
