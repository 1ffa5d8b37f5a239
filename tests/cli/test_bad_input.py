"""Bad input through the command, as a user meets it: one sentence, exit 2, nothing half-written."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from tests.cli.test_command_line import call

N = 12


@pytest.fixture
def place(tmp_path):
    """A small study that runs, on random pictures."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(N):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    return tmp_path


def study(place, *, table=None, **stages):
    """Run a study that is changed as asked; return exit code and stderr."""
    rows = {
        "image": [f"{i:02d}.png" for i in range(N)],
        "person": [f"{i // 2:03d}" for i in range(N)],
        "sex": ["F", "F", "M", "M"] * (N // 4),
        "mass": [0, 1] * (N // 2),
        "part": ["train", "train", "test", "test", "validation", "validation"] * (N // 6),
    }
    changed = {k: v for k, v in {**rows, **(table or {})}.items() if v is not None}
    pl.DataFrame(changed).write_csv(place / "table.csv")
    columns = {
        "patient": "person",
        "attributes": {"sex": "sex", "part": "part"},
        "findings": {"mass": {"column": "mass"}},
    }
    ingest = {"format": "files", "folder": "images", "table": "table.csv", "columns": columns}
    content = {
        "version": 1,
        "name": "bad",
        "stages": {
            "ingest": {**ingest, "site": "s", "size": 8},
            "curate": {"given": "part", "stratify_by": ["sex"], "folds": 2},
            "embed": {},
            **stages,
        },
    }
    (place / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return str(place / "study.yaml"), "--out", str(place / "run")


def left(run: Path) -> list[str]:
    """Return what stands in the run's folder, the cache of vectors aside."""
    return sorted(p.name for p in run.iterdir() if p.name != ".cache") if run.exists() else []


CASES = {
    "a missing column": (
        {"mass": None},
        {},
        "table: no column 'mass'; got ['image', 'person', 'sex', 'part'] (in stage 'ingest')",
        [],
    ),
    "a label that is none": (
        {"mass": [2] + [0, 1] * 5 + [0]},
        {},
        "column 'mass': label '2' in row 0; expected 0, 1, true, false or empty",
        [],
    ),
    "an image twice": (
        {"image": ["00.png", "00.png"] + [f"{i:02d}.png" for i in range(2, N)]},
        {},
        "table: 2 rows share image '00.png'; expected one row each",
        [],
    ),
    "a patient in two splits": (
        {"part": ["train", "test", "validation"] * (N // 3)},
        {},
        "patients are in two splits of column 'part'",
        ["ingest"],
    ),
    "an unknown key": ({}, {"embed": {"encodr": "x"}}, "unknown key 'encodr'", None),
    "an encoder that is no model": (
        {},
        {"embed": {"encoder": "onnx", "parameters": {"path": "table.csv", "card": "card.yaml"}}},
        "not an ONNX model that onnxruntime can run",
        ["curate", "ingest"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_keeps_the_stages_before(capsys, place, case):
    table, stages, message, kept = CASES[case]
    card = {"name": "c", "layout": "NHWC", "height": 8, "width": 8, "channels": 1}
    more = {"value_range": "uint8", "dimension": 4, "licence": "MIT"}
    (place / "card.yaml").write_text(yaml.safe_dump({**card, **more}))
    code, out, err = call(capsys, "run", *study(place, table=table, **stages))
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert left(place / "run") == (kept or [])


def test_a_picture_that_cannot_be_read_leaves_and_the_study_goes_on(capsys, place):
    (place / "images" / "03.png").write_bytes(b"no picture")
    words = study(place)
    code, _, _ = call(capsys, "run", *words)
    assert code == 0
    gone = pl.read_parquet(place / "run" / "ingest" / "attrition.parquet")
    assert gone.select("unit", "rule", "reason").rows() == [
        ("03.png", "not readable", "not an image that can be read")
    ]


def test_a_folder_of_another_format_has_a_hint(capsys, place):
    code, _, err = call(
        capsys,
        *("ingest", "--format", "dicom", "--folder", str(place / "images")),
        *("--out", str(place / "out")),
    )
    assert code == 2
    assert "could be used (12 not readable): 12 × not a DICOM file" in err
    assert "hint: see whether this is the folder meant, and its format 'dicom'" in err
    assert not (place / "out").exists()


def test_an_audit_of_percentages_says_what_to_do(capsys, tmp_path):
    rows = {"label": [0, 1], "score": [12.0, 80.0], "sex": ["F", "M"]}
    pl.DataFrame(rows).write_csv(tmp_path / "predictions.csv")
    code, out, err = call(capsys, "audit", str(tmp_path / "predictions.csv"), "--by", "sex")
    assert (code, out) == (2, "")
    assert "column 'score': 2 values are NaN or outside [0, 1], as 12.0 in row 0" in err
    assert "hint: if these are percentages, divide them by 100" in err
