import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders import ENCODERS  # noqa: E402
from equipoise.encoders.libraries import beside_torchvision  # noqa: E402
from equipoise.encoders.timm import load  # noqa: E402
from equipoise.errors import InvalidConfiguration, InvalidEncoder, MissingExtra  # noqa: E402
from equipoise.registry import load as registered  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import by_hand, close, fields, known, pictures, trapped  # noqa: E402

try:
    timm = beside_torchvision("timm", extra="train", family="timm")
except MissingExtra:
    pytest.skip("timm is not installed", allow_module_level=True)

VIT = {
    "model": "vit_small_patch16_224",
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 4,
    "init_values": 0.1,
    "reg_tokens": 4,
    "dynamic_img_size": True,
}
VIRCHOW = {**VIT, "mlp_layer": "SwiGLUPacked", "act_layer": "SiLU", "global_pool": ""}


def vit(seed=0, **change):
    """Return a ViT as timm makes it, from a card's arguments."""
    torch.manual_seed(seed)
    told = {**VIT, "num_classes": 0, **change}
    for name, layer in (("mlp_layer", "SwiGLUPacked"), ("act_layer", "SiLU")):
        if told.get(name) == layer:
            told[name] = timm.layers.SwiGLUPacked if name == "mlp_layer" else torch.nn.SiLU
    made = timm.create_model(told.pop("model"), **told).eval()
    return scattered(made)


def scattered(module):
    """Return a network whose every weight counts: layers start at 0 or 1 by themselves."""
    with torch.no_grad():
        for one in module.parameters():
            one.add_(torch.randn_like(one) * 0.05)
        for name, one in module.named_buffers():
            if name.endswith("running_var"):
                one.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                one.normal_(0, 0.1)
    return module


def saved(module, folder):
    """Write a network as timm does for the hub, and return the folder."""
    from timm.models import save_for_hf

    config = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    module.pretrained_cfg.update(config, interpolation="bilinear")
    save_for_hf(module, folder, safe_serialization=True)
    return folder


def card(arguments=VIT, **change):
    return fields(arguments=arguments, loader="timm", **{"pooling": "cls", **change})


def vectors(module, call, pixels):
    with torch.inference_mode():
        return call(module, torch.from_numpy(by_hand(pixels))).numpy()


@pytest.mark.parametrize(
    ("pooling", "dimension", "call"),
    [
        ("cls", 32, lambda m, x: m.forward_features(x)[:, 0]),
        ("mean", 32, lambda m, x: m.forward_features(x)[:, 5:].mean(1)),
        (
            "cls_mean",
            64,
            lambda m, x: torch.cat(
                [m.forward_features(x)[:, 0], m.forward_features(x)[:, 5:].mean(1)], 1
            ),
        ),
        ("pooled", 32, lambda m, x: m(x)),
        ("flat", 32 * 21, lambda m, x: m.forward_features(x).flatten(1)),
    ],
)
def test_a_folder_as_timm_writes_it_gives_timms_vectors(tmp_path, pooling, dimension, call):
    module, pixels = vit(), pictures()
    place = saved(module, tmp_path / "hub")
    wanted = card(pooling=pooling, dimension=dimension)
    encoder = load({"card": wanted, "path": str(place)}, Scope())
    close(encoder.embed(pixels), vectors(module, call, pixels))
    assert encoder.precision == "float32"
    assert f"timm {timm.__version__}" in encoder.engine


def test_a_network_with_gated_layers_skips_its_registers(tmp_path):
    module, pixels = vit(**VIRCHOW), pictures()
    torch.save(module.state_dict(), tmp_path / "w.bin")
    wanted = card(VIRCHOW, pooling="cls_mean", dimension=64)
    encoder = load({"card": wanted, "path": str(tmp_path / "w.bin")}, Scope())

    def call(m, x):
        out = m(x)  # as the card of Virchow2 has it: class token, then patches after 4 registers
        return torch.cat([out[:, 0], out[:, 5:].mean(1)], dim=-1)

    close(encoder.embed(pixels), vectors(module, call, pixels))


@pytest.mark.parametrize(
    ("name", "told", "pooling", "dimension", "call"),
    [
        ("resnet10t", {}, "pooled", 512, lambda m, x: m(x)),
        ("resnet10t", {}, "spatial_mean", 512, lambda m, x: m(x)),
        ("resnet10t", {}, "flat", 512, lambda m, x: m.forward_features(x).flatten(1)),
        (
            "swin_tiny_patch4_window7_224",
            {
                "img_size": 32,
                "window_size": 4,
                "embed_dim": 12,
                "depths": [1, 1],
                "num_heads": [2, 2],
            },
            "spatial_mean",
            24,
            lambda m, x: m.forward_features(x).mean((1, 2)),
        ),
    ],
)
def test_networks_of_maps_are_pooled_over_their_places(
    tmp_path, name, told, pooling, dimension, call
):
    torch.manual_seed(0)
    module = scattered(timm.create_model(name, num_classes=0, **told).eval())
    torch.save({"state_dict": module.state_dict()}, tmp_path / "w.pth")
    wanted = card({"model": name, **told}, pooling=pooling, dimension=dimension)
    encoder = load({"card": wanted, "path": str(tmp_path / "w.pth")}, Scope())
    pixels = pictures()
    close(encoder.embed(pixels), vectors(module, call, pixels))


