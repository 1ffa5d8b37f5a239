import copy
import json
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch")
if find_spec("open_clip") is None:  # to import it, torchvision must be made ready first
    pytest.skip("open_clip is not installed", allow_module_level=True)

from equipoise.encoders import known_colours
from equipoise.encoders.libraries import beside_torchvision
from equipoise.encoders.open_clip import load, load_text
from equipoise.errors import InvalidEncoder
from equipoise.scope import Scope
from tests.encoders.hub_folders import (
    FIELDS,
    PIXELS,
    SIDE,
    TEXT,
    libraries,
    prepared,
    save_bert_tokeniser,
)

VISION = {"image_size": SIDE, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
OWN = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
PREPARED = {
    "mean": [0.48, 0.45, 0.40],
    "std": [0.26, 0.27, 0.28],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}
TRUNK = {
    "timm_model_name": "test_vit",
    "timm_model_pretrained": False,
    "timm_pool": "",
    "timm_proj": "linear",
    "image_size": 160,
}
BERT = {
    "hf_model_name": "maker/bert",
    "hf_tokenizer_name": "maker/bert",
    "hf_proj_type": "mlp",
    "hf_pooler_type": "cls_last_hidden_state_pooler",
    "context_length": 16,
}
TEXTS = ["edema", "no edema", "clear lungs no effusion"]
CARD = {**FIELDS, "pooling": "projection", "dimension": 12}


def open_clip():
    return beside_torchvision("open_clip", extra="hub", family="open_clip")


def saved(folder, *, vision=VISION, text=OWN, bare=False, preprocess=PREPARED, **more):
    """Save a model of random weights in the layout of the hub, and return it."""
    torch, t = libraries()
    torch.manual_seed(0)
    config = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text, **more}
    made = copy.deepcopy(config)
    kind = open_clip().CLIP
    folder.mkdir(exist_ok=True)
    if "hf_model_name" in text:
        size = {**TEXT, "vocab_size": 13, "architectures": ["BertModel"]}
        (folder / "text").mkdir(exist_ok=True)
        t.BertConfig(**size).save_pretrained(folder / "text")
        save_bert_tokeniser(folder)
        kind = open_clip().CustomTextCLIP
        home = {"hf_model_name": str(folder / "text"), "hf_model_pretrained": False}
        made["text_cfg"] = {**text, **home}
    model = kind(**made).eval()
    with torch.no_grad():
        for key, one in model.named_parameters():
            if "logit" not in key:
                one.add_(0.1 * torch.randn_like(one))
    if not bare:
        said = {"model_cfg": config, "preprocess_cfg": preprocess}
        (folder / "open_clip_config.json").write_text(json.dumps(said))
    from safetensors.torch import save_file

    tensors = {key: one.contiguous() for key, one in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    return model


def loaded(path, **change):
    return load({"path": str(path), "card": {**CARD, **change}}, Scope())


def told(model, pixels=PIXELS):
    torch, _ = libraries()
    with torch.no_grad():
        return model.encode_image(prepared(pixels)).numpy()


def test_projected_vectors_are_those_of_the_librarys_own_forward_pass(tmp_path):
    model = saved(tmp_path)
    found = loaded(tmp_path).embed(PIXELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, told(model), rtol=1e-5, atol=1e-5)


def test_pooled_vectors_are_those_before_the_projection(tmp_path):
    model = saved(tmp_path)
    found = loaded(tmp_path, pooling="pooled", dimension=16).embed(PIXELS)
    projected = found @ model.visual.proj.detach().numpy()
    np.testing.assert_allclose(projected, told(model), rtol=1e-5, atol=1e-5)


def test_a_trunk_of_timm_gives_both_and_the_pooled_one_is_the_trunks(tmp_path):
    torch, _ = libraries()
    model = saved(tmp_path, vision=TRUNK, text=BERT)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)
    size = {"height": 160, "width": 160}
    found = loaded(tmp_path, **size).embed(pixels)
    np.testing.assert_allclose(found, told(model, pixels), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        trunk = model.visual.trunk(prepared(pixels)).numpy()
    pooled = loaded(tmp_path, **size, pooling="pooled", dimension=64).embed(pixels)
    np.testing.assert_allclose(pooled, trunk, rtol=1e-5, atol=1e-5)


def test_a_trunk_whose_own_head_projects_has_nothing_pooled(tmp_path):
    saved(tmp_path, vision={**TRUNK, "timm_proj": None, "timm_pool": "avg"}, text=BERT)
    with pytest.raises(InvalidEncoder, match=r"pooling is pooled in the card; TimmModel .*projec"):
        loaded(tmp_path, height=160, width=160, pooling="pooled")


@pytest.mark.parametrize("text", [OWN, BERT], ids=["own", "bert"])
def test_both_towers_give_the_logits_of_the_librarys_own_forward_pass(tmp_path, text):
    torch, _ = libraries()
    model = saved(tmp_path, text=text)
    parameters = {"path": str(tmp_path), "card": CARD}
    images, texts = load(parameters, Scope()), load_text(parameters, Scope())
    tokens = open_clip().get_tokenizer(f"local-dir:{tmp_path}")(TEXTS)
    assert len({tuple(one) for one in tokens.tolist()}) == len(TEXTS)
    with torch.no_grad():
        features = model.encode_text(tokens, normalize=True).numpy()
        logits = model.get_logits(prepared(PIXELS), tokens)[0].numpy()
    np.testing.assert_allclose(texts.embed(TEXTS), features, rtol=1e-5, atol=1e-5)
    x = images.embed(PIXELS)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(texts.scale * x @ texts.embed(TEXTS).T, logits, rtol=1e-5, atol=1e-5)
    assert texts.weights != texts.digest


def bare_checkpoint(folder, monkeypatch, *, prefix=""):
    torch, _ = libraries()
    model = saved(folder, bare=True)
    (folder / "open_clip_model.safetensors").unlink()
    numbers = {"input_resolution": torch.tensor(SIDE), "context_length": torch.tensor(16)}
    half = {prefix + key: one for key, one in (model.state_dict() | numbers).items()}
    torch.save({"state_dict": half}, folder / "last.pt")
    config = {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": OWN}
    monkeypatch.setattr(open_clip(), "list_models", lambda: ["ViT-tiny"])
    monkeypatch.setattr(open_clip(), "get_model_config", lambda _: copy.deepcopy(config))
    return model


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_bare_checkpoint_is_of_the_network_that_the_card_names(tmp_path, monkeypatch, prefix):
    model = bare_checkpoint(tmp_path, monkeypatch, prefix=prefix)
    arguments = {"model": "ViT-tiny"}
    found = loaded(tmp_path / "last.pt", arguments=arguments).embed(PIXELS)
    np.testing.assert_allclose(found, told(model), rtol=1e-5, atol=1e-5)
    card = {**CARD, "arguments": arguments}
    load_text({"path": str(tmp_path / "last.pt"), "card": card}, Scope()).embed(TEXTS)
    with pytest.raises(InvalidEncoder, match="does not say its network; expected arguments"):
        loaded(tmp_path / "last.pt")
    with pytest.raises(InvalidEncoder, match="open_clip knows no model 'ViT-tinny'") as caught:
        loaded(tmp_path / "last.pt", arguments={"model": "ViT-tinny"})
    assert caught.value.hint == "did you mean 'ViT-tiny'?"


def test_the_library_knows_the_network_of_chexzero():
    config = open_clip().get_model_config("ViT-B-32")
    assert "ViT-B-32" in open_clip().list_models()
    assert config["vision_cfg"]["patch_size"] == 32


def test_a_folder_with_a_model_in_its_cards_arguments_is_refused(tmp_path):
    saved(tmp_path)
    with pytest.raises(InvalidEncoder, match="a folder says its network itself"):
        loaded(tmp_path, arguments={"model": "ViT-B-32"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}, "normalisation"),
        ({"mean": [0.40, 0.45, 0.48], "std": [0.28, 0.27, 0.26]}, "order of channels"),
    ],
)
def test_the_test_vector_shows_what_a_card_says_wrongly(tmp_path, change, said):
    saved(tmp_path, preprocess=None)
    right = loaded(tmp_path).embed(known_colours(SIDE, SIDE)[None])[0]
    known = {"values": [float(one) for one in right]}
    loaded(tmp_path, test_vector=known)
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        loaded(tmp_path, test_vector=known, **change)


