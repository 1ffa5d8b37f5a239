import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

from equipoise.encoders.monai import load  # noqa: E402
from equipoise.errors import InvalidEncoder  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import close, fields  # noqa: E402

SIZE = (8, 16, 16)
SEGRES = {"network": "SegResEncoder", "init_filters": 4, "blocks_down": [1, 1]}
VIT = {
    "network": "ViT",
    "patch_size": [4, 8, 8],
    "hidden_size": 12,
    "mlp_dim": 24,
    "num_layers": 2,
    "num_heads": 3,
    "classification": True,
}
RESNET = {
    "network": "ResNet",
    "block": "basic",
    "layers": [1, 1, 1, 1],
    "block_inplanes": [4, 8, 8, 12],
}


def made(said):
    """Return a network as MONAI makes it, with random weights."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.networks import nets
        from monai.networks.nets.segresnet_ds import SegResEncoder

        told = {name: one for name, one in said.items() if name != "network"}
        torch.manual_seed(0)
        if said["network"] == "SegResEncoder":
            return SegResEncoder(spatial_dims=3, in_channels=1, **told).eval()
        if said["network"] == "ViT":
            return nets.ViT(spatial_dims=3, in_channels=1, img_size=SIZE, **told).eval()
        return nets.ResNet(spatial_dims=3, n_input_channels=1, **told).eval()


def card(said, dimension, pooling, **change):
    told = {
        "loader": "monai",
        "arguments": said,
        "layout": "NCDHW",
        "depth": SIZE[0],
        "height": SIZE[1],
        "width": SIZE[2],
        "channels": 1,
        "mean": None,
        "std": None,
        "dimension": dimension,
        "pooling": pooling,
    }
    return fields(**{**told, **change})


def volumes(n=2):
    return np.random.default_rng(1).integers(0, 256, (n, *SIZE), dtype=np.uint8)


def saved(module, folder):
    torch.save({"state_dict": module.state_dict()}, folder / "w.pt")
    return str(folder / "w.pt")


def tokens(net, x):
    del net.classification_head  # or it would give classes
    return net(x)[0]


def resnet(net, x):
    net.fc = None
    return net(x)


@pytest.mark.parametrize(
    ("said", "dimension", "pooling", "call"),
    [
        (SEGRES, 8, "spatial_mean", lambda net, x: net(x)[-1].mean((2, 3, 4))),
        (VIT, 12, "cls", lambda net, x: tokens(net, x)[:, 0]),
        (VIT, 12, "mean", lambda net, x: tokens(net, x)[:, 1:].mean(1)),
        (VIT, 24, "cls_mean", lambda net, x: cls_mean(tokens(net, x))),
        (RESNET, 12, "pooled", resnet),
    ],
)
def test_vectors_are_those_of_the_library(tmp_path, said, dimension, pooling, call):
    module, pixels = made(said), volumes()
    path = saved(module, tmp_path)
    values = torch.from_numpy((pixels[:, None] / 255.0).astype(np.float32))
    with torch.inference_mode():
        wanted = call(module, values).numpy()
    told = {"card": card(said, dimension, pooling), "path": path}
    close(load(told, Scope()).embed(pixels), wanted)


def cls_mean(tokens):
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)


def test_the_test_vector_sees_a_wrong_range_and_an_axis_that_is_turned(tmp_path):
    from equipoise.encoders.known import known_volume

    module = made(SEGRES)
    path = saved(module, tmp_path)
    volume = known_volume(*SIZE)[None, None] / 255.0
    with torch.inference_mode():
        vector = module(torch.from_numpy(volume.astype(np.float32)))[-1].mean((2, 3, 4))[0]
    right = card(SEGRES, 8, "spatial_mean", test_vector={"values": vector.tolist()})
    assert load({"card": right, "path": path}, Scope()).dimension == 8
    for wrong in ({"value_range": "minus_one_one"}, {"depth": 16, "height": 8}):
        with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
            load({"card": {**right, **wrong}, "path": path}, Scope())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arguments": {**SEGRES, "network": "SegResEncodr"}}, "no network 'SegResEncodr'"),
        ({"arguments": {**SEGRES, "in_channels": 2}}, "argument 'in_channels'"),
        ({"arguments": {**SEGRES, "pretrained": True}}, "argument 'pretrained'"),
        ({"arguments": {**SEGRES, "init_filters": 8}}, "expected"),
        ({"depth": None}, "no depth in its card"),
        ({"pooling": "cls"}, "pooling 'cls' and the network gives maps"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, change, message):
    path = saved(made(SEGRES), tmp_path)
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": {**card(SEGRES, 8, "spatial_mean"), **change}, "path": path}, Scope())


def test_pictures_of_one_slice_are_not_taken_for_volumes(tmp_path):
    told = {"card": card(SEGRES, 8, "spatial_mean"), "path": saved(made(SEGRES), tmp_path)}
    encoder = load(told, Scope())
    with pytest.raises(InvalidEncoder, match="expected volumes"):
        encoder.embed(np.zeros((2, 16, 16), np.uint8))


def test_volumes_of_another_size_are_resized(tmp_path):
    told = {"card": card(SEGRES, 8, "spatial_mean"), "path": saved(made(SEGRES), tmp_path)}
    encoder = load(told, Scope())
    coarse = np.full((1, 4, 8, 8), 90, np.uint8)
    np.testing.assert_allclose(
        encoder.embed(coarse), encoder.embed(np.full((1, *SIZE), 90, np.uint8)), rtol=1e-5
    )
