import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from equipoise import embed, tables
from equipoise.embed import opening, sharing
from equipoise.embed.ahead import ahead
from equipoise.embed.sources import pixel_rows
from equipoise.errors import (
    InvalidConfiguration,
    InvalidEncoder,
    InvalidImage,
    InvalidInput,
    InvalidTable,
    StorageFailure,
)
from equipoise.images import Frame
from equipoise.scope import Scope
from equipoise.tables import stored
from tests.conftest import ROOT
from tests.embed import loading
from tests.embed.test_embed import Counting, encoder, images, stage
from tests.encoders.test_card import FIELDS

SMALL = embed.How(size=6, batch_size=4, storage="float32")


def cache(folder, n=20, seed=0):
    """Write an image cache whose rows stand in another order than its ids."""
    made = images(n, seed)
    order = np.random.default_rng(1).permutation(n)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", made.pixels[order])
    index = made.index.with_columns(row=pl.Series(np.argsort(order)))
    tables.write(index, folder / "images.parquet", tables.IMAGE_CACHE)
    return embed.CachedImages.open(folder), made


def bytes_of(folder):
    return [path.read_bytes() for path in stored.parts_in(folder)]


def test_parts_hold_what_one_table_holds_bit_for_bit(tmp_path):
    source, made = cache(tmp_path / "images")
    done = embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    assert (done.images, done.made, done.kept, done.left) == (20, 4, 0, {})
    whole = embed.embeddings(made.index["image_id"].to_list(), made, encoder(Counting()))
    found = tables.open_embeddings(tmp_path / "v")
    assert found.heights == (6, 6, 6, 2)
    assert found.table().equals(whole)
    for name in ("encoder", "digest", "engine", "precision", "card"):
        assert name in found.said


def test_half_precision_is_the_nearest_number_and_the_default(tmp_path):
    source, made = cache(tmp_path / "images")
    thirds = encoder(lambda pixels: pixels.reshape(len(pixels), -1) / np.float32(3))
    embed.embed_parts(source, thirds, tmp_path / "v")
    found = tables.open_embeddings(tmp_path / "v")
    assert found.dtype == np.float16
    wanted = (made.pixels.reshape(20, 16) / np.float32(3)).astype(np.float16)
    assert found.matrix().tobytes() == wanted.tobytes()


def test_every_batch_has_the_same_size_whatever_the_part(tmp_path):
    sizes = []

    def noted(pixels):
        sizes.append(len(pixels))
        return pixels.reshape(len(pixels), -1).astype(np.float32)

    embed.embed_parts(cache(tmp_path / "i")[0], encoder(noted), tmp_path / "v", how=SMALL)
    assert set(sizes) == {4}


def test_a_killed_run_goes_on_by_skipping_what_is_whole(tmp_path):
    source, _ = cache(tmp_path / "images")
    embed.embed_parts(source, encoder(Counting()), tmp_path / "whole", how=SMALL)
    killed, rest, again = Counting(killed_after=18), Counting(), Counting()
    with pytest.raises(KeyboardInterrupt):
        embed.embed_parts(source, encoder(killed), tmp_path / "v", how=SMALL)
    assert len(stored.parts_in(tmp_path / "v")) == 2
    done = embed.embed_parts(source, encoder(rest), tmp_path / "v", how=SMALL)
    assert (done.made, done.kept, rest.seen) == (2, 2, 12)
    assert bytes_of(tmp_path / "v") == bytes_of(tmp_path / "whole")
    assert embed.embed_parts(source, encoder(again), tmp_path / "v", how=SMALL).kept == 4
    assert again.seen == 0
    assert {path.name for path in (tmp_path / "v").iterdir()} == {
        f"part-0000{k}.parquet" for k in range(4)
    }


