"""The command ``audit`` beyond a small table: streams, pictures, label error."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

BY = ("--by", "sex=F,M", "--by", "site=a,b", "--threshold", "0.5")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "equipoise", "audit", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    n = 1_200
    sick, sex = rng.random(n) < 0.4, rng.choice(["F", "M"], n)
    missed = sick & (sex == "F") & (rng.random(n) < 0.4)
    score = np.clip(0.3 + 0.4 * (sick & ~missed) + 0.1 * rng.standard_normal(n), 0, 1)
    path = tmp_path / "predictions.parquet"
    pl.DataFrame(
        {
            "patient_id": [f"{i // 2:05}" for i in range(n)],
            "sex": sex,
            "site": rng.choice(["a", "b"], n),
            "label:x": sick,
            "score:x": score.astype(np.float32),
        }
    ).write_parquet(path)
    return path


def test_figures_and_label_errors_are_written_and_bound_in_the_evidence(
    predictions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = command(str(predictions), *BY, "--figures", "--tipping", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "label error, sensitivity: sex=F" in done.stdout
    pictures = {path.name for path in (out / "figures").glob("*.svg")}
    assert {"roc-x-predictions.svg", "decision-x-predictions.svg"} <= pictures
    assert "figures/roc-x-predictions.svg" in (out / "evidence.json").read_text()
    found = pl.read_csv(out / "tipping.csv")
    assert set(found["target"]) == {"vanishes"}
    whole = pl.read_parquet(out / "tipping.parquet")
    assert whole.columns == found.columns
    assert whole["share"].to_list() == found["share"].to_list()
    assert '"tipping.parquet"' in (out / "evidence.json").read_text()


def test_a_margin_says_too_what_would_change_the_verdict(predictions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = (*BY, "--metric", "sensitivity")
    done = command(str(predictions), *told, "--tipping", "--margin", "0.1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "the gap would vanish" in done.stdout
    assert "the verdict would change" in done.stdout
    assert set(pl.read_parquet(out / "tipping.parquet")["target"]) == {"vanishes", "verdict"}
    assert '"margin":0.1' in (out / "evidence.json").read_text().replace(" ", "")


def test_a_margin_without_label_error_or_out_of_range_is_refused(predictions: Path) -> None:
    alone = command(str(predictions), *BY, "--margin", "0.1")
    assert (alone.returncode, "expected --tipping" in alone.stderr) == (2, True)
    wide = command(str(predictions), *BY, "--tipping", "--margin", "1.5")
    assert (wide.returncode, "margin 1.5; expected it in (0, 1)" in wide.stderr) == (2, True)


def test_a_stream_prints_what_memory_prints(predictions: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    told = (*BY, "--metric", "sensitivity", "--metric", "ppv")
    one, two = (
        command(str(predictions), *told, *more, "--out", str(tmp_path / name))
        for name, more in (("memory", ()), ("stream", ("--stream",)))
    )
    assert two.returncode == 0, two.stderr
    # Values and their intervals; the differences' limits share a family of another kind.
    shown = [
        [line.split("│")[1:3] for line in done.stdout.splitlines() if "rest" in line]
        for done in (one, two)
    ]
    assert shown[0] == shown[1]
    assert len(shown[0]) > 10
    again = command(str(tmp_path / "*.parquet"), *told, "--stream", "--out", str(tmp_path / "glob"))
    assert again.returncode == 0, again.stderr
    assert (
        "source:predictions/predictions.parquet"
        in (tmp_path / "glob" / "evidence.json").read_text()
    )


def test_a_stream_without_declared_levels_is_refused(predictions: Path) -> None:
    pytest.importorskip("pyarrow")
    done = command(str(predictions), "--by", "sex", "--stream")
    assert done.returncode == 2
    assert "'sex' has no declared levels, and a stream is read once" in done.stderr


def test_many_metrics_are_shown_as_an_overview(predictions: Path) -> None:
    from equipoise.metrics import names

    plain = [name for name in names() if not name.endswith("@")][:14]
    words = [word for name in plain for word in ("--metric", name)]
    done = command(str(predictions), *BY, *words)
    assert done.returncode == 0, done.stderr
    assert "everybody and the worst group" in done.stdout
    assert "assessed" in done.stdout
