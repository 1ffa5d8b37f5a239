"""The command ``compare``: two models on the same images, group by group and gap by gap."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.cli.test_command_line import call

BY = ("--by", "sex=F,M", "--threshold", "0.5")


def models(tmp_path: Path, *, harm: float) -> list[str]:
    """Write two models on 600 images of 300 patients; the second scores women's disease lower."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(300), 2)
    sex, label = np.array(["F", "M"])[patient % 2], patient % 3 == 0
    score = np.clip(0.25 + 0.5 * label + 0.12 * rng.standard_normal(600), 0.0, 1.0)
    told = []
    for name, less in (("first", 0.0), ("second", harm)):
        mine = np.clip(score - less * ((sex == "F") & label), 0.0, 1.0)
        columns = {"image_id": np.arange(600), "patient_id": patient, "sex": sex}
        path = tmp_path / f"{name}.csv"
        pl.DataFrame({**columns, "label": label.astype(int), "score": mine}).write_csv(path)
        told.append(str(path))
    return told


def test_harm_to_one_group_is_shown_beside_the_gap(capsys, tmp_path) -> None:
    out = tmp_path / "out"
    told = models(tmp_path, harm=0.3)
    code, said, err = call(
        capsys, "compare", *told, *BY, "--reference", "sex=M", "--margin", "0.05", "--out", str(out)
    )
    assert code == 0, err
    found = pl.read_csv(out / "comparison.csv").filter(metric="sensitivity", sex="F")
    (within,) = found.filter(pl.col("contrast").is_null()).iter_rows(named=True)
    (gap,) = found.filter(pl.col("contrast").is_not_null()).iter_rows(named=True)
    assert within["high_simultaneous"] < 0
    assert gap["high_simultaneous"] < 0
    assert gap["difference"] == pytest.approx(within["difference"], abs=1e-9)
    assert "not shown" in said
    assert "change of each gap" in said


def test_a_model_beside_itself_changes_nothing(capsys, tmp_path) -> None:
    first, _ = models(tmp_path, harm=0.0)
    code, _, err = call(capsys, "compare", first, first, *BY, "--out", str(tmp_path / "out"))
    assert code == 0, err
    found = pl.read_csv(tmp_path / "out" / "comparison.csv")
    assert found["difference"].drop_nulls().abs().max() == 0.0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--margin", "5"), "--margin 5.0: "),
        (("--second-threshold", "0.4"), "expected --threshold for the first too"),
    ],
)
def test_what_is_said_wrongly_is_named(capsys, tmp_path, flags, words) -> None:
    told = models(tmp_path, harm=0.0)
    by = BY if flags[0] == "--margin" else BY[:2]
    code, _, err = call(capsys, "compare", *told, *by, *flags)
    assert code == 2
    assert words in err