@pytest.mark.parametrize("harm", ["short", "empty", "value"])
def test_a_torn_or_altered_part_is_made_again(tmp_path, harm):
    source, _ = cache(tmp_path / "images")
    embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    before = bytes_of(tmp_path / "v")
    path = stored.part_path(tmp_path / "v", 2)
    content = bytearray(before[2])
    if harm == "value":
        content[stored.located(path, "vector", width=4, n=96)[0][0] + 2] ^= 1
    path.write_bytes({"short": content[:90], "empty": b"", "value": bytes(content)}[harm])
    rest = Counting()
    done = embed.embed_parts(source, encoder(rest), tmp_path / "v", how=SMALL)
    assert (done.made, done.kept, rest.seen) == (1, 3, 8)
    assert bytes_of(tmp_path / "v") == before


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        ({"digest": "e" * 64}, SMALL, "says digest 'ddd"),
        ({"engine": "numpy 2"}, SMALL, "says engine 'numpy 1'; expected 'numpy 2'"),
        ({"precision": "int8"}, SMALL, "says precision 'float32'; expected 'int8'"),
        ({}, replace(SMALL, storage="float16"), "says storage 'float32'; expected 'float16'"),
        ({}, replace(SMALL, size=5), "says parts 4"),
        ({}, replace(SMALL, size=7), "says parts 4; expected 3"),
    ],
)
def test_parts_of_something_else_in_the_folder_are_refused(tmp_path, change, how, message):
    source, _ = cache(tmp_path / "images", n=24)
    embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    before, function = bytes_of(tmp_path / "v"), Counting()
    if how.size == 7:
        source = source.slice(0, 21)
    with pytest.raises(InvalidTable, match=f"part-00000.parquet {message}") as caught:
        embed.embed_parts(source, encoder(function, **change), tmp_path / "v", how=how)
    assert "choose another folder" in caught.value.hint
    assert function.seen == 0
    assert bytes_of(tmp_path / "v") == before


def test_parts_of_other_pixels_or_of_another_program_are_refused(tmp_path):
    source, _ = cache(tmp_path / "images")
    embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    other, _ = cache(tmp_path / "other", seed=3)
    with pytest.raises(InvalidTable, match=r"part-00000.parquet holds other images, or the same"):
        embed.embed_parts(other, encoder(Counting()), tmp_path / "v", how=SMALL)
    strange = tmp_path / "w" / "part-00000.parquet"
    strange.parent.mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(strange)
    with pytest.raises(InvalidTable, match=r"part-00000.parquet says encoder None"):
        embed.embed_parts(source, encoder(Counting()), tmp_path / "w", how=SMALL)
    assert pl.read_parquet(strange).equals(pl.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "'counting': 1 of 2 vectors of a batch hold NaN or infinity, as that of 'i19'"),
        (np.inf, "hold NaN or infinity, as that of 'i19'"),
        (7e4, "1 of 2 vectors do not fit float16, as that of 'i19', whose values reach 7e+04"),
    ],
)
def test_vectors_that_cannot_be_kept_are_refused_by_name(tmp_path, value, message):
    source, made = cache(tmp_path / "images")

    def broken(pixels):
        found = pixels.reshape(len(pixels), -1).astype(np.float32)
        found[(pixels == made.pixels[19]).all(axis=(1, 2)), 3] = value
        return found

    how = embed.How(size=6, batch_size=4)
    with pytest.raises(InvalidEncoder) as caught:
        embed.embed_parts(source, encoder(broken), tmp_path / "v", how=how)
    assert message in str(caught.value)
    assert len(stored.parts_in(tmp_path / "v")) == 3  # the part of that image is not kept


def test_vectors_that_vanish_in_half_precision_are_refused(tmp_path):
    source, _ = cache(tmp_path / "images")
    tiny = encoder(lambda pixels: pixels.reshape(len(pixels), -1) * np.float32(1e-9))
    with pytest.raises(InvalidEncoder, match="do not fit float16") as caught:
        embed.embed_parts(source, tiny, tmp_path / "v")
    assert caught.value.hint == "say storage: float32"
    how = embed.How(storage="float32")
    assert embed.embed_parts(source, tiny, tmp_path / "v", how=how).made == 1


def test_the_same_vector_for_different_images_is_refused_but_not_for_the_same_pixels(tmp_path):
    source, _ = cache(tmp_path / "images")
    ones = encoder(lambda pixels: np.ones((len(pixels), 16), np.float32))
    with pytest.raises(InvalidEncoder, match="6 different images have the same vector"):
        embed.embed_parts(source, ones, tmp_path / "v", how=SMALL)
    for name in ("a", "b"):
        Image.new("L", (4, 4), 7).save(tmp_path / f"{name}.png")
    paths = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    twins = pl.DataFrame({"image_id": ["a", "b"], "path": paths})
    files = embed.ImageFiles(twins, Frame(4, 4, 1))
    assert embed.embed_parts(files, ones, tmp_path / "w", how=SMALL).images == 2


