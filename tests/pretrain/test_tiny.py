"""A tiny encoder, trained through the real stage: it learns, resumes, exports and embeds."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from equipoise import embed, pretrain  # noqa: E402
from equipoise.embed.options import Options as EmbedOptions  # noqa: E402
from equipoise.encoders import onnx  # noqa: E402
from equipoise.errors import InvalidEncoder  # noqa: E402
from equipoise.pretrain.stage import plan  # noqa: E402
from equipoise.scope import Scope  # noqa: E402
from equipoise.study import execute, stage  # noqa: E402
from equipoise.tables import read_json  # noqa: E402
from equipoise.training import Groups, sampler  # noqa: E402
from equipoise.training.loop import Material, Trained, train  # noqa: E402
from tests.pretrain.made import given  # noqa: E402

TINY = pretrain.Options(
    steps=80, batch=32, size=32, widths=(8, 16, 32), every=20, learning_rate=4e-3,
    group_by=("site",), sampler={"kind": "groups"}, reducer={"kind": "group_dro"},
)  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return given(tmp_path_factory.mktemp("given"), patients=300)


@pytest.fixture(scope="module")
def made(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "pretrain"
    execute(stage("pretrain"), TINY, inputs, folder, Scope(cache=folder.parent / "cache"))
    return folder


@pytest.mark.slow
def test_the_loss_goes_down_and_the_story_says_who_was_seen(made: Path) -> None:
    story = read_json(made / "pretraining.json")
    losses = [entry["loss"] for entry in story["history"]]
    assert losses[-1] < losses[0] - 0.3
    assert [entry["step"] for entry in story["history"]] == [20, 40, 60, 80]
    drawn = story["groups"]["drawn"]
    assert sum(drawn.values()) == 80 * 32
    assert max(drawn.values()) - min(drawn.values()) <= 1
    assert story["groups"]["association"]["site"] == 1.0
    assert set(story["history"][0]["by_group"]) == set(story["groups"]["images"])
    assert sum(story["history"][-1]["group_weights"].values()) == pytest.approx(1.0, abs=1e-5)
    card = yaml.safe_load((made / "card.yaml").read_text())
    named = {f"site={site}": n for site, n in card["groups_seen"]["site"].items()}
    assert named == story["groups"]["images"]
    assert card["training_digest"] == story["data"]["digest"]


@pytest.mark.slow
def test_the_file_gives_what_torch_gives_whatever_stands_beside_an_image(made: Path) -> None:
    assert read_json(made / "pretraining.json")["export"]["least_cosine"] >= 0.9999
    loaded = onnx.load({"path": "encoder.onnx", "card": "card.yaml"}, Scope(base=made))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64)).astype(np.uint8)
    together, alone = loaded.embed(pixels), loaded.embed(pixels[2:3])
    assert together[2] == pytest.approx(alone[0], rel=1e-4, abs=1e-5)
    assert b"/" not in (made / "encoder.onnx").read_bytes()[:40]  # no path of the maker's machine


@pytest.mark.slow
def test_embed_takes_the_encoder_that_the_study_trained_and_its_story(made, inputs, tmp_path):
    found = embed.run(
        EmbedOptions(encoder="pretrained"), {**inputs, "encoder": made}, tmp_path, Scope()
    )
    assert found["dimension"] == 64
    story = (tmp_path / "pretraining.json").read_bytes()
    assert story == (made / "pretraining.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [{"std": [0.5]}, {"mean": [0.0]}, {"value_range": "minus_one_one"}]
)
def test_a_card_with_another_normalisation_is_caught_by_its_test_vector(made, wrong) -> None:
    card = yaml.safe_load((made / "card.yaml").read_text())
    onnx.load({"path": "encoder.onnx", "card": card}, Scope(base=made))
    with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
        onnx.load({"path": "encoder.onnx", "card": {**card, **wrong}}, Scope(base=made))


class Killed(Exception):
    """As by the system, in the middle of a step."""


def material() -> Material:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 32, 32)).astype(np.uint8)
    groups = Groups(("a", "b"), rng.integers(0, 2, 40))
    return Material(pixels, np.arange(40), groups, 0.5, 0.3)


def weights(trained: Trained) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(trained.encoder.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_six_steps_are_three_a_kill_and_three_to_the_last_bit(tmp_path, precision) -> None:
    options = TINY.model_copy(update={"steps": 6, "batch": 16, "every": 3})
    how = dataclasses.replace(plan(options), precision=precision)
    images = material()
    told = {"groups": images.groups, "weights": None, "batch": 16, "seed": 0}
    whole = train(images, how, sampler("groups", **told))
    file = tmp_path / "checkpoint.safetensors"

    def until_killed(step: int) -> np.ndarray:
        if step == 5:  # two steps beyond the checkpoint: they are lost, and done again
            raise Killed
        return sampler("groups", **told)(step)

    with pytest.raises(Killed):
        train(images, how, until_killed, checkpoint=file)
    asked: list[int] = []

    def watched(step: int) -> np.ndarray:
        asked.append(step)
        return sampler("groups", **told)(step)

    again = train(images, how, watched, checkpoint=file)
    assert asked == [3, 4, 5]
    assert weights(again) == weights(whole)
    assert again.history == whole.history
    assert again.seen == whole.seen
    file.write_bytes(file.read_bytes()[:1000])  # torn: it starts again, and gets there too
    assert weights(train(images, how, sampler("groups", **told), checkpoint=file)) == weights(whole)


@pytest.mark.slow
def test_another_seed_gives_other_weights_and_torchs_own_generator_is_left_alone() -> None:
    options = TINY.model_copy(update={"steps": 2, "batch": 16})
    images = material()
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    made = []
    for seed in (0, 0, 1):
        how = dataclasses.replace(plan(options), seed=seed)
        draw = sampler("uniform", groups=images.groups, weights=None, batch=16, seed=seed)
        made.append(weights(train(images, how, draw)))
    assert made[0] == made[1] != made[2]
    assert bool((torch.random.get_rng_state() == before).all())
