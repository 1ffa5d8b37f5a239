import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("einops")

from equipoise.encoders.known import known_volume  # noqa: E402
from equipoise.encoders.monai import load  # noqa: E402
from equipoise.errors import InvalidEncoder  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import close, fields  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIDE, DEEPEST = 32, 192
SWIN = {
    "network": "SwinTransformer",
    "embed_dim": 12,
    "window_size": [2, 2, 2],
    "patch_size": [2, 2, 2],
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "prefix": "swinViT.",
    "drop": ["encoder", "decoder", "out."],
}


@pytest.fixture(scope="module")
def unetr():
    """The whole network for segmentation, as MONAI publishes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.networks.nets import SwinUNETR

        torch.manual_seed(0)
        told = {"depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2), "window_size": 2}
        return SwinUNETR(in_channels=1, out_channels=2, feature_size=12, **told).eval()


@pytest.fixture(scope="module")
def path(unetr, tmp_path_factory):
    found = tmp_path_factory.mktemp("swin") / "w.pt"
    torch.save({"state_dict": unetr.state_dict(), "epoch": 5}, found)
    return str(found)


def card(said=SWIN, **change):
    told = {"depth": SIDE, "height": SIDE, "width": SIDE, "layout": "NCDHW", "channels": 1}
    told |= {"mean": None, "std": None, "dimension": DEEPEST, "pooling": "spatial_mean"}
    return fields(loader="monai", arguments=said, **{**told, **change})


def vectors(unetr, pixels):
    values = torch.from_numpy((pixels[:, None] / 255.0).astype(np.float32))
    with torch.inference_mode():
        return unetr.swinViT(values, unetr.normalize)[-1].mean((2, 3, 4)).numpy()


def test_vectors_are_those_of_the_encoder_within_swinunetr(unetr, path):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (2, SIDE, SIDE, SIDE), dtype=np.uint8)
    pixels[:, :, :8] = 0  # or the mean over places of noise is nearly the same each time
    close(load({"card": card(), "path": path}, Scope()).embed(pixels), vectors(unetr, pixels))


def test_its_other_half_is_not_left_out_unsaid(path):
    said = {**SWIN, "drop": ["encoder", "decoder"]}
    with pytest.raises(InvalidEncoder, match=r"beside the prefix 'swinViT\.' 'out\.conv"):
        load({"card": card(said), "path": path}, Scope())
    with pytest.raises(InvalidEncoder) as told:
        load({"card": card({**SWIN, "prefix": ""}), "path": path}, Scope())
    assert told.value.hint == "say prefix: 'swinViT.' in the card's arguments"


def turned(path, folder):
    """Write the same weights with height and width of the first patches changed for one another."""
    state = torch.load(path, weights_only=True)["state_dict"]
    name = "swinViT.patch_embed.proj.weight"
    torch.save({**state, name: state[name].transpose(3, 4).contiguous()}, folder / "turned.pt")
    return str(folder / "turned.pt")


def test_the_test_vector_sees_range_order_of_axes_and_pooling(unetr, path, tmp_path):
    vector = vectors(unetr, known_volume(SIDE, SIDE, SIDE)[None])[0]
    right = card(test_vector={"values": vector.tolist()})
    assert load({"card": right, "path": path}, Scope()).dimension == DEEPEST
    wrong = [
        ({**right, "value_range": "minus_one_one"}, path),
        (right, turned(path, tmp_path)),
        ({**right, "mean": [0.5], "std": [0.5]}, path),
    ]
    for told, place in wrong:
        with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
            load({"card": told, "path": place}, Scope())
    flat = {**right, "pooling": "flat", "depth": SIDE * 2}
    with pytest.raises(InvalidEncoder, match=f"has {DEEPEST * 2} values for an image"):
        load({"card": flat, "path": path}, Scope())
