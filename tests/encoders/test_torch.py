import sys
import types
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders.torch import load  # noqa: E402
from equipoise.errors import InvalidConfiguration, InvalidEncoder, UnknownName  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import by_hand, close, fields, known, pictures, trapped  # noqa: E402


def tokens(width: int = 8, seed: int = 3):
    """Return a network that gives a class token and 16 patches, as checkpoints of MAE do."""
    torch.manual_seed(seed)
    made = torch.nn.Module()
    made.patches = torch.nn.Conv2d(3, width, 8, 8)
    made.cls = torch.nn.Parameter(torch.randn(1, 1, width))
    made.norm = torch.nn.LayerNorm(width)

    def forward(images):
        found = made.patches(images).flatten(2).transpose(1, 2)  # (b, 16, width)
        first = made.cls.expand(len(found), -1, -1) + found.mean(1, keepdim=True)
        return made.norm(torch.cat([first, found], 1))

    made.forward = forward
    return made.eval()


def maps(width: int = 8):
    return torch.nn.Sequential(torch.nn.Conv2d(3, width, 8, 8), torch.nn.GELU())


@pytest.fixture(autouse=True)
def mine(monkeypatch):
    """The module of a user, with his own networks."""
    module = types.ModuleType("mynets")
    module.tokens, module.maps, module.nothing = tokens, maps, lambda: "no network"
    monkeypatch.setitem(sys.modules, "mynets", module)


def card(network="mynets:tokens", dimension=8, **change):
    said = {"network": network, **change.pop("arguments", {})}
    return fields(loader="torch", arguments=said, dimension=dimension, **change)


def kept(tmp_path, state):
    path = tmp_path / "w.pth"
    torch.save(state, path)
    return path


def theirs(module, call, pixels):
    with torch.inference_mode():
        return call(module(torch.from_numpy(by_hand(pixels)))).numpy()


@pytest.mark.parametrize(
    ("pooling", "dimension", "call"),
    [
        ("cls", 8, lambda out: out[:, 0]),
        ("mean", 8, lambda out: out[:, 1:].mean(1)),
        ("cls_mean", 16, lambda out: torch.cat([out[:, 0], out[:, 1:].mean(1)], 1)),
    ],
)
@pytest.mark.parametrize("wrapped", ["model", "teacher", "state_dict", None])
def test_a_checkpoint_of_training_gives_the_networks_own_vectors(
    tmp_path, pooling, dimension, call, wrapped
):
    module, pixels = tokens(seed=5), pictures()
    state = {f"module.backbone.{name}": one for name, one in module.state_dict().items()}
    state["decoder.weight"] = torch.zeros(2)
    path = kept(tmp_path, {wrapped: state, "epoch": 3} if wrapped else state)
    said = {"prefix": "module.backbone.", "prefix_tokens": 1, "drop": ["decoder."]}
    told = {"card": card(dimension=dimension, pooling=pooling, arguments=said), "path": str(path)}
    close(load(told, Scope()).embed(pixels), theirs(module, call, pixels))


def test_maps_are_averaged_over_their_places(tmp_path):
    module, pixels = maps().eval(), pictures()
    path = kept(tmp_path, module.state_dict())
    told = {"card": card("mynets:maps", pooling="spatial_mean"), "path": str(path)}
    close(load(told, Scope()).embed(pixels), theirs(module, lambda out: out.mean((2, 3)), pixels))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": [0.5, 0.5, 0.5]},
        {"value_range": "minus_one_one"},
        {"pooling": "mean"},
        {"mean": [0.406, 0.456, 0.485], "std": [0.225, 0.224, 0.229]},
    ],
)
def test_the_test_vector_sees_wrong_normalisation_pooling_and_order_of_channels(tmp_path, wrong):
    module = tokens(seed=5)
    path = str(kept(tmp_path, module.state_dict()))
    vector = theirs(module, lambda out: out[:, 0], known())[0]
    said = {"prefix_tokens": 1}
    right = card(pooling="cls", arguments=said, test_vector={"values": vector.tolist()})
    assert load({"card": right, "path": path}, Scope()).dimension == 8
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        load({"card": {**right, **wrong}, "path": path}, Scope())


