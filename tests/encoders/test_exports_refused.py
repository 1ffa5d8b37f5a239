import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from equipoise.encoders import assembling, exporting  # noqa: E402
from equipoise.encoders import onnx as runtime  # noqa: E402
from equipoise.encoders.card import card_of  # noqa: E402
from equipoise.errors import InvalidConfiguration, InvalidEncoder  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from tests.encoders.torches import fields, known, pictures  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def cnn(width: int = 8) -> torch.nn.Module:
    """Return a network as a study's own function would."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, width, 3, stride=2),
        torch.nn.BatchNorm2d(width),
        torch.nn.GELU(),
        torch.nn.Conv2d(width, 16, 3, stride=2),
    )


def card(network="cnn", **change):
    return fields(
        arguments={"network": f"{__name__}:{network}"},
        loader="torch",
        **{"pooling": "spatial_mean", "dimension": 16, **change},
    )


@pytest.fixture
def made(tmp_path):
    """Return what makes a network from a card, with one and the same weights."""
    torch.manual_seed(0)
    torch.save(cnn().state_dict(), tmp_path / "w.pt")

    def make(**change):
        parameters = {"card": card(**change), "path": str(tmp_path / "w.pt")}
        return exporting.network("torch", parameters, Scope())

    return make


def test_the_file_gives_torchs_vectors_for_any_number_of_images(tmp_path, made):
    network = made()
    theirs = assembling.encoder_of(network, {}, Scope())
    encoder, least = exporting.exported(network, tmp_path / "out", Scope())
    assert least >= 0.9999
    for n in (1, 3, 5):
        found, wanted = encoder.embed(pictures(n)), theirs.embed(pictures(n))
        scale = float(np.abs(wanted).max())
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * scale)


def test_the_card_tells_the_preparation_and_is_held_to_its_vector(tmp_path, made):
    exporting.exported(made(), tmp_path / "out", Scope())
    told = yaml.safe_load((tmp_path / "out" / "card.yaml").read_text())
    before = card_of(card(), where="before").preprocessing()
    after = card_of(told, where="after").preprocessing()
    same = ("layout", "height", "width", "channels", "value_range", "mean", "std", "pooling")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (told["loader"], "arguments" in told) == ("onnx", False)
    path = {"path": str(tmp_path / "out" / "encoder.onnx")}
    wrong = ({"mean": [0.5] * 3}, {"std": None}, {"value_range": "minus_one_one"})
    for change in wrong:
        with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
            runtime.load({**path, "card": {**told, **change}}, Scope())


def test_facts_of_the_old_loader_are_not_told_as_verified(tmp_path, made):
    network = made(verified=["licence", "loader", "arguments"])
    encoder, _ = exporting.exported(network, tmp_path / "out", Scope())
    assert encoder.card.verified == ("licence",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": None, "std": None},
        {"mean": [0.406, 0.456, 0.485], "std": [0.225, 0.224, 0.229]},
        {"pooling": "flat", "dimension": 16},
    ],
    ids=["normalisation", "order of channels", "pooling"],
)
def test_a_network_that_misses_its_own_card_is_not_given_another(tmp_path, made, wrong):
    vector = assembling.encoder_of(made(), {}, Scope()).embed(known())[0].tolist()
    exporting.exported(made(test_vector={"values": vector}), tmp_path / "right", Scope())
    with pytest.raises(InvalidEncoder, match=r"test vector of its card is missed|has \d+ values"):
        exporting.exported(made(test_vector={"values": vector}, **wrong), tmp_path / "x", Scope())
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda found: found[:, ::-1].copy(), "least cosine"),
        (lambda found: found * 1.1, r"lengths differ by 10\.00%"),
        (lambda found: found * np.nan, "least cosine nan"),
    ],
    ids=["order", "scale", "no numbers"],
)
def test_a_file_that_gives_other_vectors_is_refused_and_nothing_is_left(
    tmp_path, made, monkeypatch, change, told
):
    from dataclasses import replace

    right = runtime.load

    def lying(parameters, scope):
        encoder = right(parameters, scope)
        return replace(encoder, embed=lambda pixels: change(encoder.embed(pixels)))

    monkeypatch.setattr(exporting.onnx, "load", lying)
    with pytest.raises(InvalidEncoder, match=told):
        exporting.exported(made(), tmp_path / "out", Scope())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["w.pt"]


def test_the_file_tells_nothing_of_the_machine_and_is_the_same_twice(tmp_path, made):
    files = []
    for name in ("a", "b"):
        exporting.exported(made(), tmp_path / name, Scope())
        files.append((tmp_path / name / exporting.FILE).read_bytes())
    assert files[0] == files[1]
    for word in (b"/home", b".py", b"site-packages", str(tmp_path).encode()):
        assert word not in files[0], word


def test_a_folder_that_holds_something_is_left_alone(tmp_path, made):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("mine")
    with pytest.raises(InvalidConfiguration, match="holds something"):
        exporting.exported(made(), tmp_path / "out", Scope())
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["kept"]


class Odd(torch.nn.Module):
    """A network with an operation that the format lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(16, 3))

    def forward(self, images):
        mean = images.mean((2, 3)) @ self.weight.T
        return mean + torch.special.i0(mean)


def odd() -> torch.nn.Module:
    return Odd()


def test_a_network_that_cannot_be_exported_says_why(tmp_path):
    torch.save(odd().state_dict(), tmp_path / "w.pt")
    told = card("odd", pooling="pooled")
    network = exporting.network("torch", {"card": told, "path": str(tmp_path / "w.pt")}, Scope())
    with pytest.raises(InvalidEncoder, match="torch cannot export this network") as error:
        exporting.exported(network, tmp_path / "out", Scope())
    assert "loader torch itself" in error.value.hint
    assert not (tmp_path / "out").exists()
