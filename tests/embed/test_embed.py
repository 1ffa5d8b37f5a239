import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise import embed, evidence, tables
from equipoise.embed import shards
from equipoise.encoders import Encoder, card_of, catalogue
from equipoise.errors import (
    InvalidConfiguration,
    InvalidEncoder,
    InvalidTable,
    Refused,
    StorageFailure,
    UnknownName,
)
from equipoise.scope import Scope
from tests.encoders.models import model
from tests.encoders.test_card import FIELDS


class Counting:
    """An encoder's function that counts its images, and may be killed after some."""

    def __init__(self, *, killed_after=None):
        self.seen = 0
        self.killed_after = killed_after

    def __call__(self, pixels):
        if self.killed_after is not None and self.seen >= self.killed_after:
            raise KeyboardInterrupt
        self.seen += len(pixels)
        return pixels.reshape(len(pixels), -1).astype(np.float32)


def encoder(function, **change):
    card = card_of(FIELDS, where="card")
    made = Encoder("counting", "d" * 64, "numpy 1", "float32", 16, card, function)
    return replace(made, **change)


def images(n=20, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 4, 4), dtype=np.uint8)
    index = {
        "image_id": [f"i{i:02d}" for i in range(n)],
        "row": list(range(n)),
        "pixel_digest": [hashlib.sha256(p.tobytes()).hexdigest() for p in pixels],
    }
    return tables.ImageCache(pl.DataFrame(index), pixels)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("equipoise.embed.vectors.SIZE", 4)


def embedded(cache, function, **more):
    ids = cache.index["image_id"].to_list()
    return embed.embeddings(ids, cache, encoder(function), batch_size=2, **more)


def test_every_image_has_its_own_vector_in_the_order_of_ids():
    cache = images()
    ids = cache.index["image_id"].to_list()[::-1]
    table = embed.embeddings(ids, cache, encoder(Counting()), batch_size=3)
    assert table["image_id"].to_list() == sorted(ids)
    np.testing.assert_array_equal(table["vector"].to_numpy(), cache.pixels.reshape(20, 16))
    assert table["vector"].dtype == pl.Array(pl.Float32, 16)


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(tmp_path, small_shards):
    cache, whole = images(), embedded(images(), Counting())
    killed = Counting(killed_after=10)
    with pytest.raises(KeyboardInterrupt):
        embedded(cache, killed, store=tmp_path)
    rest = Counting()
    table = embedded(cache, rest, store=tmp_path)
    assert rest.seen == 12  # two shards of four were whole; the third was lost
    assert table.equals(whole)
    again = Counting()
    assert embedded(cache, again, store=tmp_path).equals(whole)
    assert again.seen == 0


def test_a_torn_shard_is_embedded_again(tmp_path, small_shards):
    cache, whole = images(), embedded(images(), Counting())
    embedded(cache, Counting(), store=tmp_path)
    kept = sorted(tmp_path.rglob("*.parquet"))
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    kept[1].write_bytes(b"")
    rest = Counting()
    assert embedded(cache, rest, store=tmp_path).equals(whole)
    assert rest.seen == 8


def test_a_shard_of_another_length_or_with_nan_is_passed_over(tmp_path):
    shards.keep(tmp_path, ["a"], np.ones((1, 3), np.float32))
    shards.keep(tmp_path, ["b"], np.full((1, 2), np.nan, np.float32))
    shards.keep(tmp_path, ["c"], np.ones((1, 2), np.float32))
    found = [names for names, _ in shards.kept(tmp_path, {"a", "b", "c"}, dimension=2)]
    assert found == [["c"]]


def test_another_encoder_or_engine_does_not_use_what_is_kept(tmp_path):
    cache = images()
    ids = cache.index["image_id"].to_list()
    embedded(cache, Counting(), store=tmp_path)
    for change in ({"digest": "e" * 64}, {"engine": "numpy 2"}, {"precision": "int8"}):
        function = Counting()
        embed.embeddings(ids, cache, encoder(function, **change), store=tmp_path)
        assert function.seen >= 20, change