def test_the_test_vector_shows_a_wrong_pooling_of_the_same_length(tmp_path):
    saved(tmp_path, vision={**VISION, "width": 12, "head_width": 6}, preprocess=None)
    right = loaded(tmp_path).embed(known_colours(SIDE, SIDE)[None])[0]
    known = {"values": [float(one) for one in right]}
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        loaded(tmp_path, test_vector=known, pooling="pooled")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [0.5, 0.5, 0.5]}, r"mean \[0.5, 0.5, 0.5\].*its card says .* mean \[0.48, "),
        ({"std": [0.5, 0.5, 0.5]}, r"std \[0.5, 0.5, 0.5\]; its card says"),
        ({"interpolation": "bicubic"}, "interpolation is bicubic; its card says bilinear"),
        ({"resize_mode": "longest"}, "resize_mode is 'longest'; expected shortest or squash"),
        ({"size": 64}, "size is 64 x 64; its card says 32 x 32"),
        ({"size": 32, "resize_mode": "shortest"}, "resize is 32; its card says None"),
    ],
)
def test_a_config_that_prepares_images_otherwise_is_refused(tmp_path, change, message):
    saved(tmp_path, preprocess={**PREPARED, **change})
    with pytest.raises(InvalidEncoder, match=rf"open_clip_config\.json: .*{message}"):
        loaded(tmp_path)


