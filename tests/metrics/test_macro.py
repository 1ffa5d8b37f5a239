"""Macro averages over the classes of one task."""

import numpy as np
import polars as pl
import pytest

from equipoise import audit, metrics
from equipoise.metrics.macro import MACRO
from tests.metrics.made import SMALL

CLASSES = ("mel", "nv", "bcc")


def task(rng: np.random.Generator, patients: int = 200, images: int = 2) -> pl.DataFrame:
    """Return rows of one task of three classes, a patient's images of one class."""
    n = patients * images
    truth = np.repeat(rng.integers(0, 3, patients), images)
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return pl.DataFrame(
        {
            "image_id": [str(i) for i in range(n)],
            "patient_id": np.repeat(np.arange(patients), images),
            "sex": np.repeat(rng.choice(["F", "M"], patients), images),
            "label": np.array(CLASSES)[truth],
            **{f"score:{name}": share[:, k] for k, name in enumerate(CLASSES)},
        }
    )


def macro(rows: pl.DataFrame, metric: str = "auroc", **more: object) -> dict[str, object]:
    options = audit.Options(minimum=SMALL, metrics=[metric])
    found = audit.estimates(rows, by={"sex": ["F", "M"]}, options=options, **more)
    own = found.filter(
        pl.col("contrast").is_null(), pl.col("sex").is_null(), interval="pointwise", level=0.95
    )
    return own.filter(finding=MACRO).row(0, named=True)


def test_a_macro_auroc_is_the_mean_over_classes_as_in_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rows = task(np.random.default_rng(0))
    scores = rows.select(f"score:{name}" for name in sorted(CLASSES)).to_numpy()
    expected = sklearn.roc_auc_score(rows["label"].to_numpy(), scores, multi_class="ovr")
    assert macro(rows)["value"] == pytest.approx(expected, abs=1e-9)


def test_its_error_is_that_of_a_bootstrap_of_patients() -> None:
    rng = np.random.default_rng(1)
    rows = task(rng, 150)
    error = macro(rows)["standard_error"]
    labels = rows["label"].to_numpy().reshape(150, 2)
    scores = rows.select(f"score:{name}" for name in CLASSES).to_numpy().reshape(150, 2, 3)
    drawn = []
    for _ in range(400):
        who = rng.integers(0, 150, 150)
        y, s = labels[who].ravel(), scores[who].reshape(-1, 3)
        aurocs = []
        for k, name in enumerate(CLASSES):
            up, down = s[y == name, k], np.sort(s[y != name, k])
            aurocs.append(metrics.placements(up, down).mean())
        drawn.append(np.mean(aurocs))
    assert error == pytest.approx(np.std(drawn), rel=0.15)


def test_what_one_class_lacks_the_macro_average_lacks() -> None:
    rows = task(np.random.default_rng(2)).with_columns(
        label=pl.when(pl.col("sex") == "F").then(pl.lit("nv")).otherwise("label")
    )
    options = audit.Options(minimum=SMALL, metrics=["auroc"])
    found = audit.estimates(rows, by={"sex": ["F", "M"]}, options=options)
    row = found.filter(pl.col("contrast").is_null(), finding=MACRO, sex="F").row(0, named=True)
    assert row["value"] is None
    assert row["status"] == "not assessable"
    assert "mel: sex=F has 0 positives" in row["reason"]


def test_a_macro_sensitivity_has_no_trials_and_a_delta_interval() -> None:
    row = macro(task(np.random.default_rng(3)), "sensitivity", operating_points={"third": 1 / 3})
    assert row["trials"] is None
    assert row["low"] < row["value"] < row["high"]
    assert row["method"].startswith("delta method")


def test_findings_that_are_no_classes_have_no_macro_average() -> None:
    rng = np.random.default_rng(4)
    rows = pl.DataFrame(
        {"patient_id": range(90), "sex": ["F", "M"] * 45, "label:x": rng.random(90) < 0.5,
         "label:y": rng.random(90) < 0.5, "score:x": rng.random(90), "score:y": rng.random(90)}
    )  # fmt: skip
    options = audit.Options(minimum=SMALL)
    found = audit.estimates(rows, by={"sex": ["F", "M"]}, options=options)
    assert set(found["finding"]) == {"x", "y"}
