import argparse

import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders.checkpoints import fill, part_of, prefixes  # noqa: E402
from equipoise.encoders.networks import weights  # noqa: E402
from equipoise.errors import InvalidEncoder  # noqa: E402

Q, K = "module.encoder_q.", "module.encoder_k."


def body(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def under(prefix, module):
    return {f"{prefix}{name}": one for name, one in module.state_dict().items()}


def moco(folder):
    """Write a checkpoint as MoCo does: two encoders of one shape, a head each, and a queue."""
    state = {**under(Q, body(1)), **under(K, body(2)), "module.queue": torch.zeros(4, 8)}
    state |= {f"{one}fc.weight": torch.zeros(2) for one in (Q, K)}
    told = {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}}}
    torch.save(told, folder / "moco.pth.tar")
    return weights(folder / "moco.pth.tar", family="torch", extra="train")


def test_of_two_encoders_of_one_shape_the_one_that_is_named_is_taken(tmp_path):
    given = moco(tmp_path)
    for prefix, seed, others in ((Q, 1, K), (K, 2, Q)):
        module = body(9)
        fill(module, given, prefix=prefix, drop=["fc.", others, "module.queue"], where="moco")
        for name, one in body(seed).state_dict().items():
            assert torch.equal(module.state_dict()[name], one), name


def test_a_tensor_beside_the_prefix_is_not_left_out_unsaid(tmp_path):
    given = moco(tmp_path)
    with pytest.raises(InvalidEncoder, match=r"beside the prefix .* 'module.queue'$") as told:
        fill(body(), given, prefix=Q, drop=["fc.", K], where="moco")
    assert "'drop' in the card's arguments" in told.value.hint


def test_a_tensor_within_the_prefix_is_not_left_out_unsaid(tmp_path):
    given = moco(tmp_path)
    with pytest.raises(InvalidEncoder, match=r"has beside them 'fc\.weight'"):
        fill(body(), given, prefix=Q, drop=[K, "module.queue"], where="moco")


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_prefixes_under_which_the_network_is_are_told(tmp_path, prefix):
    with pytest.raises(InvalidEncoder) as told:
        fill(body(), moco(tmp_path), prefix=prefix, where="moco")
    assert told.value.hint == f"say prefix: '{Q}' or '{K}' in the card's arguments"
    if prefix:
        assert "no name begins with the prefix 'backbone.'" in str(told.value)


def test_dropping_what_the_network_needs_is_refused(tmp_path):
    torch.save(body().state_dict(), tmp_path / "w.pt")
    given = weights(tmp_path / "w.pt", family="torch", extra="train")
    with pytest.raises(InvalidEncoder, match=r"misses '0\.weight', '0\.bias'"):
        fill(body(), given, drop=["0."], where="body")


def test_nothing_is_a_prefix_of_a_part_of_the_network():
    assert prefixes(["a.w", "b.w", "b.v"], ["w", "v"]) == ["b."]
    assert prefixes(["a.w"], []) == []


def test_options_of_training_beside_the_weights_are_read_and_left(tmp_path):
    options = argparse.Namespace(model="mae_vit_large_patch16", lr=1e-3)
    torch.save({"model": body(3).state_dict(), "args": options, "epoch": 8}, tmp_path / "mae.pth")
    given = weights(tmp_path / "mae.pth", family="torch", extra="train")
    assert set(given.tensors) == set(body().state_dict())


def test_a_part_keeps_the_digest_of_the_whole_file(tmp_path):
    given = moco(tmp_path)
    part = part_of(given, body().state_dict(), prefix=Q, drop=["fc.", K, "module.queue"])
    assert (part.digest, part.path) == (given.digest, given.path)


def test_a_library_that_says_nothing_is_named_by_its_error(monkeypatch, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"x")

    def fails(*_, **__):
        raise EOFError

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(InvalidEncoder, match=r"not a checkpoint of tensors alone \(EOFError\)"):
        weights(path, family="torch", extra="train")