def files(folder, n=9, broken=()):
    rng = np.random.default_rng(0)
    for k in range(n):
        pixels = rng.integers(0, 256, (4, 4), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    for k in broken:
        (folder / f"{k}.png").write_bytes(b"torn")
    ids = [f"i{k}" for k in range(n)]
    paths = [str(folder / f"{k}.png") for k in range(n)]
    return embed.ImageFiles(pl.DataFrame({"image_id": ids, "path": paths}), Frame(4, 4, 1))


def test_files_are_embedded_in_order_and_those_that_cannot_be_read_are_told(tmp_path):
    source = files(tmp_path, broken=(1, 5))
    (tmp_path / "7.png").unlink()
    done = embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    assert sorted(done.left) == ["i1", "i5", "i7"]
    assert "not an image" in done.left["i1"]
    assert "cannot be opened" in done.left["i7"]
    found = tables.open_embeddings(tmp_path / "v")
    assert found.image_ids().to_list() == ["i0", "i2", "i3", "i4", "i6", "i8"]
    assert found.left == done.left
    for image_id, vector in zip(found.image_ids(), found.matrix(), strict=True):
        pixels = np.asarray(Image.open(tmp_path / f"{image_id[1:]}.png"))
        np.testing.assert_array_equal(vector, pixels.ravel())
    again = embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    assert (again.kept, again.left) == (2, done.left)


def test_a_part_of_which_no_image_can_be_read_is_kept_empty(tmp_path):
    source = files(tmp_path, broken=range(6))
    done = embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    found = tables.open_embeddings(tmp_path / "v")
    assert (found.heights, len(done.left)) == ((0, 3), 6)
    assert embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL).kept == 2


def test_files_of_which_none_can_be_read_are_refused(tmp_path):
    source = files(tmp_path, n=3, broken=range(3))
    with pytest.raises(InvalidImage, match="none of 3 images can be read, as i0: not an image"):
        embed.embed_parts(source, encoder(Counting()), tmp_path / "v")


def test_a_file_that_changed_is_not_taken_for_the_one_that_was_embedded(tmp_path):
    source = files(tmp_path)
    embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    Image.new("L", (4, 5), 9).save(tmp_path / "8.png")
    with pytest.raises(InvalidTable, match=r"part-00001.parquet holds other images"):
        embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)


def test_images_that_are_absent_or_named_twice_are_refused(tmp_path):
    source, _ = cache(tmp_path / "images")
    with pytest.raises(InvalidTable, match="1 images are missing, as 'zz'"):
        embed.CachedImages.open(tmp_path / "images", pl.Series(["i00", "zz"]))
    twice = embed.CachedImages(pl.concat([source.images] * 2), source.path)
    with pytest.raises(InvalidTable, match="several images are named 'i00'"):
        embed.embed_parts(twice, encoder(Counting()), tmp_path / "v")
    with pytest.raises(InvalidTable, match="no images; expected at least one"):
        embed.embed_parts(source.slice(0, 0), encoder(Counting()), tmp_path / "v")


def test_a_cache_that_ends_early_is_refused(tmp_path):
    source, _ = cache(tmp_path / "images")
    path = tmp_path / "images" / "images.npy"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidTable, match=r"images.npy ends early"):
        embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)
    with pytest.raises(InvalidTable, match="has 20 rows; asked for 99"):
        pixel_rows(path, [99])


def test_a_folder_that_cannot_be_written_is_a_storage_failure(tmp_path):
    (tmp_path / "v").write_text("a file")
    with pytest.raises(StorageFailure, match="cannot be written"):
        embed.embed_parts(cache(tmp_path / "i")[0], encoder(Counting()), tmp_path / "v")


def test_ranks_make_together_what_one_makes_alone(tmp_path):
    source, _ = cache(tmp_path / "images")
    embed.embed_parts(source, encoder(Counting()), tmp_path / "alone", how=SMALL)
    for rank in (2, 0, 1):
        share = embed.Share(rank=rank, world_size=3)
        done = embed.embed_parts(
            source, encoder(Counting()), tmp_path / "together", how=SMALL, share=share
        )
        assert done.made == (2 if rank == 0 else 1)
    assert bytes_of(tmp_path / "together") == bytes_of(tmp_path / "alone")


