import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import tables
from equipoise.errors import InvalidTable
from equipoise.tables import stored
from equipoise.tables.pages import located

SAID = {"encoder": "e", "digest": "d" * 64, "engine": "numpy", "precision": "float32"}


def vectors(n, d=5, dtype=np.float16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


def folder_of(folder, *parts, storage="float16", **change):
    """Write parts of the arrays given, with ids from i0000 on."""
    start = 0
    for number, part in enumerate(parts):
        said = {**SAID, "storage": storage, "part": number, "parts": len(parts), **change}
        ids = [f"i{start + k:04d}" for k in range(len(part))]
        stored.write_part(ids, part, stored.part_path(folder, number), said)
        start += len(part)
    return folder


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path, dtype):
    whole = vectors(50, dtype=dtype)
    whole[3, 1] = -0.0
    storage = np.dtype(dtype).name
    found = tables.open_embeddings(folder_of(tmp_path, whole[:30], whole[30:], storage=storage))
    assert found.shape == (50, 5)
    assert found.matrix().dtype == dtype
    assert found.matrix().tobytes() == whole.tobytes()
    ids, blocks = zip(*found.blocks(7), strict=True)
    assert np.concatenate(blocks).tobytes() == whole.tobytes()
    assert (
        pl.concat(ids).to_list() == found.image_ids().to_list() == [f"i{k:04d}" for k in range(50)]
    )


def test_any_reader_of_parquet_reads_a_part(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    whole = vectors(40)
    path = stored.part_path(folder_of(tmp_path, whole), 0)
    by_polars = pl.read_parquet(path)["vector"]
    assert by_polars.dtype == pl.Array(pl.Float16, 5)
    assert by_polars.to_numpy().tobytes() == whole.tobytes()
    column = parquet.read_table(path)["vector"].combine_chunks()
    assert column.flatten().to_numpy().tobytes() == whole.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 40),
    d=st.integers(1, 9),
    group=st.integers(1, 50),
    page=st.sampled_from([16, 200, 1 << 20]),
    half=st.booleans(),
)
def test_values_are_found_in_whatever_pages_and_groups_they_lie(
    tmp_path_factory, n, d, group, page, half
):
    dtype = np.float16 if half else np.float32
    whole = vectors(n, d, dtype)
    path = tmp_path_factory.mktemp("pages") / "a.parquet"
    kind = pl.Array(pl.Float16 if half else pl.Float32, d)
    frame = pl.DataFrame(
        {"image_id": [f"i{k}" for k in range(n)], "vector": pl.Series(whole, dtype=kind)},
        schema_overrides={"image_id": pl.String},
    )
    frame.write_parquet(path, compression="uncompressed", row_group_size=group, data_page_size=page)
    segments = located(path, "vector", width=whole.itemsize, n=n * d)
    assert segments is not None
    content = path.read_bytes()
    assert b"".join(content[a : a + size] for a, size in segments) == whole.tobytes()


def written(path, column, **how):
    pl.DataFrame({"vector": column}).write_parquet(path, **{"compression": "uncompressed", **how})
    return path


def test_values_that_cannot_be_read_as_they_lie_are_not_claimed(tmp_path):
    whole = vectors(8)
    column = pl.Series(whole, dtype=pl.Array(pl.Float16, 5))
    plain = written(tmp_path / "plain", column)
    assert located(plain, "vector", width=2, n=40) is not None
    assert located(plain, "vector", width=2, n=45) is None
    assert located(plain, "vector", width=4, n=40) is None
    assert located(plain, "other", width=2, n=40) is None
    packed = written(tmp_path / "packed", column, compression="zstd")
    assert located(packed, "vector", width=2, n=40) is None
    lacking = written(tmp_path / "null", pl.concat([column, pl.Series([None], dtype=column.dtype)]))
    assert located(lacking, "vector", width=2, n=40) is None
    inner = pl.Series([[1.0, None], [2.0, 3.0]], dtype=pl.Array(pl.Float32, 2))
    assert located(written(tmp_path / "inner", inner), "vector", width=4, n=4) is None
    double = pl.Series(whole.astype(np.float64), dtype=pl.Array(pl.Float64, 5))
    assert located(written(tmp_path / "double", double), "vector", width=4, n=40) is None


@pytest.mark.parametrize("how", [{"data_page_version": "2.0"}, {"use_dictionary": True}])
def test_pages_of_another_kind_are_not_claimed(tmp_path, how):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array([1.0, 2.0] * 8, "float32"), 2)
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pyarrow.table({"vector": lists}),
        path,
        compression="none",
        **{"use_dictionary": False, **how},
    )
    assert located(path, "vector", width=4, n=16) is None


def test_a_part_that_another_program_packed_is_read_through_the_decoder(tmp_path):
    whole = vectors(20)
    path = stored.part_path(folder_of(tmp_path, whole), 0)
    said, frame = pl.read_parquet_metadata(path), pl.read_parquet(path)
    frame.write_parquet(path, compression="zstd", metadata={"equipoise": said["equipoise"]})
    found = tables.open_embeddings(tmp_path)
    assert np.concatenate([part for _, part in found.blocks(6)]).tobytes() == whole.tobytes()
    assert not stored.is_whole(path)  # so that a run that goes on makes it again


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_file_that_was_damaged_anywhere_is_never_read_wrong_in_silence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    path = stored.part_path(folder_of(folder, vectors(6)), 0)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    located(path, "vector", width=2, n=30)
    whole = stored.is_whole(path)
    if whole:  # a byte that says nothing of ids or vectors
        assert pl.read_parquet(path)["vector"].to_numpy().tobytes() == vectors(6).tobytes()


