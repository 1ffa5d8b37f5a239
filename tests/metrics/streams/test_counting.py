import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from sklearn.metrics import roc_auc_score

from equipoise.errors import InvalidTable
from equipoise.metrics import streams
from equipoise.metrics.streams import Grid, counted, counted_by_workers, edges, merged, shards
from tests.metrics.streams.made import LEVELS, predictions, written

F32 = {"x": np.array([0, 0.25, 0.5], dtype=np.float32)}


def grid_of(parts, findings=("f0", "f1"), bins=32, split=None):
    found = edges(parts, findings, rng=np.random.default_rng(0), bins=bins)
    return Grid(LEVELS, found, split)


def brute(rows: pl.DataFrame, grid: Grid) -> np.ndarray:
    """Count row by row."""
    made = np.zeros(grid.shape, dtype=np.int64)
    cells = [
        dict(zip(LEVELS, pair, strict=True))
        for pair in zip(*(grid.levels_of_cells()[name].tolist() for name in LEVELS), strict=True)
    ]
    for place, (finding, some) in enumerate(grid.edges.items()):
        for row in rows.iter_rows(named=True):
            label, score = row[f"label:{finding}"], row[f"score:{finding}"]
            if label is not None and score is not None:
                cell = cells.index({name: row[name] for name in LEVELS})
                made[place, cell, int(label), int((some <= score).sum()) - 1] += 1
    return made


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 400), st.integers(1, 3), st.integers(20, 200), st.integers(0, 99))
def test_counts_are_those_of_a_loop_over_rows(tmp_path_factory, n, files, group, seed):
    rows = predictions(n, seed=seed)
    parts = shards(written(rows, tmp_path_factory.mktemp("rows"), files=files, group=group))
    grid = grid_of(parts)
    made = counted(parts, grid)
    assert np.array_equal(made.histogram, brute(rows, grid))
    assert made.rows == n
    lost = [
        rows.filter(pl.col(f"label:{f}").is_not_null(), pl.col(f"score:{f}").is_null()).height
        for f in grid.findings
    ]
    assert made.unscored.tolist() == lost


def test_an_auroc_lies_within_its_bound_of_that_of_the_scores(tmp_path):
    rows = predictions(5_000)
    parts = shards(written(rows, tmp_path, group=1_000))
    grid = grid_of(parts, bins=64)
    value, bound = streams.aurocs(counted(parts, grid), np.ones((1, grid.cells), dtype=bool))
    for place, finding in enumerate(grid.findings):
        known = rows.drop_nulls([f"label:{finding}", f"score:{finding}"])
        exact = roc_auc_score(known[f"label:{finding}"], known[f"score:{finding}"])
        assert 0 < abs(value[place, 0] - exact) <= bound[place, 0] < 0.02


def test_an_auroc_is_that_of_the_scores_where_each_has_its_own_bin(tmp_path):
    rows = predictions(900)
    parts = shards(written(rows, tmp_path))
    grid = grid_of(parts, bins=1024)
    inside = np.array([[sex == "F" for sex in grid.levels_of_cells()["sex"]]])
    value, _ = streams.aurocs(counted(parts, grid), inside)
    known = rows.filter(sex="F").drop_nulls(["label:f1", "score:f1"])
    assert value[1, 0] == pytest.approx(
        roc_auc_score(known["label:f1"], known["score:f1"]), abs=1e-12
    )


def test_a_class_that_is_absent_leaves_no_auroc(tmp_path):
    rows = predictions(50, findings=1).with_columns(pl.lit(value=False).alias("label:f0"))
    parts = shards(written(rows, tmp_path))
    grid = grid_of(parts, ["f0"])
    value, bound = streams.aurocs(counted(parts, grid), np.ones((1, grid.cells), dtype=bool))
    assert np.isnan(value).all()
    assert np.isnan(bound).all()


@pytest.mark.parametrize("cut", [0, 1, 137, 500])
def test_counting_parts_then_merging_equals_counting_the_whole(tmp_path, cut):
    rows = predictions(500)
    grid = grid_of(shards(written(rows, tmp_path / "all")))
    whole = counted(shards(written(rows, tmp_path / "all")), grid)
    some = [
        counted(shards(written(part, tmp_path / name, files=1)), grid)
        for name, part in (("head", rows[:cut]), ("tail", rows[cut:]))
    ]
    assert np.array_equal(merged(some).histogram, whole.histogram)
    assert np.array_equal(merged(some).unscored, whole.unscored)
    assert merged(some).rows == whole.rows


def test_parts_on_other_edges_or_levels_are_not_merged():
    parts = [
        counted([], Grid({"sex": levels}, {"x": some}))
        for levels, some in (
            (("F", "M"), F32["x"]),
            (("M", "F"), F32["x"]),
            (("F", "M"), F32["x"].astype(np.float64)),
            (("F", "M"), np.array([0, 0.25, 0.51], dtype=np.float32)),
        )
    ]
    assert merged([parts[0], parts[0]]).rows == 0
    for other in parts[1:]:
        with pytest.raises(InvalidTable, match="part 1 was counted on other levels or edges"):
            merged([parts[0], other])
    with pytest.raises(InvalidTable, match="no parts to merge"):
        merged([])


@pytest.mark.slow
def test_workers_count_what_one_process_counts_and_say_how_far_they_are(tmp_path):
    parts = shards(written(predictions(1_000), tmp_path), rows=300)
    grid = grid_of(parts)
    told: list[int] = []
    made = counted_by_workers(parts, grid, workers=2, progress=told.append)
    assert len(parts) > 2
    assert np.array_equal(made.histogram, counted(parts, grid).histogram)
    assert sum(told) == made.rows == 1_000