@pytest.mark.parametrize("bad", [{"rank": 2, "world_size": 2}, {"threads": 0}, {"processes": 2}])
def test_a_share_that_cannot_be_is_refused(bad):
    with pytest.raises(InvalidConfiguration, match="embed: "):
        embed.Share(**bad)


@pytest.mark.slow
def test_processes_make_what_one_makes_and_tell_each_batch(tmp_path):
    source, _ = cache(tmp_path / "images")
    embed.embed_parts(source, loading.plain(1), tmp_path / "one", how=SMALL)
    told = []
    share = embed.Share(processes=2, load=loading.plain)
    done = embed.embed_parts(
        source,
        loading.plain(1),
        tmp_path / "two",
        how=SMALL,
        share=share,
        progress=lambda *said: told.append(said),
    )
    assert (done.images, done.made) == (20, 4)
    assert bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")
    assert told[-1] == ("images", 20, 20)


@pytest.mark.slow
def test_processes_tell_what_could_not_be_read_of_parts_that_were_kept(tmp_path):
    source = files(tmp_path, broken=(1,))
    share = embed.Share(processes=2, load=loading.plain)
    for made in (2, 0):
        done = embed.embed_parts(source, loading.plain(1), tmp_path / "v", how=SMALL, share=share)
        assert (done.made, list(done.left)) == (made, ["i1"])


@pytest.mark.slow
def test_a_process_that_ends_is_told_and_nothing_is_lost(tmp_path):
    source, _ = cache(tmp_path / "images")
    share = embed.Share(processes=2, load=loading.deadly)
    with pytest.raises(InvalidInput, match="a process ended among the parts") as caught:
        embed.embed_parts(source, loading.plain(1), tmp_path / "v", how=SMALL, share=share)
    assert "run again and it goes on" in caught.value.hint
    assert embed.embed_parts(source, loading.plain(1), tmp_path / "v", how=SMALL).images == 20


def test_progress_counts_what_is_kept_too(tmp_path):
    source, _ = cache(tmp_path / "images")
    for _ in range(2):
        told = []
        embed.embed_parts(
            source,
            encoder(Counting()),
            tmp_path / "v",
            how=SMALL,
            progress=lambda *said, told=told: told.append(said),
        )
        assert told[0] == ("images", 0, 20)
        assert told[-1] == ("images", 20, 20)


def test_what_is_read_ahead_is_bounded_and_in_order():
    started, most = [], []

    def work(item):
        started.append(item)
        return item

    for seen, item in enumerate(ahead(work, range(50), threads=2, depth=3)):
        assert item == seen
        most.append(len(started) - seen)
    assert max(most) <= 6
    assert len(started) == 50


def test_a_batch_is_read_while_another_is_computed():
    reading = threading.Event()

    def work(item):
        if item == 1:
            reading.set()
        return item

    found = ahead(work, range(3))
    assert next(found) == 0
    assert reading.wait(30)  # the next is read although nobody asked for it yet
    found.close()


def test_what_fails_ahead_is_raised_in_its_place():
    def work(item):
        if item == 2:
            raise InvalidTable("two")
        return item

    found = ahead(work, range(9))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(InvalidTable, match="two"):
        next(found)


def test_the_stage_puts_parts_in_its_folder_that_other_stages_read(tmp_path):
    whole = stage(tmp_path)
    one = tables.read(tmp_path / "out" / "embeddings.parquet", tables.EMBEDDINGS)
    (tmp_path / "out" / "embeddings.parquet").unlink()
    result = stage(tmp_path, shard_size=7)
    assert (result["images"], result["parts"], result["storage"]) == (20, 3, "float16")
    assert {name: result[name] for name in whole} == whole
    assert tables.read(tmp_path / "out" / "embeddings.parquet", tables.EMBEDDINGS).equals(one)
    assert tables.metadata(tmp_path / "out" / "embeddings.parquet")["digest"] == whole["digest"]


def test_the_stage_keeps_parts_between_runs(tmp_path):
    stage(tmp_path, shard_size=7)
    kept = sorted((tmp_path / "cache" / "embeddings").rglob("part-*.parquet"))
    assert len(kept) == 3
    before = [path.stat().st_mtime_ns for path in kept]
    for path in stored.parts_in(tmp_path / "out" / "embeddings"):
        path.unlink()
    stage(tmp_path, shard_size=7)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert len(stored.parts_in(tmp_path / "out" / "embeddings")) == 3


