"""A fitted bundle, from its phantoms to a verdict: a year of the same, seed after seed."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from equipoise import monitor, phantoms
from equipoise.scope import Scope
from tests.bundles import made as tiny
from tests.monitor import made
from tests.monitor.test_stage import _written

SEEDS = range(12)


def year(seed, *, noise=1.0):
    """Return twelve months of new patients, and their embeddings."""
    drift = phantoms.ScannerDrift(from_month=4, group={"sex": "F"}, noise=noise)
    options = phantoms.Options(
        patients=240,
        seed=1000 + seed,
        size=tiny.SIZE,
        months=12,
        biases=(drift,) if noise != 1.0 else (),
    )
    table = phantoms.scenes(options)
    cohort = phantoms.cohort(table, options)
    pixels = phantoms.images(table, options)[cohort["image_id"].arg_sort().to_numpy()]
    return cohort.sort("image_id"), tiny.loaded().embed(np.ascontiguousarray(pixels))


def late(cohort, seed, path):
    """Write labels that come after 20 days on average, and for one case in ten never."""
    rng = np.random.default_rng(seed)
    rows = [
        (case, (dt.datetime.combine(day, dt.time(), dt.UTC) + wait).isoformat(), int(label))
        for case, day, label in cohort.select(
            "image_id", "acquired_on", f"label:{made.FINDING}"
        ).iter_rows()
        if (wait := dt.timedelta(days=float(rng.exponential(20.0)))) and label is not None
        if rng.random() >= 0.1
    ]
    return made.write_labels(path, rows)


def watched(cohort, vectors, place, bundle, folder, **options):
    """Return the folder and the result of a look."""
    folder.mkdir(parents=True)
    inputs = _written(cohort, vectors, folder, bundle.encoder.digest)
    out = folder / "out"
    out.mkdir()
    return out, monitor.run(monitor.Options(bundle=str(place), **options), inputs, out, Scope())


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_year_without_change_never_ends_in_an_alarm(seed, place, bundle, tmp_path):
    cohort, vectors = year(seed)
    labels = late(cohort, seed, tmp_path / "labels.csv")
    _, result = watched(cohort, vectors, place, bundle, tmp_path / "a", labels=[str(labels)])
    assert result["labelled"] > 0.8 * cohort.height
    assert result["alarms"] == 0
    assert result["exit_code"] != 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_estimates_without_labels_never_end_in_a_pass(seed, place, bundle, tmp_path):
    # Noise makes the truth worse and may raise the estimate; either way it is none.
    cohort, vectors = year(seed, noise=3.0 if seed % 2 else 1.0)
    blind = cohort.with_columns(pl.lit(None, dtype=pl.Boolean).alias(f"label:{made.FINDING}"))
    out, result = watched(blind, vectors, place, bundle, tmp_path / "b")
    guessed = made.said(out)["guessed"]
    assert any(row["sensitivity"] is not None for row in guessed)
    assert (result["verdict"], result["exit_code"]) == ("not assessable", 3)


@pytest.mark.slow
def test_the_same_year_ends_in_an_alarm_where_the_model_is_wrong_of_one_group(
    place, bundle, tmp_path
):
    cohort, vectors = year(0)
    name = f"label:{made.FINDING}"
    turned = pl.when(pl.col("sex") == "F").then(~pl.col(name)).otherwise(pl.col(name))
    labels = late(cohort.with_columns(turned.alias(name)), 0, tmp_path / "labels.csv")
    _, result = watched(cohort, vectors, place, bundle, tmp_path / "c", labels=[str(labels)])
    assert result["exit_code"] == 1