def test_the_same_pixels_are_embedded_once():
    cache = images(n=8)
    pixels = np.concatenate([cache.pixels] * 3)
    index = pl.DataFrame(
        {
            "image_id": [f"i{i:02d}" for i in range(24)],
            "row": list(range(24)),
            "pixel_digest": cache.index["pixel_digest"].to_list() * 3,
        }
    )
    function = Counting()
    table = embedded(tables.ImageCache(index, pixels), function)
    assert function.seen == 8
    np.testing.assert_array_equal(table["vector"].to_numpy(), pixels.reshape(24, 16))


def test_every_batch_has_the_same_size():
    sizes = []

    def noted(pixels):
        sizes.append(len(pixels))
        return pixels.reshape(len(pixels), -1).astype(np.float32)

    cache = images(n=7)
    embed.embeddings(cache.index["image_id"].to_list(), cache, encoder(noted), batch_size=4)
    assert sizes == [4, 4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_refused_and_not_kept(tmp_path, bad):
    def broken(pixels):
        found = pixels.reshape(len(pixels), -1).astype(np.float32)
        found[0, 3] = bad
        return found

    with pytest.raises(InvalidEncoder, match="'counting': 1 of 2 vectors of a batch hold NaN or"):
        embedded(images(), broken, store=tmp_path)
    assert list(tmp_path.rglob("*.parquet")) == []


def test_the_same_vector_for_all_images_is_refused():
    with pytest.raises(InvalidEncoder, match="20 different images have the same vector"):
        embedded(images(), lambda pixels: np.ones((len(pixels), 16), np.float32))


def test_one_image_alone_may_have_any_vector():
    assert embedded(images(n=1), Counting()).height == 1


def test_vectors_of_another_length_are_refused():
    with pytest.raises(InvalidEncoder, match=r"gave \(2, 3\) for 2 images; expected \(2, 16\)"):
        embedded(images(), lambda pixels: np.ones((len(pixels), 3), np.float32))


def test_an_image_without_pixels_is_named():
    with pytest.raises(InvalidTable, match="1 images are missing, as 'zz'"):
        embed.embeddings(["i00", "zz"], images(), encoder(Counting()))


def test_progress_counts_different_images():
    told = []
    embedded(images(), Counting(), progress=lambda *said: told.append(said))
    assert told[0] == ("images", 0, 20)
    assert told[-1] == ("images", 20, 20)


def stage(folder, **options):
    cache = images()
    for name in ("cohort", "images", "out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ids = cache.index["image_id"]
    cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "site": ["s"] * 20})
    tables.write(cohort, folder / "cohort" / "cohort.parquet", tables.COHORT)
    tables.write(cache.index, folder / "images" / "images.parquet", tables.IMAGE_CACHE)
    np.save(folder / "images" / "images.npy", cache.pixels)
    (folder / "tiny.onnx").write_bytes(model())
    asked = {
        "encoder": "onnx",
        "parameters": {"path": "tiny.onnx", "card": {**FIELDS, "training_data": "none"}},
        **options,
    }
    inputs = {name: folder / name for name in ("cohort", "images")}
    scope = Scope(base=folder, cache=folder / "cache")
    return embed.run(embed.Options(**asked), inputs, folder / "out", scope)


def test_the_stage_says_which_encoder_made_the_vectors(tmp_path):
    result = stage(tmp_path)
    path = tmp_path / "out" / "embeddings.parquet"
    table = tables.read(path, tables.EMBEDDINGS)
    said = tables.metadata(path)
    assert table.height == 20
    for name in ("encoder", "digest", "engine", "precision", "card"):
        assert said[name] == result[name]
    assert (result["images"], result["distinct"], result["dimension"]) == (20, 20, 16)
    card = result["card"]
    assert (card["licence"], card["training_data"]) == ("Apache-2.0", "none")


BARRED = {
    "research_only": True,
    "clauses": {"research_only": "card, 'Uses': not for patients"},
}


@pytest.mark.parametrize("use", ["clinical", "commercial"])
def test_a_use_that_the_licence_forbids_is_refused_before_an_image_is_read(tmp_path, use):
    stage(tmp_path / "first")
    asked = {"path": "tiny.onnx", "card": {**FIELDS, "licence": "its own", "terms": BARRED}}
    folder = tmp_path / "first"
    for name in ("images.parquet", "images.npy"):
        (folder / "images" / name).unlink()
    (folder / "cohort" / "cohort.parquet").unlink()
    inputs = {name: folder / name for name in ("cohort", "images")}
    chosen = embed.Options(encoder="onnx", parameters=asked, use=use)
    with pytest.raises(Refused, match=rf"{use} use is ruled out by its licence.*not for patients"):
        embed.run(chosen, inputs, folder / "out", Scope(base=folder))