def test_a_part_whose_values_or_ids_were_changed_is_not_whole(tmp_path):
    path = stored.part_path(folder_of(tmp_path, vectors(6)), 0)
    assert stored.is_whole(path)
    content = path.read_bytes()
    (start, _), *_ = located(path, "vector", width=2, n=30)
    changed = bytearray(content)
    changed[start + 4] ^= 1
    path.write_bytes(bytes(changed))
    assert not stored.is_whole(path)
    path.write_bytes(content.replace(b"i0003", b"i9003"))
    assert not stored.is_whole(path)


def test_a_missing_part_is_named(tmp_path):
    folder_of(tmp_path, vectors(3), vectors(3), vectors(3))
    stored.part_path(tmp_path, 1).unlink()
    with pytest.raises(InvalidTable, match=r"holds 2 parts of 3, as part-00001.parquet") as caught:
        tables.open_embeddings(tmp_path)
    assert "goes on where it was" in caught.value.hint


@pytest.mark.parametrize("name", ["digest", "engine", "precision"])
def test_parts_of_two_encoders_are_never_mixed(tmp_path, name):
    folder_of(tmp_path, vectors(3), vectors(3))
    said = {**SAID, "storage": "float16", "part": 1, "parts": 2, name: "other"}
    stored.write_part(["a"], vectors(1), stored.part_path(tmp_path, 1), said)
    with pytest.raises(InvalidTable, match=f"part-00001.parquet says {name} 'other'; expected"):
        tables.open_embeddings(tmp_path)


def test_parts_of_another_length_or_another_program_are_refused(tmp_path):
    folder_of(tmp_path / "a", vectors(3), vectors(3, d=4))
    with pytest.raises(InvalidTable, match="has vectors of 4 values; expected 5"):
        tables.open_embeddings(tmp_path / "a")
    (tmp_path / "b").mkdir()
    pl.DataFrame({"image_id": ["a"]}).write_parquet(tmp_path / "b" / "part-00000.parquet")
    with pytest.raises(InvalidTable, match="is no part of embeddings that we wrote"):
        tables.open_embeddings(tmp_path / "b")


def test_an_image_in_two_parts_is_refused(tmp_path):
    for number in (0, 1):
        said = {**SAID, "storage": "float16", "part": number, "parts": 2}
        stored.write_part(["a"], vectors(1), stored.part_path(tmp_path, number), said)
    with pytest.raises(InvalidTable, match="2 rows share image_id='a'"):
        tables.open_embeddings(tmp_path).table()


def test_a_stage_reads_parts_where_it_looks_for_one_file(tmp_path):
    whole = vectors(9)
    folder_of(tmp_path / "embeddings", whole[:4], whole[4:])
    path = tmp_path / "embeddings.parquet"
    table = tables.read(path, tables.EMBEDDINGS)
    assert table["vector"].dtype == pl.Array(pl.Float32, 5)
    np.testing.assert_array_equal(table["vector"].to_numpy(), whole.astype(np.float32))
    assert tables.metadata(path)["digest"] == SAID["digest"]
    tables.write(table.head(2), path, tables.EMBEDDINGS)
    assert tables.read(path, tables.EMBEDDINGS).height == 2  # the file itself comes first


def test_vectors_of_half_precision_in_one_file_are_computed_with_in_single(tmp_path):
    half = pl.Series(vectors(3), dtype=pl.Array(pl.Float16, 5))
    frame = pl.DataFrame({"image_id": ["a", "b", "c"], "vector": half})
    tables.write(frame, tmp_path / "embeddings.parquet", tables.EMBEDDINGS)
    table = tables.read(tmp_path / "embeddings.parquet", tables.EMBEDDINGS)
    assert table["vector"].dtype == pl.Array(pl.Float32, 5)


def test_other_tables_are_not_looked_for_in_parts(tmp_path):
    folder_of(tmp_path / "cohort", vectors(2))
    with pytest.raises(InvalidTable, match="cohort: no file"):
        tables.read(tmp_path / "cohort.parquet", tables.COHORT)


def test_images_that_were_left_are_told_with_their_reason(tmp_path):
    for number, left in enumerate([{"x": "torn"}, {}]):
        said = {**SAID, "storage": "float16", "part": number, "parts": 2, "left": left}
        stored.write_part([f"i{number}"], vectors(1), stored.part_path(tmp_path, number), said)
    assert tables.open_embeddings(tmp_path).left == {"x": "torn"}


def test_the_metadata_is_json_that_names_the_table(tmp_path):
    path = Path(stored.part_path(folder_of(tmp_path, vectors(1)), 0))
    said = json.loads(pl.read_parquet_metadata(path)["equipoise"])
    assert (said["table"], said["unit"], said["storage"]) == ("embeddings", "image", "float16")