@pytest.mark.parametrize(
    "same",
    [{}, {"mean": [0.5] * 3, "std": [0.5] * 3}, {"value_range": "min_max"}],
    ids=["a mean each", "one mean", "each image stretched"],
)
def test_the_test_vector_sees_weights_for_channels_in_another_order(tmp_path, same):
    module = maps().eval()
    path = str(kept(tmp_path, module.state_dict()))
    told = card("mynets:maps", pooling="spatial_mean", **same)
    vector = load({"card": told, "path": path}, Scope()).embed(known())[0].tolist()
    told["test_vector"] = {"values": vector}
    assert load({"card": told, "path": path}, Scope()).dimension == 8
    state = module.state_dict()
    for order in ([2, 1, 0], [1, 0, 2], [0, 2, 1]):
        turned = kept(tmp_path, {**state, "0.weight": state["0.weight"][:, order].clone()})
        with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
            load({"card": told, "path": str(turned)}, Scope())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "cls"}, "misses 'cls'"),
        (lambda s: {**s, "head.weight": torch.zeros(1)}, r"has beside them 'head\.weight'"),
        (lambda s: {**s, "cls": torch.zeros(1, 1, 9)}, r"'cls' is \(1, 1, 9\); expected \(1, 1, 8"),
    ],
)
def test_keys_that_are_missing_unexpected_or_of_another_shape_are_named(tmp_path, change, message):
    path = kept(tmp_path, change(tokens().state_dict()))
    said = {"prefix_tokens": 1}
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": card(pooling="cls", arguments=said), "path": str(path)}, Scope())


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        ("mynets:absent", UnknownName, "absent"),
        ("mynets:nothing", InvalidEncoder, r"gives str; expected a torch\.nn\.Module"),
    ],
)
def test_what_makes_no_network_is_said(tmp_path, network, error, message):
    path = kept(tmp_path, tokens().state_dict())
    with pytest.raises(error, match=message):
        load({"card": card(network), "path": str(path)}, Scope())


def test_arguments_that_the_function_does_not_take_are_said(tmp_path):
    path = kept(tmp_path, tokens().state_dict())
    with pytest.raises(InvalidEncoder, match=r"cannot be made with \['depht'\]"):
        load({"card": card(arguments={"depht": 2}), "path": str(path)}, Scope())


def test_tokens_before_the_patches_are_a_number(tmp_path):
    path = kept(tmp_path, tokens().state_dict())
    with pytest.raises(InvalidEncoder, match="prefix_tokens is 'one'"):
        load({"card": card(arguments={"prefix_tokens": "one"}), "path": str(path)}, Scope())


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path):
    path, sprung = trapped(tmp_path, tokens().state_dict())
    with pytest.raises(InvalidEncoder, match="not a checkpoint of tensors alone"):
        load({"card": card(), "path": str(path)}, Scope())
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "NaN"), (0.0, "give the same vector")]
)
def test_vectors_that_are_constant_or_no_numbers_are_refused(tmp_path, value, message):
    state = maps().state_dict()
    state["0.weight"] = torch.full_like(state["0.weight"], value)
    told = card("mynets:maps", pooling="spatial_mean")
    with pytest.raises(InvalidEncoder, match=message):
        load({"card": told, "path": str(kept(tmp_path, state))}, Scope())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_not_silently_replaced(tmp_path):
    path = kept(tmp_path, tokens().state_dict())
    with pytest.raises(InvalidConfiguration, match="torch sees no GPU"):
        load({"card": card(), "path": str(path), "device": "cuda"}, Scope())


def test_memory_that_runs_out_halves_the_batch_and_says_so(monkeypatch):
    """On no GPU here: the error is torch's own, raised above four images."""
    from equipoise.encoders import networks

    def run(values):
        if len(values) > 4:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return np.asarray(values[:, :1], np.float32)

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    halving = networks._halving(run, torch)
    values = np.arange(22.0).reshape(11, 2)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = halving(values)
    assert "a batch of 11 images does not fit the memory of the GPU" in str(said[0].message)
    np.testing.assert_array_equal(found, values[:, :1])


def test_one_image_that_does_not_fit_is_an_error(monkeypatch):
    from equipoise.encoders import networks

    def run(values):
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    with pytest.raises(InvalidEncoder, match="one image does not fit"):
        networks._halving(run, torch)(np.zeros((1, 2)))