def test_the_use_is_research_if_not_said_and_stands_beside_the_vectors(tmp_path):
    result = stage(tmp_path / "plain")
    assert result["use"] == "research"
    assert "licence_notes" not in result
    card = {**FIELDS, "licence": "its own"}
    asked = {"parameters": {"path": "tiny.onnx", "card": card}, "use": "clinical"}
    result = stage(tmp_path / "clinical", **asked)
    assert (
        tables.metadata(tmp_path / "clinical" / "out" / "embeddings.parquet")["use"] == "clinical"
    )
    (note,) = result["licence_notes"]
    assert note.endswith("allows clinical use is not known")


def test_a_card_of_the_catalogue_is_a_source_too(tmp_path):
    options = embed.Options(encoder="onnx", parameters={"path": "a.onnx", "card": "uni"})
    found = embed.sources(options, Scope(base=tmp_path))
    assert found["card"] == catalogue.path("uni")


def test_a_second_run_from_the_cache_gives_the_same_bytes_and_result(tmp_path):
    first = stage(tmp_path)
    before = (tmp_path / "out" / "embeddings.parquet").read_bytes()
    assert stage(tmp_path) == first
    assert (tmp_path / "out" / "embeddings.parquet").read_bytes() == before


def test_the_files_of_an_encoder_are_its_sources(tmp_path):
    options = embed.Options(encoder="onnx", parameters={"path": "a.onnx", "card": "a.yaml"})
    found = embed.sources(options, Scope(base=tmp_path))
    assert found == {"path": tmp_path / "a.onnx", "card": tmp_path / "a.yaml"}
    assert embed.sources(embed.Options(), Scope()) == {}


def test_an_unknown_encoder_names_the_nearest():
    words = "no encoder 'onx'; known: demo, fastest, filterbank, monai, onnx, "
    with pytest.raises(UnknownName, match=words) as caught:
        embed.loaded(embed.Options(encoder="onx"), Scope())
    assert caught.value.hint == "did you mean 'onnx'?"


def not_an_encoder(parameters, scope):
    return parameters


def test_a_function_that_gives_no_encoder_is_refused():
    with pytest.raises(InvalidEncoder, match="gives dict; expected an Encoder"):
        embed.loaded(embed.Options(encoder=f"{__name__}:not_an_encoder"), Scope())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: a full disk is not tried")
def test_a_disk_that_fills_up_is_a_storage_failure_and_leaves_no_part(tmp_path, monkeypatch):
    opened = tables.files.make_folder

    def full(folder):
        made = opened(folder)
        monkeypatch.setattr("uuid.uuid4", lambda: type("Fixed", (), {"hex": "0" * 32}))
        name = evidence.digest(["aa"])[:32]
        (made / f".{name}.parquet.{'0' * 8}.partial").symlink_to("/dev/full")
        return made

    monkeypatch.setattr("equipoise.tables.files.make_folder", full)
    with pytest.raises(StorageFailure, match="No space left on device"):
        shards.keep(tmp_path / "shards", ["aa"], np.ones((1, 2), np.float32))
    assert not list((tmp_path / "shards").iterdir())


def test_the_pretrained_encoder_needs_a_stage_that_gave_one_and_no_parameters(tmp_path):
    asked = embed.Options(encoder="pretrained")
    with pytest.raises(InvalidConfiguration, match="no stage of the study gives an encoder"):
        embed.loaded(asked, Scope())
    asked = embed.Options(encoder="pretrained", parameters={"path": "a.onnx"})
    with pytest.raises(InvalidConfiguration, match="unknown parameter 'path'; expected none"):
        embed.loaded(asked, Scope(), tmp_path)


def test_an_encoder_of_another_version_of_the_package_is_another_source():
    assert set(embed.sources(embed.Options(encoder="demo"), Scope())) == {"encoder", "card"}
    assert embed.sources(embed.Options(), Scope()) == {}