def test_other_pixels_or_another_use_are_other_parts_in_the_same_cache(tmp_path):
    first = stage(tmp_path, shard_size=7)
    made = images(seed=5)
    np.save(tmp_path / "images" / "images.npy", made.pixels)
    tables.write(made.index, tmp_path / "images" / "images.parquet", tables.IMAGE_CACHE)
    inputs = {name: tmp_path / name for name in ("cohort", "images")}
    asked = {"path": "tiny.onnx", "card": {**FIELDS, "training_data": "none"}}
    options = embed.Options(encoder="onnx", parameters=asked, shard_size=7)
    scope = Scope(base=tmp_path, cache=tmp_path / "cache")
    embed.run(options, inputs, tmp_path / "out", scope)  # over the parts that lie there
    path = tmp_path / "out" / "embeddings.parquet"
    found = tables.read(path, tables.EMBEDDINGS)["vector"].to_numpy()
    np.testing.assert_array_equal(found, made.pixels.reshape(20, 16))
    assert first["use"] == "research"
    embed.run(options.model_copy(update={"use": "clinical"}), inputs, tmp_path / "out", scope)
    assert tables.metadata(path)["use"] == "clinical"
    assert len(list((tmp_path / "cache" / "embeddings").glob("parts-*"))) == 3


def test_an_encoder_is_loaded_where_it_may_remember_and_with_its_share_of_threads(tmp_path):
    options = embed.Options(encoder="tests.embed.loading:scoped", processes=2)
    scope = Scope(base=tmp_path, cache=tmp_path / "cache", workers=6)
    ready = opening.opened(options, {}, scope)
    ready.load(3)
    for seen in loading.SCOPES[-2:]:
        assert (seen.base, seen.cache, seen.workers) == (tmp_path, tmp_path / "cache", 3)


def test_two_images_that_nearly_are_one_may_end_the_last_part(tmp_path):
    source, made = cache(tmp_path / "images")
    last = {made.pixels[k].tobytes() for k in (18, 19)}

    def near(pixels):
        found = pixels.reshape(len(pixels), -1).astype(np.float32)
        found[[one.tobytes() in last for one in pixels]] = 7
        return found

    assert embed.embed_parts(source, encoder(near), tmp_path / "v", how=SMALL).made == 4


def test_a_file_that_changes_while_it_is_embedded_is_embedded_again(tmp_path):
    source = files(tmp_path, n=4)

    def slow(pixels):
        Image.new("L", (4, 5), 9).save(tmp_path / "0.png")
        return pixels.reshape(len(pixels), -1).astype(np.float32)

    embed.embed_parts(source, encoder(slow), tmp_path / "v", how=SMALL)
    with pytest.raises(InvalidTable, match="holds other images"):
        embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL)


def test_half_precision_in_one_file_says_so(tmp_path):
    stage(tmp_path, storage="float16")
    path = tmp_path / "out" / "embeddings.parquet"
    assert pl.read_parquet(path)["vector"].dtype == pl.Array(pl.Float16, 16)
    assert tables.metadata(path)["storage"] == "float16"


def test_several_ranks_need_a_size_of_parts_and_a_place_in_common():
    two = Scope(rank=1, world_size=2)
    with pytest.raises(InvalidConfiguration, match="2 ranks and one file; expected shard_size"):
        embed.share(embed.Options(), {}, two)
    with pytest.raises(InvalidConfiguration, match="parts and no cache"):
        embed.share(embed.Options(shard_size=5), {}, two)


def test_a_rank_takes_the_gpu_of_its_number_only_where_one_is_asked_for():
    seen = []

    def load(device, local_rank, world_size):
        options = embed.Options(shard_size=5, parameters={"device": device} if device else {})
        return opening.device_of(options, Scope(local_rank=local_rank, world_size=world_size))

    seen = [load("cuda", 3, 4), load("cuda", 0, 1), load("cpu", 3, 4), load(None, 3, 4)]
    assert seen == [{"device": "cuda:3"}, {}, {}, {}]


