from pathlib import Path

import polars as pl
import pytest

from equipoise import adapt, curate, tables
from equipoise.audit.locking import check_locked
from equipoise.errors import InvalidTable
from tests.audit.test_stage import run, run_folders
from tests.bench.made import cohort

POINTS = ({"name": "high", "rule": "specificity", "at": 0.9}, {"name": "even", "rule": "youden"})


@pytest.fixture(scope="module", params=[None, "the clinic asked for it"])
def made(request: pytest.FixtureRequest) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return operating points, predictions and cohort, with a common threshold and without."""
    frame, vectors = cohort(patients=400)
    unassessed = pl.col("image_id").is_in(frame["image_id"].gather_every(9).to_list())
    label = pl.when(unassessed).then(None).otherwise(pl.col("label:edema"))
    frame = frame.with_columns(label.alias("label:edema"))
    images = adapt.rows(frame, curate.splits(frame), vectors, findings=None, group_by=("sex",))
    asked = adapt.Options(
        candidates=(),
        penalties=(1.0,),
        evaluation="split",
        operating_points=POINTS[: 1 if request.param else 2],
        group_thresholds=request.param,
    )
    found = adapt.predictions(images, asked)
    chosen = str(found.selection["candidate"])
    points = found.operating_points.filter(candidate=chosen)
    assert points.height == len(asked.operating_points)
    return points, found.predictions[str(found.selection["file"])], frame


def test_points_as_adaptation_leaves_them_are_locked(made) -> None:
    check_locked(*made)
    points, scores, frame = made
    check_locked(points, scores.reverse(), frame.reverse())


@pytest.mark.parametrize("what", ["score", "label", "row"])
def test_whatever_was_changed_on_validation_is_seen(made, what: str) -> None:
    points, scores, frame = made
    image = scores.filter(split="validation")["image_id"][0]
    here = pl.col("image_id") == image
    if what == "score":
        changed = pl.when(here).then(0.5).otherwise(pl.col("score:edema")).cast(pl.Float32)
        scores = scores.with_columns(changed.alias("score:edema"))
    elif what == "label":
        turned = pl.when(here).then(~pl.col("label:edema")).otherwise(pl.col("label:edema"))
        frame = frame.with_columns(turned.alias("label:edema"))
    else:
        scores = scores.filter(~here)
    with pytest.raises(InvalidTable, match="'high' of finding 'edema': its digest is not that of"):
        check_locked(points, scores, frame)


def test_a_change_elsewhere_is_no_matter_of_theirs(made) -> None:
    points, scores, frame = made
    check_locked(points, scores.filter(pl.col("split") != "test"), frame)


def test_a_threshold_that_its_rule_does_not_give_is_refused(made) -> None:
    points, scores, frame = made
    moved = points.with_columns(pl.col("threshold") + 0.01)
    if points["rule"][0].endswith("in each group"):
        check_locked(moved, scores, frame)  # what it was chosen on is not on disk
        return
    with pytest.raises(InvalidTable, match=r"threshold .*; its rule 'specificity >= 0.9' gives"):
        check_locked(moved, scores, frame)


def test_the_stage_looks(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    path = folders["predictions"] / "predictions/plain-0.parquet"
    scores = tables.read(path, tables.PREDICTIONS)
    splits = tables.read(folders["splits"] / "splits.parquet", tables.SPLITS)
    told = splits.select("image_id", split=pl.col("split").replace("train", "validation"))
    tables.write(scores.drop("fold").join(told, on="image_id"), path, tables.PREDICTIONS)
    with pytest.raises(InvalidTable, match="'high' of finding 'x': its digest"):
        run(tmp_path, folders)
