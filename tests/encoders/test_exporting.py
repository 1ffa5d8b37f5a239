import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from equipoise.encoders import exporting, onnx  # noqa: E402
from equipoise.encoders.exporting import exported, network  # noqa: E402
from equipoise.encoders.libraries import beside_torchvision  # noqa: E402
from equipoise.errors import InvalidConfiguration, InvalidEncoder, MissingExtra  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import fields, pictures  # noqa: E402

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
}
CARD = fields(arguments=VIT, loader="timm", pooling="cls_mean", dimension=64)


def made(tmp_path, card=CARD):
    torch.manual_seed(0)
    told = {name: one for name, one in card["arguments"].items() if name != "model"}
    module = timm.create_model(card["arguments"]["model"], num_classes=0, **told)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    return network("timm", {"card": card, "path": str(tmp_path / "w.pt")}, Scope())


def cosine(one, other):
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / length).min())


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        {**CARD, "pooling": "pooled", "dimension": 32},
        fields(arguments={"model": "resnet10t"}, loader="timm", pooling="pooled", dimension=512),
    ],
)
def test_the_file_gives_torchs_vectors_at_any_batch(tmp_path, card):
    from equipoise.encoders.timm import load

    one = made(tmp_path, card)
    encoder, least = exported(one, tmp_path / "out", Scope())
    assert least >= 0.9999
    reference = load({"card": card, "path": str(tmp_path / "w.pt")}, Scope())
    pixels = pictures(5)
    assert cosine(encoder.embed(pixels), reference.embed(pixels)) > 0.99999
    np.testing.assert_allclose(encoder.embed(pixels[:1]), encoder.embed(pixels)[:1], atol=1e-4)
    assert encoder.engine.startswith("onnxruntime")


def test_its_card_says_how_pixels_are_prepared_and_catches_a_change(tmp_path):
    exported(made(tmp_path), tmp_path / "out", Scope())
    card = yaml.safe_load((tmp_path / "out" / "card.yaml").read_text())
    assert card["mean"] == CARD["mean"]
    assert card["value_range"] == "zero_one"
    assert (card["loader"], card["precision"]) == ("onnx", "float32")
    assert len(card["test_vector"]["values"]) == 64
    path = str(tmp_path / "out" / "encoder.onnx")
    assert onnx.load({"path": path, "card": card}, Scope()).dimension == 64
    for wrong in ({"mean": [0.5, 0.5, 0.5]}, {"value_range": "minus_one_one"}):
        with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
            onnx.load({"path": path, "card": {**card, **wrong}}, Scope())


def test_nothing_of_the_machine_is_in_the_file_and_it_is_the_same_again(tmp_path):
    one = made(tmp_path)
    exported(one, tmp_path / "a", Scope())
    exported(one, tmp_path / "b", Scope())
    content = (tmp_path / "a" / "encoder.onnx").read_bytes()
    assert content == (tmp_path / "b" / "encoder.onnx").read_bytes()
    for trace in (b"site-packages", str(tmp_path).encode(), b".py"):
        assert trace not in content


def test_a_file_that_gives_other_vectors_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    one = made(tmp_path)
    right = exporting._converted(one)
    with torch.no_grad():
        for weight in one.module.parameters():
            weight.add_(torch.randn_like(weight))
    monkeypatch.setattr(exporting, "_converted", lambda _: right)
    with pytest.raises(InvalidEncoder, match="gives other vectors than torch: least cosine"):
        exported(one, tmp_path / "out", Scope())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pt"]


def test_a_network_that_torch_cannot_export_is_said(tmp_path):
    one = made(tmp_path)

    def forward(images):
        raise RuntimeError("no such operator")

    one.module.forward = forward
    with pytest.raises(InvalidEncoder, match=r"torch cannot export this network \(no such operato"):
        exported(one, tmp_path / "out", Scope())


def test_weights_beyond_one_file_are_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_MOST", 1000)
    with pytest.raises(InvalidEncoder, match="GB of weights; one ONNX file holds"):
        exported(made(tmp_path), tmp_path / "out", Scope())


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(InvalidConfiguration, match="holds something"):
        exported(made(tmp_path), tmp_path / "out", Scope())
    assert (tmp_path / "out" / "mine").read_text() == "x"