def test_the_first_rank_waits_for_the_others_and_gives_up_when_none_comes(tmp_path):
    source, _ = cache(tmp_path / "images")
    ranks = iter((1, 2))

    def another():
        share = embed.Share(rank=next(ranks), world_size=3)
        embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL, share=share)

    share = embed.Share(rank=0, world_size=3)
    embed.embed_parts(source, encoder(Counting()), tmp_path / "v", how=SMALL, share=share)
    with pytest.raises(InvalidInput, match=r"2 of 4 parts lie in .* as part-00001.parquet"):
        sharing.await_parts(tmp_path / "v", 4, pause=lambda: None, patience=2)
    sharing.await_parts(tmp_path / "v", 4, pause=another, patience=2)
    assert len(stored.parts_in(tmp_path / "v")) == 4


def prepared(folder, n=24):
    """Write cohort and image cache, and return the words of the command line."""
    cache(folder / "images", n=n)
    ids = images(n).index["image_id"]
    (folder / "cohort").mkdir()
    cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "site": ["s"] * n})
    tables.write(cohort, folder / "cohort" / "cohort.parquet", tables.COHORT)
    return ["embed", "--from-cohort", str(folder / "cohort"), "--from-images",
            str(folder / "images"), "--encoder", "tests.embed.loading:load",
            "--shard-size", "4", "--batch-size", "2", "--workers", "1"]  # fmt: skip


def environment():
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RANK", "WORLD", "LOCAL"))}
    return {**kept, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.slow
def test_torchrun_with_two_processes_gives_what_one_gives_bit_for_bit(tmp_path):
    pytest.importorskip("torch.distributed.run")
    words = prepared(tmp_path)
    log = tmp_path / "log"
    said = ["--parameters", f"{{log: {log}}}"]
    alone = [sys.executable, "-m", "equipoise", *words, *said, "--out", str(tmp_path / "a" / "out")]
    subprocess.run(alone, check=True, env=environment(), capture_output=True)
    assert loading.batches(log) == 12
    log.unlink()
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out = tmp_path / "b" / "out"
    together = [sys.executable, *launcher, "-m", "equipoise", *words, *said, "--out", str(out)]
    done = subprocess.run(together, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert bytes_of(out / "embeddings") == bytes_of(tmp_path / "a" / "out" / "embeddings")
    assert len(bytes_of(out / "embeddings")) == 6
    lines = log.read_text().split("\n")[:-1]
    by_process = {line.split()[0]: 0 for line in lines}
    for line in lines:
        by_process[line.split()[0]] += 1
    assert sorted(by_process.values()) == [6, 6]  # each took half, none was made twice


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_makes_nothing_twice(tmp_path):
    words = prepared(tmp_path)
    log = tmp_path / "log"
    said = ["--parameters", f"{{log: {log}, seconds: 0.3}}", "--out", str(tmp_path / "a" / "out")]
    command = [sys.executable, "-m", "equipoise", *words, *said]
    running = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    made = tmp_path / "a" / ".cache" / "embeddings"
    while running.poll() is None and len(list(made.rglob("part-*.parquet"))) < 2:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = {path: path.stat().st_mtime_ns for path in made.rglob("part-*.parquet")}
    assert 2 <= len(kept) < 6
    assert not (tmp_path / "a" / "out").exists()
    log.unlink()
    subprocess.run(command, check=True, env=environment(), capture_output=True)
    assert loading.batches(log) == 2 * (6 - len(kept))
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    alone = tmp_path / "alone"
    source = embed.CachedImages.open(tmp_path / "images")
    how = embed.How(size=4, batch_size=2, said={"use": "research"})
    embed.embed_parts(source, loading.plain(1), alone, how=how)
    assert bytes_of(tmp_path / "a" / "out" / "embeddings") == bytes_of(alone)


PEAK = """
import resource, sys
from pathlib import Path
from equipoise import embed
from tests.embed.loading import wide
source = embed.CachedImages.open(Path(sys.argv[1]))
how = embed.How(size=128, batch_size=16)
embed.embed_parts(source.slice(0, 256), wide(), Path(sys.argv[1]) / "warm", how=how)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
embed.embed_parts(source, wide(), Path(sys.argv[1]) / "v", how=how)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in other units elsewhere")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    n, side = 4096, loading.SIDE
    pixels = np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    index = pl.DataFrame({"image_id": [f"{k:05d}" for k in range(n)], "row": range(n)})
    index = index.with_columns(pixel_digest="image_id")
    tables.write(index, tmp_path / "images.parquet", tables.IMAGE_CACHE)
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    grown_kb = int(done.stdout)
    assert grown_kb < 8 * 1024  # pixels are 16 MB, vectors 32 MB
