import errno
import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise.errors import InvalidInput, InvalidTable, StorageFailure
from equipoise.tables import (
    IMAGE_CACHE,
    SPLITS,
    ImageCache,
    ImageWriter,
    aside,
    metadata,
    read,
    read_foreign,
    read_json,
    write,
    write_json,
    write_text,
)

SPLIT = pl.DataFrame(
    {
        "image_id": ["b", "a"],
        "patient_id": ["p", "q"],
        "split": ["train", "test"],
        "fold": [0, 1],
    }
)


def fail_with(error: int):
    raise OSError(error, os.strerror(error))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES])
def test_a_full_or_unwritable_disk_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    message = re.escape(os.strerror(error)) + r"\); nothing was changed"
    with pytest.raises(StorageFailure, match=message), aside(path) as partial:  # noqa: PT012
        partial.write_text("half")
        fail_with(error)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: a full disk is not tried")
def test_a_really_full_device_is_a_storage_failure(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(StorageFailure, match="No space left on device"), aside(path) as partial:  # noqa: PT012
        partial.symlink_to("/dev/full")
        partial.write_text("x")


def test_any_other_error_inside_leaves_nothing_either(tmp_path):
    with pytest.raises(ZeroDivisionError), aside(tmp_path / "a") as partial:  # noqa: PT012
        partial.write_text("half")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_sorted_by_its_key_and_says_what_it_is(tmp_path):
    path = tmp_path / "splits.parquet"
    write(SPLIT, path, SPLITS, more={"seed": 3})
    assert read(path, SPLITS)["image_id"].to_list() == ["a", "b"]
    assert metadata(path) == {"table": "splits", "version": 1, "unit": "image", "seed": 3}


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path):
    write(SPLIT, tmp_path / "1.parquet", SPLITS)
    write(SPLIT.reverse(), tmp_path / "2.parquet", SPLITS)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_a_table_of_another_name_is_refused(tmp_path):
    write(SPLIT, tmp_path / "x.parquet", SPLITS)
    with pytest.raises(InvalidTable, match="holds the table 'splits'; expected 'image cache'"):
        read(tmp_path / "x.parquet", IMAGE_CACHE)


def test_a_torn_parquet_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InvalidTable, match=r"splits: .* is not readable as Parquet"):
        read(path, SPLITS)


def test_a_table_that_breaks_its_contract_is_not_written(tmp_path):
    with pytest.raises(InvalidTable):
        write(SPLIT.drop("fold"), tmp_path / "x.parquet", SPLITS)
    assert list(tmp_path.iterdir()) == []


def test_a_csv_keeps_leading_zeros_out_of_harm_when_one_cell_is_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("image_id,score\n" + "".join(f"{i},0.5\n" for i in range(300)) + "x1,0.5\n")
    assert read_foreign(path, "predictions").schema["image_id"] == pl.String


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.xlsx", b"", r"ends in '.xlsx'; expected .csv"),
        ("x.csv", b"", r"predictions: .*x.csv cannot be read"),
        ("x.parquet", b"no", r"predictions: .*x.parquet cannot be read"),
    ],
)
def test_a_foreign_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidTable, match=message):
        read_foreign(tmp_path / name, "predictions")


def test_json_refuses_nan_and_reads_back_what_was_written(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"a": float("nan")})
    write_json(path, {"a": "é"})
    assert read_json(path) == {"a": "é"}
    path.write_text("[1]")
    with pytest.raises(InvalidInput, match="holds a list; expected an object"):
        read_json(path)


def test_an_image_cache_gives_back_pixels_in_the_order_asked(tmp_path):
    with ImageWriter(tmp_path / "images.npy", (3, 2, 2)) as writer:
        for row in range(3):
            writer[row] = np.full((2, 2), row * 10, np.uint8)
    index = pl.DataFrame(
        {"image_id": ["a", "b", "c"], "row": [0, 1, 2], "pixel_digest": ["x", "y", "z"]}
    )
    write(index, tmp_path / "images.parquet", IMAGE_CACHE)
    cache = ImageCache.open(tmp_path)
    batches = list(cache.batches(cache.rows(["c", "a", "b"]), 2))
    assert [b[:, 0, 0].tolist() for b in batches] == [[20, 0], [10]]
    assert cache.size == (2, 2, 1)
    with pytest.raises(InvalidTable, match="1 images are missing, as 'q'"):
        cache.rows(["q"])


def test_a_cache_whose_pixels_and_index_disagree_is_refused(tmp_path):
    with ImageWriter(tmp_path / "images.npy", (2, 2, 2)) as writer:
        writer[0] = np.zeros((2, 2), np.uint8)
    index = pl.DataFrame({"image_id": ["a"], "row": [0], "pixel_digest": ["x"]})
    write(index, tmp_path / "images.parquet", IMAGE_CACHE)
    with pytest.raises(InvalidTable, match=r"images.npy is uint8 \(2, 2, 2\); expected uint8 \(1"):
        ImageCache.open(tmp_path)


def test_a_writer_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), ImageWriter(tmp_path / "images.npy", (2, 2, 2)):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("cells", "read_as"),
    [
        (["0061", "61"], ["0061", "61"]),
        (["1.2.3", "1.2.4"], ["1.2.3", "1.2.4"]),
        (["2024-01-02", "2024-01-03"], ["2024-01-02", "2024-01-03"]),
        (["1", "", "0"], [1, None, 0]),
        (["0.5", "1", "1e-3"], [0.5, 1.0, 1e-3]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
        (["", "", "x"], [None, None, "x"]),
    ],
)
def test_a_cell_of_a_csv_is_a_number_only_if_a_program_would_write_it_so(tmp_path, cells, read_as):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{cell},z\n" for cell in cells))
    assert read_foreign(path, "predictions")["a"].to_list() == read_as


def test_nan_in_a_csv_stays_nan_for_the_stage_to_refuse(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("score,b\n0.5,z\nNaN,z\n")
    assert read_foreign(path, "predictions")["score"].is_nan().to_list() == [False, True]


def test_a_semicolon_file_is_named_as_one(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a;b\n1;2\n")
    with pytest.raises(InvalidTable, match="has one column, 'a;b'") as caught:
        read_foreign(path, "predictions")
    assert caught.value.hint == "it seems to be parted by ';': save it as comma-separated"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: a full disk is not tried")
def test_a_table_on_a_full_disk_is_a_storage_failure_and_leaves_no_part(tmp_path, monkeypatch):
    """Polars wraps the error of the system in one of its own; it must keep its name."""
    monkeypatch.setattr("uuid.uuid4", type("Fixed", (), {"hex": "0" * 8}))
    partial = tmp_path / ".splits.parquet.00000000.partial"
    partial.symlink_to("/dev/full")
    with pytest.raises(StorageFailure, match="No space left on device"):
        write(SPLIT, tmp_path / "splits.parquet", SPLITS)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed_has_its_own_hint(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailure) as caught:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert caught.value.hint == "a file stands where a folder is needed: choose another folder"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("a,b\nMüller,1\n".encode("latin-1"), "cannot be read", "save it as CSV in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16", "save it as CSV in UTF-8"),
        (b"a,b\n1,2\n1,2,3\n", "cannot be read", "a row has more cells than the header"),
        (b"score,score\n1,2\n", "two columns are named 'score'", None),
    ],
)
def test_a_csv_of_another_kind_says_what_to_do(tmp_path, content, message, hint):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidTable, match=message) as caught:
        read_foreign(path, "predictions")
    assert "\n" not in str(caught.value)
    assert (caught.value.hint or "").startswith(hint or "")
