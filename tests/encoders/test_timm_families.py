import argparse

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders import catalogue  # noqa: E402
from equipoise.encoders.card import load as load_card  # noqa: E402
from equipoise.encoders.libraries import beside_torchvision  # noqa: E402
from equipoise.encoders.timm import load  # noqa: E402
from equipoise.errors import InvalidEncoder, MissingExtra  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import by_hand, close, fields, pictures  # noqa: E402

try:
    timm = beside_torchvision("timm", extra="train", family="timm")
except MissingExtra:
    pytest.skip("timm is not installed", allow_module_level=True)

TINY = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
CONVNEXT = {"model": "convnext_tiny", "depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]}


def made(told, seed=0):
    """Return a network in which every weight counts."""
    torch.manual_seed(seed)
    rest = {name: one for name, one in told.items() if name != "model"}
    module = timm.create_model(told["model"], num_classes=0, **rest).eval()
    with torch.no_grad():
        for one in module.parameters():
            one.add_(torch.randn_like(one) * 0.05)
    return module


def card(told, **change):
    return fields(arguments=told, loader="timm", **{"pooling": "pooled", **change})


def vectors(module, call, pixels):
    with torch.inference_mode():
        return call(module, torch.from_numpy(by_hand(pixels))).numpy()


def embedded(state, wanted, folder, pixels):
    torch.save(state, folder / "w.pth")
    return load({"card": wanted, "path": str(folder / "w.pth")}, Scope()).embed(pixels)


FAMILIES = {
    "vit": {"model": "vit_small_patch16_224", **TINY},
    "vit_of_mean": {"model": "vit_base_patch16_siglip_gap_224", **TINY},
    "dinov2": {"model": "vit_small_patch14_dinov2", **TINY},
    "dinov2_registers": {"model": "vit_small_patch14_reg4_dinov2", **TINY},
    "dinov3": {"model": "vit_small_patch16_dinov3", **TINY},
    "deit_distilled": {"model": "deit_small_distilled_patch16_224", **TINY},
    "beit": {"model": "beit_base_patch16_224", **TINY},
    "eva02": {"model": "eva02_tiny_patch14_224", **TINY},
    "convnext": CONVNEXT,
    "convnextv2": {**CONVNEXT, "model": "convnextv2_tiny"},
    "resnet": {"model": "resnet10t"},
    "densenet": {"model": "densenet121", "block_config": [1, 1], "growth_rate": 8},
    "efficientnet": {"model": "efficientnet_lite0"},
}


@pytest.mark.parametrize("told", FAMILIES.values(), ids=FAMILIES)
def test_every_family_gives_the_vectors_of_timm(tmp_path, told):
    module, pixels = made(told), pictures(2)
    wanted = vectors(module, lambda m, x: m(x), pixels)
    found = embedded(module.state_dict(), card(told, dimension=wanted.shape[1]), tmp_path, pixels)
    close(found, wanted)
    assert np.ptp(wanted, axis=0).max() > 0


@pytest.mark.parametrize("name", ["dinov2_registers", "dinov3", "deit_distilled"])
def test_patches_alone_are_in_a_mean(tmp_path, name):
    module, pixels = made(FAMILIES[name]), pictures(2)
    before = {"dinov2_registers": 5, "dinov3": 5, "deit_distilled": 2}[name]
    wanted = vectors(module, lambda m, x: m.forward_features(x)[:, before:].mean(1), pixels)
    told = card(FAMILIES[name], pooling="mean")
    close(embedded(module.state_dict(), told, tmp_path, pixels), wanted)


def test_registers_without_a_class_token_are_no_class_token(tmp_path):
    told = {"model": "vit_small_patch14_reg4_dinov2", **TINY, "class_token": False}
    told["global_pool"] = "map"
    module = made(told)
    with pytest.raises(InvalidEncoder, match="pooling 'cls' and the network has no class token"):
        embedded(module.state_dict(), card(told, pooling="cls"), tmp_path, pictures())


def test_maps_are_not_averaged_where_the_network_normalises_afterwards(tmp_path):
    state = made(CONVNEXT).state_dict()
    told = card(CONVNEXT, pooling="spatial_mean", dimension=16)
    with pytest.raises(InvalidEncoder, match="normalises after it has pooled"):
        embedded(state, told, tmp_path, pictures())


def mae(folder, seed=0):
    """Write a checkpoint as MAE does, of which RETFound is one: a decoder, and its options."""
    module = made(FAMILIES["vit"], seed)
    state = {
        **module.state_dict(),
        "mask_token": torch.ones(1, 1, 8),
        "decoder_pos_embed": torch.ones(1, 17, 8),
        "decoder_embed.weight": torch.ones(8, 32),
        "decoder_blocks.0.norm1.weight": torch.ones(8),
        "decoder_pred.bias": torch.ones(3),
    }
    options = argparse.Namespace(model="mae_vit_large_patch16", mask_ratio=0.75)
    told = {"model": state, "optimizer": {"state": {}}, "epoch": 7, "args": options}
    torch.save(told, folder / "mae.pth")
    return module, folder / "mae.pth"


def test_an_encoder_of_mae_is_taken_without_its_decoder(tmp_path):
    (module, path), pixels = mae(tmp_path), pictures()
    told = {**FAMILIES["vit"], "drop": ["decoder", "mask_token"]}
    encoder = load({"card": card(told, pooling="mean"), "path": str(path)}, Scope())
    wanted = vectors(module, lambda m, x: m.forward_features(x)[:, 1:].mean(1), pixels)
    close(encoder.embed(pixels), wanted)


@pytest.mark.parametrize("name", ["cfp", "oct", "meh", "shanghai"])
def test_the_cards_of_retfound_name_the_decoder_of_mae(tmp_path, name):
    _, path = mae(tmp_path)
    theirs = load_card(catalogue.path(f"retfound-mae-{name}"))
    told = {**FAMILIES["vit"], "drop": theirs.arguments["drop"]}
    wanted = card(told, pooling=theirs.pooling)
    assert load({"card": wanted, "path": str(path)}, Scope()).dimension == 32


def test_a_decoder_that_the_card_does_not_name_is_refused(tmp_path):
    _, path = mae(tmp_path)
    told = card({**FAMILIES["vit"], "drop": ["mask_token"]}, pooling="mean")
    with pytest.raises(InvalidEncoder, match="has beside them 'decoder_pos_embed'"):
        load({"card": told, "path": str(path)}, Scope())


def test_the_teacher_of_dino_is_taken_and_not_its_student(tmp_path):
    teacher, student, pixels = made(FAMILIES["dinov2"], 1), made(FAMILIES["dinov2"], 2), pictures()
    parts = {
        name: {
            **{f"backbone.{key}": one for key, one in module.state_dict().items()},
            "backbone.mask_token": torch.zeros(1, 32),
            "dino_head.last_layer.weight": torch.ones(4),
            "ibot_head.last_layer.weight": torch.ones(4),
        }
        for name, module in (("student", student), ("teacher", teacher))
    }
    told = {**FAMILIES["dinov2"], "prefix": "backbone."}
    wanted = vectors(teacher, lambda m, x: m(x), pixels)
    drop = {"drop": ["dino_head.", "ibot_head."]}
    close(embedded(parts, card({**told, **drop}), tmp_path, pixels), wanted)
    with pytest.raises(InvalidEncoder, match=r"beside the prefix 'backbone\.' 'dino_head"):
        embedded(parts, card(told), tmp_path, pixels)


def test_a_text_tower_that_a_conversion_leaves_out_is_named(tmp_path):
    told = {**FAMILIES["vit"], "global_pool": ""}
    module, pixels = made(told), pictures()
    state = {f"visual.trunk.{name}": one for name, one in module.state_dict().items()}
    state |= {"text.transformer.weight": torch.ones(4), "logit_scale": torch.ones(1)}
    flat = {"pooling": "flat", "dimension": 17 * 32}
    with pytest.raises(
        InvalidEncoder, match=r"leaves out 'text\.transformer\.weight', 'logit_scale'"
    ):
        embedded(state, card(told, **flat), tmp_path, pixels)
    wanted = card({**told, "drop": ["text.", "logit_scale"]}, **flat)
    expected = vectors(module, lambda m, x: m.forward_features(x).flatten(1), pixels)
    close(embedded(state, wanted, tmp_path, pixels), expected)