def test_what_a_config_leaves_out_is_as_the_library_has_it(tmp_path):
    from dataclasses import asdict

    default = asdict(open_clip().transform.PreprocessCfg())
    clip = {"mean": list(default["mean"]), "std": list(default["std"])}
    card = {**clip, "interpolation": default["interpolation"], "resize": SIDE}
    assert default["resize_mode"] == "shortest"
    saved(tmp_path, preprocess={})
    loaded(tmp_path, **card)
    with pytest.raises(InvalidEncoder, match="interpolation is bicubic; its card says bilinear"):
        loaded(tmp_path, **{**card, "interpolation": None})
    with pytest.raises(InvalidEncoder, match="resize is 32; its card says None"):
        loaded(tmp_path, **{**card, "resize": None})
    with pytest.raises(InvalidEncoder, match=r"mean \[0\.481455"):
        loaded(tmp_path, **{**card, "mean": [0.5] * 3})


def rewritten(folder, change):
    path = folder / "open_clip_config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "model_cfg": {**said["model_cfg"], **change}}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision_cfg": {**VISION, "layers": 1}}, "has beside them 'transformer.resblocks.1"),
        ({"vision_cfg": {**VISION, "layers": 3}}, "misses 'transformer.resblocks.2"),
        ({"vision_cfg": {**VISION, "width": 8}}, r"expected \(.*\) of the image tower of tiny"),
        ({"vision_cfg": {"image_sise": 3}}, "no network can be made of its config .*image_sise"),
        ({"multimodal_cfg": {}}, "is a CoCa, which is not loaded"),
        ({"text_cfg": None}, "no model_cfg with its vision_cfg and text_cfg"),
        ({"embed_dim": None}, "no network can be made of its config"),
    ],
)
def test_a_config_that_is_not_of_the_weights_is_refused(tmp_path, change, message):
    saved(tmp_path)
    rewritten(tmp_path, change)
    with pytest.raises(InvalidEncoder, match=message):
        loaded(tmp_path)


def test_tensors_of_neither_tower_are_named(tmp_path):
    from safetensors.torch import load_file, save_file

    torch, _ = libraries()
    saved(tmp_path)
    path = tmp_path / "open_clip_model.safetensors"
    save_file(load_file(path) | {"decoder.weight": torch.zeros(2)}, path)
    with pytest.raises(InvalidEncoder, match=r"has beside both towers 'decoder\.weight'"):
        loaded(tmp_path)


def test_files_that_are_absent_are_named(tmp_path):
    with pytest.raises(InvalidEncoder, match=r"open_clip_config\.json: no such file"):
        loaded(tmp_path)
    saved(tmp_path, text=BERT)
    (tmp_path / "text" / "config.json").unlink()
    assert loaded(tmp_path).embed(PIXELS).shape == (5, 12)  # images need no text tower
    with pytest.raises(InvalidEncoder, match="its text tower is 'maker/bert'") as caught:
        load_text({"path": str(tmp_path), "card": CARD}, Scope())
    assert "place config.json of 'maker/bert' there" in caught.value.hint
    (tmp_path / "open_clip_model.safetensors").unlink()
    with pytest.raises(InvalidEncoder, match=r"no weights; expected open_clip_model\.safetensors"):
        loaded(tmp_path)


def test_images_of_another_size_than_the_networks_are_refused(tmp_path):
    saved(tmp_path)
    with pytest.raises(InvalidEncoder, match=r"takes 3 channels of 32 x 32 .*3 of 48 x 48"):
        loaded(tmp_path, height=48, width=48)


@pytest.mark.parametrize("text", [OWN, BERT], ids=["own", "bert"])
def test_a_prompt_that_would_be_cut_off_is_refused(tmp_path, text):
    saved(tmp_path, text=text)
    texts = load_text({"path": str(tmp_path), "card": CARD}, Scope())
    assert texts.embed([" ".join(["no"] * 14)]).shape == (1, 12)
    with pytest.raises(InvalidEncoder, match="is 17 tokens; the network reads 16"):
        texts.embed([" ".join(["no"] * 15)])


def test_a_text_tower_without_a_known_tokeniser_is_refused(tmp_path):
    saved(tmp_path, text={**OWN, "vocab_size": 50})
    with pytest.raises(InvalidEncoder, match="knows 50 tokens; the tokeniser of CLIP has 49408"):
        load_text({"path": str(tmp_path), "card": CARD}, Scope())
    saved(tmp_path, text={**BERT, "tokenizer_mode": "clips"})
    with pytest.raises(InvalidEncoder, match="asks of the tokeniser what is not done"):
        load_text({"path": str(tmp_path), "card": CARD}, Scope())
