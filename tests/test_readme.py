"""The README says what works: its Python runs, and its commands exist."""

import re

import numpy as np
import polars as pl

from equipoise import policies
from equipoise.study.titles import TITLES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def predictions(n=2400):
    rng = np.random.default_rng(1)
    patient = np.arange(n) // 2
    label = rng.random(n) < 0.4
    return pl.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "patient_id": [f"p{p}" for p in patient],
            "sex": np.where(patient % 2, "F", "M"),
            "age_band": np.array(["0-39", "40-64", "65+"])[patient % 3],
            "label": label.astype(int),
            "score": 1 / (1 + np.exp(-(3 * label - 1.5 + rng.standard_normal(n)))),
        }
    )


def test_the_ten_lines_of_python_run_and_print_a_table_and_a_reason(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    predictions().write_csv(tmp_path / "predictions.csv")
    (tmp_path / "policy.yaml").write_text(policies.example(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  our own README
    said = capsys.readouterr().out
    assert "sex=F" in said
    assert re.search(r"criteria|criterion", said)


def test_every_command_that_the_readme_shows_exists():
    shown = set(re.findall(r"^equipoise (\w+)", README, re.MULTILINE))
    assert {"audit", "run", "init", "verify", "schema"} <= shown
    assert shown <= {*TITLES, "run", "init", "verify", "schema", "demo", "serve", "federate"}


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
