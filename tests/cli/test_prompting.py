"""The command ``zeroshot``: scores of texts alone, and how far they hang on the words."""

import numpy as np
import polars as pl
import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("transformers")

from equipoise.encoders import text_tower, transformers, zero_shot
from equipoise.encoders.prompts import PromptSet
from equipoise.scope import Scope
from equipoise.tables import COHORT, EMBEDDINGS, PREDICTIONS, metadata, read, write
from tests.cli.test_command_line import call
from tests.encoders.hub_folders import FIELDS, SIDE, save_clip_tokeniser, saved

CARD = {**FIELDS, "pooling": "projection", "dimension": 12, "loader": "transformers"}
PROMPTS = {
    "name": "lungs",
    "findings": {"edema": {"positive": ["edema", "wet"], "negative": ["no edema", "dry"]}},
}
N = 160


def study(folder, **card):
    """Write model, embeddings, cohort and prompts, and return the words of the command."""
    saved(folder / "model", "CLIPModel")
    save_clip_tokeniser(folder / "model")
    parameters = {"path": str(folder / "model"), "card": {**CARD, **card}}
    encoder = transformers.load(parameters, Scope())
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
    ids = [f"i{n:03}" for n in range(N)]
    shape = pl.Array(pl.Float32, encoder.dimension)
    vectors = pl.Series("vector", encoder.embed(pixels), dtype=shape)
    said = {"card": encoder.card.summary(), "digest": encoder.digest}
    said |= {"precision": encoder.precision}
    table = pl.DataFrame({"image_id": ids}).with_columns(vectors)
    write(table, folder / "embeddings.parquet", EMBEDDINGS, more=said)
    people = {"image_id": ids, "patient_id": ids, "site": ["a"] * N, "sex": ["F", "M"] * (N // 2)}
    cohort = pl.DataFrame({**people, "label:edema": rng.random(N) < 0.5})
    write(cohort, folder / "cohort.parquet", COHORT)
    (folder / "prompts.yaml").write_text(yaml.safe_dump(PROMPTS))
    words = ["zeroshot", str(folder / "embeddings.parquet")]
    words += ["--prompts", str(folder / "prompts.yaml"), "--path", str(folder / "model")]
    return [*words, "--out", str(folder / "out")], table, parameters


def test_predictions_and_the_spread_over_prompts_are_written(capsys, tmp_path):
    words, table, parameters = study(tmp_path)
    more = ["--cohort", str(tmp_path / "cohort.parquet"), "--by", "sex=F,M", "--minimum", "20"]
    code, out, err = call(capsys, *words, *more)
    assert code == 0, err
    found = read(tmp_path / "out" / "predictions.parquet", PREDICTIONS)
    prompts = PromptSet.model_validate(PROMPTS)
    told = zero_shot(table, text_tower("transformers", parameters, Scope()), prompts)
    assert found.equals(told)
    said = metadata(tmp_path / "out" / "predictions.parquet")
    assert said["prompts"] == prompts.digest()
    assert said["candidate"] == "zero-shot"
    spread = pl.read_csv(tmp_path / "out" / "prompt_sensitivity.csv")
    assert spread["n_prompts"].to_list() == [2] * 5
    assert "edema: gaps of AUROC by prompt" in out
    assert "tuned on what is audited" in err


def test_without_a_cohort_only_scores_are_written(capsys, tmp_path):
    words, _, _ = study(tmp_path)
    code, out, _ = call(capsys, *words)
    assert (code, out) == (0, "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.parquet"]


def test_embeddings_of_another_model_are_refused(capsys, tmp_path):
    words, _, _ = study(tmp_path)
    saved(tmp_path / "model", "CLIPModel", preprocessor=None, seed=1)
    code, _, err = call(capsys, *words)
    assert code == 2
    assert "is not of the model of the text tower 'tiny'" in err


def test_embeddings_that_were_not_projected_are_refused(capsys, tmp_path):
    words, _, _ = study(tmp_path, pooling="pooled", dimension=16)
    code, _, err = call(capsys, *words)
    assert code == 2
    assert "16 as the card says of its images" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--by", "sex=F,M"], "--cohort and --by: expected both, or neither"),
        (["--family", "onnx"], "no text tower 'onnx'; known: open_clip, transformers"),
        (["--prompts", "nowhere.yaml"], "prompts nowhere.yaml: no such file"),
    ],
)
def test_what_is_said_wrongly_is_named(capsys, tmp_path, more, message):
    words, _, _ = study(tmp_path)
    code, _, err = call(capsys, *words, *more)
    assert code == 2
    assert message in err
