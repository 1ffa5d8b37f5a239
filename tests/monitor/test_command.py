"""``equipoise monitor BUNDLE``: from the words on a command line to an exit code and a page."""

import pytest

from equipoise.cli import main
from equipoise.evidence import verify
from tests.monitor import made


def call(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code, capsys.readouterr().err


@pytest.mark.slow
def test_an_alarm_ends_with_one_and_leaves_evidence(capsys, place, bundle, tmp_path):
    rows, labels = made.cases(bundle, drift=0.6, a_month=120)
    log = made.write_log(tmp_path / "log", rows, bundle.digest)
    given = made.write_labels(tmp_path / "labels.csv", labels)
    out = tmp_path / "out"
    words = ("monitor", place, "--log", log, "--labels", given, "--out", out)
    code, err = call(capsys, *words)
    assert code == 1
    assert "verdict (out): fail" in err
    assert verify(out) == []
    assert call(capsys, *words)[0] == 1  # kept, and still an alarm


def test_too_few_labels_end_with_three(capsys, place, bundle, tmp_path):
    rows, labels = made.cases(bundle, months=1, a_month=20)
    log = made.write_log(tmp_path / "log", rows, bundle.digest)
    given = made.write_labels(tmp_path / "labels.csv", labels)
    code, err = call(
        capsys, "monitor", place, "--log", log, "--labels", given, "--out", tmp_path / "out"
    )
    assert code == 3
    assert "not assessable" in err


def test_a_log_that_is_not_there_ends_with_two_and_a_hint(capsys, place, tmp_path):
    code, err = call(
        capsys, "monitor", place, "--log", tmp_path / "none", "--out", tmp_path / "out"
    )
    assert code == 2
    assert "error:" in err
