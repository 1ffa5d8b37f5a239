"""The command ``audit --standardise``: crude gaps and those at one case mix side by side."""

from pathlib import Path

import polars as pl
import pytest

from equipoise.cli.standardising import mixes_said
from equipoise.errors import InvalidConfiguration
from tests.audit.test_adjusting import rows
from tests.cli.test_command_line import call

BY = ("--by", "sex=F,M", "--threshold", "0.5")


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.parquet"
    rows().write_parquet(path)
    return path


def test_crude_and_standardised_gaps_stand_side_by_side(capsys, predictions, tmp_path) -> None:
    out = tmp_path / "out"
    mixes = ("--standardise", "view=overall", "--standardise", "view=AP:0.5,PA:0.5;prevalence=0.2")
    code, told, err = call(capsys, "audit", str(predictions), *BY, *mixes, "--out", str(out))
    assert code == 0, err
    assert "standardised to the overall mix of view" in told
    assert "standardised to the declared mix of view, prevalence 0.2" in told
    assert "effective images" in told
    found = pl.read_parquet(out / "estimates.parquet")
    assert {"crude", "standardised to the overall mix of view"} <= set(found["adjustment"])
    assert '"view": "overall"' in (out / "evidence.json").read_text().replace('":"', '": "')


def test_what_cannot_be_standardised_is_said_with_the_reason(capsys, predictions) -> None:
    code, told, err = call(capsys, "audit", str(predictions), *BY, "--standardise", "sex=overall")
    assert code == 0, err
    assert "not standardised to the overall mix of sex" in told
    assert "which is in the case mix" in told


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("view", "expected age_band=overall"),
        ("view=AP:half,PA:0.5", "'half' is no number"),
        ("prevalence=0.x", "'0.x' is no number"),
    ],
)
def test_a_mix_that_cannot_be_read_is_explained(said: str, words: str) -> None:
    with pytest.raises(InvalidConfiguration, match=words):
        mixes_said([said])


def test_each_flag_is_a_mix_of_its_own() -> None:
    assert mixes_said(["scanner=a:b:1.0"]) == [{"scanner": {"a:b": 1.0}}]
    assert mixes_said(["age_years=0-64:0.7,65+:0.3", "view=sex=M;prevalence=overall"]) == [
        {"age_years": {"0-64": 0.7, "65+": 0.3}},
        {"view": "sex=M", "prevalence": "overall"},
    ]


def test_two_mixes_of_one_name_and_a_stream_are_refused(capsys, predictions) -> None:
    same = ("--standardise", "view=AP:0.5,PA:0.5", "--standardise", "view=AP:0.1,PA:0.9")
    code, _, err = call(capsys, "audit", str(predictions), *BY, *same)
    assert (code, "two case mixes" in err) == (2, True)
    pytest.importorskip("pyarrow")
    words = (*BY, "--standardise", "view=overall", "--stream")
    code, _, err = call(capsys, "audit", str(predictions), *words)
    assert (code, "a stream cannot be standardised" in err) == (2, True)
