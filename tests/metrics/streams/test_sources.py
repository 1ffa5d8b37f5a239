import polars as pl
import pytest

pytest.importorskip("pyarrow")

from equipoise.errors import InvalidTable
from equipoise.metrics.streams import findings_in, shards
from equipoise.metrics.streams.sources import pair, read, schema_of, singles
from tests.metrics.streams.made import predictions, written


def test_a_folder_a_pattern_and_a_list_are_the_same_files(tmp_path):
    paths = written(predictions(300), tmp_path, files=3)
    assert shards(tmp_path) == shards(str(tmp_path / "part-*.parquet")) == shards(paths)
    assert shards([*paths, paths[0]]) == shards(paths)


def test_shards_hold_every_row_once_and_say_where_they_begin(tmp_path):
    written(predictions(1_000), tmp_path, files=2, group=64)
    for rows in (1, 100, 200, 10_000):
        parts = shards(tmp_path, rows=rows)
        seen = [
            row
            for shard in parts
            for first, batch in read(shard, ["patient_id"], rows=50)
            for row in zip(
                range(first, first + batch.num_rows),
                [shard.path.name] * batch.num_rows,
                batch.column(0).to_pylist(),
                strict=True,
            )
        ]
        assert len(seen) == len({row[:2] for row in seen}) == 1_000
        assert [who for _, _, who in seen] == predictions(1_000)["patient_id"].to_list()
        assert sum(one.rows for shard in parts for one in singles(shard)) == 1_000


def test_no_file_one_that_is_none_and_one_that_differs_are_named(tmp_path):
    written(predictions(10), tmp_path / "rows", files=1)
    (tmp_path / "rows" / "text.parquet").write_text("sex,score")
    with pytest.raises(InvalidTable, match="no file"):
        shards(tmp_path / "*.parquet")
    with pytest.raises(InvalidTable, match="no files were given"):
        shards([])
    with pytest.raises(InvalidTable, match=r"text.parquet is not readable as Parquet"):
        shards(tmp_path / "rows")


def test_files_that_differ_in_columns_or_types_are_refused(tmp_path):
    rows = predictions(10)
    rows.write_parquet(tmp_path / "a.parquet")
    rows.drop("sex").write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InvalidTable, match=r"no column 'sex' in .*b.parquet; it is in .*a.parquet"):
        shards(tmp_path)
    rows.with_columns(pl.col("score:f0").cast(pl.Float64)).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InvalidTable, match=r"'score:f0' is double in .*b.parquet; it is float in"):
        shards(tmp_path)


def test_findings_are_those_of_a_label_or_a_score_and_one_alone_needs_no_name(tmp_path):
    rows = predictions(10)
    parts = shards(written(rows, tmp_path / "wide"))
    assert findings_in(schema_of(parts[0])) == ("f0", "f1")
    alone = rows.select("sex", label="label:f0", score="score:f0")
    schema = schema_of(shards(written(alone, tmp_path / "alone"))[0])
    assert findings_in(schema) == ("finding",)
    assert pair(schema, "finding") == ("label", "score")
    with pytest.raises(InvalidTable, match="no column 'label:x'"):
        pair(schema, "x")