def test_only_the_split_is_counted_and_every_row_is_read(tmp_path):
    rows = predictions(400).with_columns(
        split=pl.Series(["train", "test", "test", "validation"] * 100)
    )
    parts = shards(written(rows, tmp_path))
    grid = grid_of(parts, split="test")
    made = counted(parts, grid)
    assert np.array_equal(made.histogram, brute(rows.filter(split="test"), grid))
    assert made.rows == 400


def test_text_categories_whole_numbers_and_enums_are_levels_alike(tmp_path):
    rows = predictions(200)
    expected = brute(rows, grid_of(shards(written(rows, tmp_path / "text"))))
    for name, kind in (("categorical", pl.Categorical), ("enum", pl.Enum(LEVELS["sex"]))):
        parts = shards(written(rows.with_columns(pl.col("sex").cast(kind)), tmp_path / name))
        assert np.array_equal(counted(parts, grid_of(parts)).histogram, expected)
    coded = rows.with_columns(site=pl.col("site").replace_strict({"a": 0, "b": 1}))
    parts = shards(written(coded, tmp_path / "whole"))
    grid = Grid({"sex": LEVELS["sex"], "site": ("0", "1")}, grid_of(parts).edges)
    assert np.array_equal(counted(parts, grid).histogram, expected)


def test_labels_of_0_and_1_and_scores_of_64_bits_count_alike(tmp_path):
    rows = predictions(200)
    as_numbers = rows.with_columns(pl.col("^label:.*$").cast(pl.Int8))
    double = rows.with_columns(pl.col("^score:.*$").cast(pl.Float64))
    expected = brute(rows, grid_of(shards(written(rows, tmp_path / "rows"))))
    for name, frame in (("numbers", as_numbers), ("double", double)):
        parts = shards(written(frame, tmp_path / name))
        assert np.array_equal(counted(parts, grid_of(parts)).histogram, expected)


def test_an_absent_attribute_value_is_read_as_unknown_and_counted(tmp_path):
    rows = predictions(60).with_columns(
        sex=pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise("sex")
    )
    parts = shards(written(rows, tmp_path))
    grid = grid_of(parts)
    made = counted(parts, grid)
    assert made.unknown.tolist() == [12, 0]
    filled = rows.with_columns(pl.col("sex").fill_null("unknown"))
    assert np.array_equal(made.histogram, brute(filled, grid))
    with pytest.raises(InvalidTable, match=r"'sex': a null in row 0 of part-0.parquet; declared"):
        counted(parts, Grid({"sex": ("F", "M", "-")}, grid.edges))


def test_no_attribute_is_one_cell(tmp_path):
    parts = shards(written(predictions(100), tmp_path))
    assert counted(parts, Grid({}, grid_of(parts).edges)).histogram[0].sum() == 100


def test_empty_files_count_nothing(tmp_path):
    parts = shards(written(predictions(100)[:0], tmp_path, files=1))
    made = counted(parts, Grid(LEVELS, {"f0": F32["x"]}))
    assert made.rows == made.histogram.sum() == 0


def broken(tmp_path, column, row, value, kind=None):
    rows = predictions(300, findings=1)
    if kind is not None:
        rows = rows.with_columns(pl.col(column).cast(kind))
    changed = pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(column)
    return shards(written(rows.with_columns(changed.alias(column)), tmp_path, files=1))


@pytest.mark.parametrize("split", [None, "test"])
@pytest.mark.parametrize(
    ("column", "value", "kind", "said"),
    [
        ("score:f0", 1.5, pl.Float32, r"'score:f0': 1.5 in row 205 of .*\[0, 1\]"),
        ("score:f0", float("nan"), pl.Float32, "'score:f0': nan in row 205 of part-0.parquet"),
        ("score:f0", -0.1, pl.Float64, "'score:f0': -0.1 in row 205 of part-0.parquet"),
        ("label:f0", 2, pl.Int64, "'label:f0': 2 in row 205 of part-0.parquet; expected 0, 1"),
        ("sex", "intersex", None, "undeclared level 'intersex' in row 205 of part-0.parquet"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_file_and_row(
    tmp_path, column, value, kind, said, split
):
    parts = broken(tmp_path, column, 205, value, kind)
    if split is not None:
        rows = pl.read_parquet(parts[0].path).with_columns(
            split=pl.when(pl.int_range(pl.len()) % 2 == 1)
            .then(pl.lit("test"))
            .otherwise(pl.lit("train"))
        )
        parts = shards(written(rows, tmp_path, files=1))
    kind = np.float64 if kind == pl.Float64 else np.float32
    with pytest.raises(InvalidTable, match=said):
        counted(parts, Grid(LEVELS, {"f0": F32["x"].astype(kind)}, split))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("label:f0", "yes", "'label:f0' is large_string; expected true and false, or 0 and 1"),
        ("score:f0", "high", "'score:f0' is large_string; expected scores"),
        ("sex", 0.5, "'sex' is double; expected levels"),
    ],
)
def test_a_column_of_another_kind_is_refused(tmp_path, column, value, said):
    rows = predictions(10, findings=1).with_columns(pl.lit(value).alias(column))
    with pytest.raises(InvalidTable, match=said):
        counted(shards(written(rows, tmp_path)), Grid(LEVELS, {"f0": F32["x"]}))


def test_a_null_split_is_refused(tmp_path):
    rows = predictions(10, findings=1).with_columns(split=pl.lit(None, pl.String))
    with pytest.raises(InvalidTable, match="'split': a null in row 0"):
        counted(shards(written(rows, tmp_path)), Grid(LEVELS, {"f0": F32["x"]}, "test"))