def test_a_checkpoint_of_training_gives_the_part_that_is_meant(tmp_path):
    module, pixels = vit(), pictures()
    state = {f"module.{name}": one for name, one in module.state_dict().items()}
    state |= {
        "module.head.weight": torch.zeros(5, 32),
        "module.decoder_embed.weight": torch.zeros(2),
        "optimizer": torch.zeros(1),
    }
    torch.save({"model": state, "epoch": 3}, tmp_path / "w.pth")
    told = {**VIT, "prefix": "module.", "drop": ["decoder"]}
    encoder = load({"card": card(told), "path": str(tmp_path / "w.pth")}, Scope())
    close(encoder.embed(pixels), vectors(module, lambda m, x: m(x), pixels))


def test_positions_of_another_grid_are_resampled_as_timm_does(tmp_path):
    from timm.models.vision_transformer import checkpoint_filter_fn

    large = vit(img_size=64)
    torch.save(large.state_dict(), tmp_path / "w.pth")
    small = vit(1)
    small.load_state_dict(checkpoint_filter_fn(large.state_dict(), small))
    pixels = pictures()
    encoder = load({"card": card(), "path": str(tmp_path / "w.pth")}, Scope())
    close(encoder.embed(pixels), vectors(small, lambda m, x: m(x), pixels))


def test_the_names_of_the_makers_of_dinov2_are_converted(tmp_path):
    module, pixels = vit(no_embed_class=True), pictures()
    state = dict(module.state_dict())
    state["register_tokens"] = state.pop("reg_token")
    first = torch.full_like(state["cls_token"], 0.25)
    state["pos_embed"] = torch.cat([first, state["pos_embed"]], 1)
    state["cls_token"] = state["cls_token"] - first[:, 0]
    state["mask_token"] = torch.zeros(1, 32)
    torch.save({"teacher": state}, tmp_path / "w.pth")
    wanted = card({**VIT, "no_embed_class": True})
    encoder = load({"card": wanted, "path": str(tmp_path / "w.pth")}, Scope())
    close(encoder.embed(pixels), vectors(module, lambda m, x: m(x), pixels))


def test_grey_images_go_to_a_network_of_one_channel(tmp_path):
    module = vit(in_chans=1)
    torch.save(module.state_dict(), tmp_path / "w.pth")
    wanted = card(channels=1, mean=None, std=None)
    encoder = load({"card": wanted, "path": str(tmp_path / "w.pth")}, Scope())
    pixels = pictures(channels=1)
    with torch.inference_mode():
        images = torch.from_numpy((pixels / 255.0).astype(np.float32)[:, None])
        close(encoder.embed(pixels), module(images).numpy())


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": None, "std": None},
        {"mean": [0.406, 0.456, 0.485], "std": [0.225, 0.224, 0.229]},
        {"pooling": "mean"},
    ],
    ids=["normalisation", "order of channels", "pooling"],
)
def test_the_test_vector_sees_a_wrong_card(tmp_path, wrong):
    module = vit()
    torch.save(module.state_dict(), tmp_path / "w.pth")
    vector = vectors(module, lambda m, x: m(x), known())[0].tolist()
    right = card(test_vector={"values": vector})
    path = str(tmp_path / "w.pth")
    assert load({"card": right, "path": path}, Scope()).dimension == 32
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        load(
            {
                "card": {
                    **{k: v for k, v in right.items() if k not in wrong},
                    **{k: v for k, v in wrong.items() if v is not None},
                },
                "path": path,
            },
            Scope(),
        )


def test_the_test_vector_sees_weights_for_channels_in_another_order(tmp_path):
    module = vit()
    vector = vectors(module, lambda m, x: m(x), known())[0].tolist()
    state = module.state_dict()
    state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flip(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        load(
            {"card": card(test_vector={"values": vector}), "path": str(tmp_path / "w.pth")},
            Scope(),
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "vit_smal_patch16_224"}, r"has no network 'vit_smal_patch16_224'"),
        ({}, "no 'model' in its arguments"),
        ({**VIT, "pretrained": True}, "'pretrained' of card 'tiny' is not for cards"),
        ({**VIT, "num_classes": 5}, "num_classes of card 'tiny' is 5; expected 0"),
        ({**VIT, "mlp_layer": "os.system"}, "mlp_layer is 'os.system'; expected GluMlp"),
        ({**VIT, "no_such": 1}, "cannot make 'vit_small_patch16_224' with .*'no_such'"),
        ({**VIT, "drop": 5}, "drop 5; expected a text, and texts"),
        ({**VIT, "patch_size": 16}, "'pos_embed' is|'patch_embed.proj.weight' is"),
        ({**VIT, "embed_dim": 64}, r"expected \(1, 1, 64\) of timm's vit_small"),
        ({**VIT, "depth": 3}, "misses 'blocks.2.norm1.weight', 'blocks.2.norm1.bias'"),
        ({**VIT, "depth": 1}, "has beside them 'blocks.1.norm1.weight'"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, arguments, message):
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": card(arguments), "path": str(tmp_path / "w.pth")}, Scope())


