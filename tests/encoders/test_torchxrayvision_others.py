import numpy as np
import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders import torchxrayvision as family  # noqa: E402
from equipoise.encoders.libraries import library  # noqa: E402
from equipoise.encoders.torchxrayvision import load  # noqa: E402
from equipoise.errors import InvalidEncoder, MissingExtra  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import close, fields, pictures  # noqa: E402

try:
    xrv = family._xrv()
except MissingExtra:
    pytest.skip("torchxrayvision is not installed", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
RESNET, AUTO = "resnet50-res512-all", "101-elastic"


def card(model, side, dimension, pooling, **change):
    told = {"arguments": {"model": model}, "loader": "torchxrayvision", "height": side}
    told |= {"width": side, "channels": 1, "value_range": "minus_1024_1024", "mean": None}
    told |= {"std": None, "dimension": dimension, "pooling": pooling}
    return fields(**{**told, **change})


def own(pixels):
    return torch.from_numpy(xrv.utils.normalize(pixels.astype(np.float32), 255)[:, None])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Make the library's cache a folder of this test."""
    monkeypatch.setattr(xrv.utils, "get_cache_dir", lambda: f"{tmp_path}/")
    return tmp_path


def resnet(cache):
    """Write a ResNet-50 of random weights where and as the library keeps its own."""
    torch.manual_seed(0)
    made = library("torchvision", extra="cxr", family="x").models.resnet50(
        weights=None, num_classes=18
    )
    made.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    name = xrv.models.model_urls[RESNET]["weights_url"].rsplit("/", 1)[1]
    torch.save(made.state_dict(), cache / name)
    return xrv.models.ResNet(weights=RESNET, cache_dir=str(cache)).eval()


@pytest.mark.parametrize("pooling", ["pooled", "spatial_mean"])
def test_a_resnet_in_the_librarys_cache_gives_the_librarys_vectors(cache, pooling):
    theirs, pixels = resnet(cache), pictures(1, 512, 1)
    with torch.inference_mode():
        wanted = theirs.features(own(pixels)).numpy()
    close(load({"card": card(RESNET, 512, 2048, pooling)}, Scope()).embed(pixels), wanted)


@pytest.fixture(scope="module")
def autoencoder():
    torch.manual_seed(0)
    made = library("torchxrayvision.autoencoders", extra="cxr", family="x").ResNetAE101().eval()
    with torch.no_grad():
        for name, one in made.named_buffers():
            if name.endswith("running_var"):
                one.uniform_(0.8, 1.2)
    return made


@pytest.fixture(scope="module")
def path(autoencoder, tmp_path_factory):
    found = tmp_path_factory.mktemp("ae") / "ae.pt"
    torch.save(autoencoder.state_dict(), found)
    return str(found)


@pytest.mark.parametrize(
    ("pooling", "dimension", "call"),
    [
        ("spatial_mean", 512, lambda maps: maps.mean((2, 3))),
        ("flat", 512 * 9, lambda maps: maps.flatten(1)),
    ],
)
def test_an_autoencoder_is_taken_without_its_decoder(autoencoder, path, pooling, dimension, call):
    pixels = pictures(2, 224, 1)
    with torch.inference_mode():
        wanted = call(autoencoder.encode(own(pixels))).numpy()
    found = load({"card": card(AUTO, 224, dimension, pooling), "path": path}, Scope())
    close(found.embed(pixels), wanted)


def test_an_autoencoder_has_no_pooling_of_its_own(path):
    with pytest.raises(InvalidEncoder, match="the autoencoder pools nothing"):
        load({"card": card(AUTO, 224, 512, "pooled"), "path": path}, Scope())


def known_vector(autoencoder):
    from equipoise.encoders import known_image

    with torch.inference_mode():
        return autoencoder.encode(own(known_image(224, 224)[None])).numpy()[0]


def test_the_test_vector_sees_weights_of_the_opposite_grey_scale(autoencoder, path, tmp_path):
    vector = known_vector(autoencoder).mean((1, 2)).tolist()
    right = card(AUTO, 224, 512, "spatial_mean", test_vector={"values": vector})
    assert load({"card": right, "path": path}, Scope()).dimension == 512
    state = dict(autoencoder.state_dict())
    state["conv1.weight"] = -state["conv1.weight"]  # as of training on inverted radiographs
    torch.save(state, tmp_path / "inverted.pt")
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        load({"card": right, "path": str(tmp_path / "inverted.pt")}, Scope())


def test_a_tensor_that_is_of_no_part_of_the_library_is_refused(autoencoder, tmp_path):
    torch.save({**autoencoder.state_dict(), "adapter.weight": torch.ones(1)}, tmp_path / "w.pt")
    told = {"card": card(AUTO, 224, 512, "spatial_mean"), "path": str(tmp_path / "w.pt")}
    with pytest.raises(InvalidEncoder, match=r"has beside them 'adapter\.weight'"):
        load(told, Scope())
