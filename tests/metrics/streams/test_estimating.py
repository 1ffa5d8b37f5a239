"""A stream gives what the engine gives in memory: cells exactly, the rest within what it says."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise import audit, metrics
from equipoise.errors import InvalidConfiguration, InvalidTable

pytest.importorskip("pyarrow")
streams = pytest.importorskip("equipoise.metrics.streams")

BY = {"sex": ["F", "M", "unknown"], "age": ["young", "old"]}
POINTS = {"half": 0.5, "low": 0.2}
OPTIONS = audit.Options(
    metrics=["auroc", "sensitivity", "specificity", "ppv", "npv"],
    minimum=metrics.Minimum(positives=10, negatives=10, patients=10),
)


def predictions(
    seed: int, n: int = 6_000, *, wandering: bool = False, decimals: int | None = None
) -> pl.DataFrame:
    """Return images, about two of a patient, sorted by patient; `wandering` ones change age."""
    rng = np.random.default_rng(seed)
    patients = n // 2
    who = np.sort(rng.integers(0, patients, n))
    sick = rng.random(patients) < 0.3
    shared = rng.standard_normal(patients)
    latent = 0.7 * shared[who] + 0.7 * rng.standard_normal(n) + 1.3 * sick[who] - 0.9
    score = (1.0 / (1.0 + np.exp(-latent))).astype(np.float32)
    age = rng.choice(BY["age"], n) if wandering else rng.choice(BY["age"], patients)[who]
    assessed = pl.Series(rng.random(n) >= 0.05)
    scored = pl.Series(rng.random(n) >= 0.02)
    return pl.DataFrame(
        {
            "patient_id": [f"{one:06}" for one in who],
            "sex": rng.choice(["F", "M"], patients)[who],
            "age": age,
            "label:x": sick[who],
            "score:x": score if decimals is None else score.round(decimals),
            "label:y": sick[who] ^ (rng.random(n) < 0.1),
            "score:y": score**2,
        }
    ).with_columns(
        pl.when(assessed).then("label:x").alias("label:x"),
        pl.when(scored).then("score:y").alias("score:y"),
    )


def both(rows: pl.DataFrame, path: Path, *, patient: str | None = "patient_id") -> pl.DataFrame:
    """Return the estimates of a stream beside those in memory, row by row."""
    rows.write_parquet(path, row_group_size=700)
    told = {"by": BY, "patient": patient, "operating_points": POINTS, "options": OPTIONS}
    made, exact = audit.streamed(path, **told).estimates, audit.estimates(rows, **told)
    key = ["finding", "operating_point", *BY, "metric", "contrast", "against", "level", "interval"]
    crude = (pl.col("adjustment") == "crude") & (pl.col("status") != "description")
    one, other = made.filter(crude), exact.filter(crude)
    assert one.height == other.height
    return one.join(other, on=key, how="inner", nulls_equal=True, suffix="_exact")


@pytest.mark.parametrize("wandering", [False, True])
@pytest.mark.parametrize("patient", ["patient_id", None])
def test_a_stream_gives_what_memory_gives(
    tmp_path: Path, wandering: bool, patient: str | None
) -> None:
    pair = both(predictions(0, wandering=wandering), tmp_path / "p.parquet", patient=patient)
    for name in ("status", "reason", "events", "trials", "n_images", "n_patients", "n_positive"):
        assert pair[name].equals(pair[f"{name}_exact"]), name
    rates = pair.filter(pl.col("metric") != "auroc", interval="pointwise")
    for name in ("value", "standard_error", "low", "high"):
        assert (rates[name] - rates[f"{name}_exact"]).abs().max() < 1e-12, name
    ranks = pair.filter(metric="auroc", status="assessed")
    off = (ranks["value"] - ranks["value_exact"]).abs()
    assert (off <= ranks["error_bound"] + 1e-15).all()
    assert off.max() < 2e-3
    assert (ranks["standard_error"] / ranks["standard_error_exact"] - 1.0).abs().max() < 0.02
    pointwise = ranks.filter(interval="pointwise")
    for name in ("low", "high"):
        assert (pointwise[name] - pointwise[f"{name}_exact"]).abs().max() < 0.01, name


def test_few_distinct_scores_are_exact(tmp_path: Path) -> None:
    pair = both(predictions(1, decimals=2).drop("label:y", "score:y"), tmp_path / "p.parquet")
    ranks = pair.filter(metric="auroc", status="assessed")
    assert (ranks["value"] - ranks["value_exact"]).abs().max() < 1e-12


def test_the_order_of_rows_changes_no_cell(tmp_path: Path) -> None:
    rows = predictions(2)
    one = both(rows, tmp_path / "sorted.parquet")
    two = both(rows.sample(fraction=1.0, shuffle=True, seed=1), tmp_path / "mixed.parquet")
    for name in ("trials", "n_patients", "events"):
        assert two[name].equals(one[name])
    assert (two["value"] - one["value"]).abs().max() < 2e-3


@pytest.mark.slow
def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    rows = predictions(3)
    for name, some in (("a", rows[:3_000]), ("b", rows[3_000:])):
        some.write_parquet(tmp_path / f"{name}.parquet", row_group_size=700)
    one, two = (
        audit.streamed(tmp_path, by=BY, operating_points=POINTS, options=OPTIONS, workers=workers)
        for workers in (1, 2)
    )
    assert one.counts.equals(two.counts)
    assert one.estimates.equals(two.estimates)


def test_shards_are_grouped_so_that_no_patient_is_in_two(tmp_path: Path) -> None:
    ids = [["a", "a", "b"], ["b", "c"], ["d", "e"]]
    for place, some in enumerate(ids):
        pl.DataFrame({"patient_id": some}).write_parquet(tmp_path / f"{place}.parquet")
    groups = streams.disjoint(streams.shards(tmp_path), "patient_id")
    assert [len(group) for group in groups] == [2, 1]
    pl.DataFrame({"patient_id": ["a"]}).write_parquet(tmp_path / "3.parquet")
    groups = streams.disjoint(streams.shards(tmp_path), "patient_id")
    assert [len(group) for group in groups] == [4]


def test_parts_add_where_they_share_no_patient(tmp_path: Path) -> None:
    rows = predictions(4)
    cut = rows["patient_id"].unique().sort()[1_200]
    some = (rows.filter(pl.col("patient_id") < cut), rows.filter(pl.col("patient_id") >= cut), rows)
    paths = [tmp_path / f"{name}.parquet" for name in ("a", "b", "whole")]
    for path, part in zip(paths, some, strict=True):
        part.write_parquet(path)
    shards = streams.shards(paths[2])
    edges = streams.edges(shards, ["x", "y"], None, rng=np.random.default_rng(0))
    grid = streams.Grid({name: tuple(levels) for name, levels in BY.items()}, edges)
    of = streams.layout(grid, {}, np.ones((1, grid.cells), dtype=bool))
    parts = [streams.count(streams.shards(path), of, "patient_id") for path in paths]
    made = streams.together(parts[:2], disjoint_patients=True)
    for name in ("histogram", "crowd", "same", "unscored"):
        assert np.array_equal(getattr(made, name), getattr(parts[2], name)), name
    for name in ("second", "lone", "several"):
        for key, counts in getattr(made, name).items():
            assert np.array_equal(counts, getattr(parts[2], name)[key]), (name, key)
    with pytest.raises(InvalidTable, match="not declared to share no patient"):
        streams.together(parts[:2], disjoint_patients=False)


def test_what_cannot_be_streamed_says_so(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    predictions(5, 400).write_parquet(path)
    with pytest.raises(InvalidConfiguration, match="'brier' cannot be streamed"):
        audit.streamed(path, by=BY, options=audit.Options(metrics=["brier"]))
    with pytest.raises(InvalidConfiguration, match="'sex' has no declared levels"):
        audit.streamed(path, by={"sex": []})
    with pytest.raises(InvalidConfiguration, match="chooses a threshold on other rows"):
        audit.streamed(path, by=BY, operating_points={"p": "specificity=0.9"})
    with pytest.raises(InvalidTable, match="no finding 'z'"):
        audit.streamed(path, by=BY, options=audit.Options(findings=["z"]))