def test_an_unknown_network_names_the_nearest():
    for name, near in (
        ("vit_smal_patch16_224", "did you mean 'vit_small_patch16_224'"),
        ("resnet50.a1_in1k", "say model: resnet50"),
    ):
        with pytest.raises(InvalidEncoder) as told:
            load({"card": card({"model": name}), "path": "nowhere"}, Scope())
        assert near in told.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "projection"}, "pooling 'projection' and the network gives tokens"),
        ({"height": 40}, r"fails on a batch \(1, 3, 40, 32\)"),
        ({"dimension": 31}, "has 32 values for an image; expected 31"),
        ({"layout": "NHWC"}, "layout NHWC in its card; expected NCHW"),
    ],
)
def test_a_card_of_another_network_is_refused(tmp_path, change, message):
    told = {name: value for name, value in VIT.items() if name != "dynamic_img_size"}
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": card(told, **change), "path": str(tmp_path / "w.pth")}, Scope())


def test_patches_are_not_averaged_where_the_network_normalises_afterwards(tmp_path):
    torch.save(vit(global_pool="avg").state_dict(), tmp_path / "w.pth")
    told = {**VIT, "global_pool": "avg"}
    with pytest.raises(InvalidEncoder, match="normalises after it has pooled"):
        load({"card": card(told, pooling="mean"), "path": str(tmp_path / "w.pth")}, Scope())
    pooled = card(told, pooling="pooled")
    assert load({"card": pooled, "path": str(tmp_path / "w.pth")}, Scope()).dimension == 32


def test_a_network_without_class_token_has_none(tmp_path):
    torch.save(vit(class_token=False, global_pool="").state_dict(), tmp_path / "w.pth")
    told = {**VIT, "class_token": False, "global_pool": ""}
    with pytest.raises(InvalidEncoder, match="pooling 'cls' and the network has no class token"):
        load({"card": card(told), "path": str(tmp_path / "w.pth")}, Scope())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("architecture", "resnet50", "architecture is resnet50; the card 'tiny' says vit_small"),
        ("model_args", {"act_layer": "silu"}, "act_layer is silu; the card 'tiny' says nothing"),
        ("mean", [0.5, 0.5, 0.5], r"mean \[0.5, 0.5, 0.5\]"),
        ("interpolation", "bicubic", "interpolation is bicubic; its card says bilinear"),
        ("auto_map", {"AutoModel": "x.py"}, "asks for code"),
    ],
)
def test_a_folder_that_says_otherwise_than_the_card_is_refused(tmp_path, key, value, message):
    place = saved(vit(), tmp_path / "hub")
    said = json.loads((place / "config.json").read_text())
    (said["pretrained_cfg"] if key in ("mean", "interpolation") else said)[key] = value
    (place / "config.json").write_text(json.dumps(said))
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": card(), "path": str(place)}, Scope())


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path):
    path, sprung = trapped(tmp_path, vit().state_dict())
    with pytest.raises(InvalidEncoder, match="not a checkpoint of tensors alone"):
        load({"card": card(), "path": str(path)}, Scope())
    assert not sprung.exists()


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    state = vit().state_dict()
    state["blocks.0.attn.qkv.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InvalidEncoder, match="a grey image gives NaN or infinity"):
        load({"card": card(), "path": str(tmp_path / "w.pth")}, Scope())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_not_silently_replaced(tmp_path):
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    with pytest.raises(InvalidConfiguration, match="device 'cuda' and torch sees no GPU"):
        load({"card": card(), "path": str(tmp_path / "w.pth"), "device": "cuda"}, Scope())


def test_a_hub_that_cannot_be_reached_says_what_to_place_where(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    wanted = card(source_id="nobody/nothing")
    with pytest.raises(InvalidEncoder, match="the hub does not give 'nobody/nothing'") as told:
        load({"card": wanted}, Scope())
    assert "model.safetensors" in told.value.hint
    with pytest.raises(InvalidEncoder, match="neither 'path' nor a source_id"):
        load({"card": card()}, Scope())


def test_half_the_digits_are_other_vectors_and_another_digest(tmp_path):
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    place = {"card": card(), "path": str(tmp_path / "w.pth")}
    whole = load(place, Scope())
    half = load({**place, "precision": "bfloat16"}, Scope())
    assert whole.digest != half.digest
    pixels = pictures()
    a, b = whole.embed(pixels), half.embed(pixels)
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()


def test_the_card_and_the_weights_are_in_the_digest(tmp_path):
    digests = set()
    for seed in (0, 1):
        torch.save(vit(seed).state_dict(), tmp_path / "w.pth")
        for pooling in ("cls", "mean"):
            place = {"card": card(pooling=pooling), "path": str(tmp_path / "w.pth")}
            digests.add(load(place, Scope()).digest)
    assert len(digests) == 4


def test_the_family_is_registered():
    assert registered("timm", ENCODERS, kind="encoder") is load
