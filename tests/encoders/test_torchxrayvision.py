import numpy as np
import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders.libraries import beside_torchvision  # noqa: E402
from equipoise.encoders.torchxrayvision import load  # noqa: E402
from equipoise.errors import InvalidEncoder, MissingExtra  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import close, fields, pictures  # noqa: E402

try:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xrv = beside_torchvision("torchxrayvision", extra="cxr", family="torchxrayvision")
except MissingExtra:
    pytest.skip("torchxrayvision is not installed", allow_module_level=True)

pytestmark = pytest.mark.slow
NAME = "densenet121-res224-all"


@pytest.fixture(scope="module")
def densenet():
    """A network of random weights as the library makes it."""
    torch.manual_seed(0)
    made = xrv.models.DenseNet(num_classes=18, in_channels=1).eval()
    with torch.no_grad():
        for name, one in made.named_buffers():
            if name.endswith("running_var"):
                one.uniform_(0.5, 1.5)
    return made


@pytest.fixture(scope="module")
def file(densenet, tmp_path_factory):
    path = tmp_path_factory.mktemp("xrv") / "weights.pt"
    torch.save(densenet.state_dict(), path)
    return path


def card(**change):
    told = {
        "arguments": {"model": NAME},
        "loader": "torchxrayvision",
        "height": 224,
        "width": 224,
        "channels": 1,
        "value_range": "minus_1024_1024",
        "mean": None,
        "std": None,
        "dimension": 1024,
        "pooling": "pooled",
    }
    return fields(**{**told, **change})


def own(pixels):
    """Return pixels as the library's own function prepares them."""
    return xrv.utils.normalize(pixels.astype(np.float32), 255)[:, None]


def test_vectors_are_those_of_the_library_on_its_own_preparation(densenet, file):
    pixels = pictures(2, 224, 1)
    with torch.inference_mode():
        wanted = densenet.features2(torch.from_numpy(own(pixels))).numpy()
    close(load({"card": card(), "path": str(file)}, Scope()).embed(pixels), wanted)


def test_last_maps_are_averaged_after_their_rectifier(densenet, file):
    pixels = pictures(2, 224, 1)
    with torch.inference_mode():
        maps = torch.relu(densenet.features(torch.from_numpy(own(pixels)))).mean((2, 3)).numpy()
    told = {"card": card(pooling="spatial_mean"), "path": str(file)}
    close(load(told, Scope()).embed(pixels), maps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value_range": "zero_one"}, "value_range: zero_one; expected minus_1024_1024"),
        ({"mean": [0.5], "std": [0.5]}, r"mean: \(0\.5,\); expected None"),
        ({"height": 512}, "height: 512; expected 224"),
        ({"channels": 3}, "channels: 3; expected 1"),
        ({"arguments": {"model": "densenet121-res224-al"}}, "no model 'densenet121-res224-al'"),
        ({"arguments": {"model": NAME, "mood": 1}}, "unknown argument 'mood'"),
    ],
)
def test_a_card_that_the_library_would_silently_undo_is_refused(file, change, message):
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": card(**change), "path": str(file)}, Scope())


def test_the_test_vector_sees_another_pooling(densenet, file):
    from equipoise.encoders import known_image

    pixels = known_image(224, 224)[None]
    with torch.inference_mode():
        vector = densenet.features2(torch.from_numpy(own(pixels))).numpy()[0]
    right = card(test_vector={"values": vector.tolist()})
    assert load({"card": right, "path": str(file)}, Scope()).dimension == 1024
    swapped = {**right, "pooling": "flat", "dimension": 1024 * 49}
    swapped["test_vector"] = {"values": np.resize(vector, 1024 * 49).tolist()}
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        load({"card": swapped, "path": str(file)}, Scope())


def test_a_whole_pickled_model_is_refused_with_the_way_to_convert_it(densenet, tmp_path):
    path = tmp_path / "published.pt"
    torch.save(densenet, path)
    with pytest.raises(InvalidEncoder, match="not a checkpoint of tensors alone") as caught:
        load({"card": card(), "path": str(path)}, Scope())
    assert "state_dict" in str(caught.value.hint)


def test_weights_that_are_not_there_say_whence_and_where(monkeypatch, tmp_path):
    monkeypatch.setattr(xrv.utils, "get_cache_dir", lambda: f"{tmp_path}/")
    with pytest.raises(InvalidEncoder, match=f"no weights of '{NAME}'; expected 'path'") as caught:
        load({"card": card()}, Scope())
    assert "fetch https://" in str(caught.value.hint)
