"""Matplotlib's pictures show what the SVG shows, and leave matplotlib's own state alone."""

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from equipoise import figures, plots, words
from equipoise.errors import MissingExtra
from equipoise.figures.frames import Frame
from tests.conftest import ROOT
from tests.figures.tables import CASES, case, counted, counts_of, estimated, estimates_of, normal
from tests.figures.test_curves import WILSON, lines_of

DRAW: dict[str, Callable[[pl.DataFrame, pl.DataFrame], Any]] = {
    "roc": lambda c, e: plots.roc(c, estimates=e, level=0.95),
    "reliability": lambda c, e: plots.reliability(c, estimates=e),
    "decision": lambda c, e: plots.decision(c, estimates=e),
    "forest": lambda _, e: plots.forest(e, metric="auroc"),
}


@pytest.mark.parametrize("figure", DRAW)
def test_without_matplotlib_the_error_says_what_to_install(
    figure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match="matplotlib is not installed") as error:
        DRAW[figure](*normal(["F"]))
    assert error.value.hint == "pip install 'equipoise[plot]'"


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in CASES if n != "sixty groups"])
@pytest.mark.parametrize("figure", DRAW)
def test_every_plot_bears_every_table(figure: str, name: str) -> None:
    pytest.importorskip("matplotlib")
    made = DRAW[figure](*case(name))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from font.*")
        made.savefig(io.BytesIO(), dpi=30)


@pytest.mark.slow
def test_sixty_groups_are_drawn_at_most_six_to_a_plot() -> None:
    pytest.importorskip("matplotlib")
    made = plots.roc(case("sixty groups")[0])
    names = [str(line.get_label()) for on in made.axes for line in on.lines]
    assert {f"level {k}" for k in range(60)} <= set(names)


def test_the_same_points_are_drawn_as_in_the_svg() -> None:
    pytest.importorskip("matplotlib")
    counts, _ = normal(["F", "M"])
    texts = words.load()
    frame = Frame(38.0, 26.0, 368.0, 368.0)
    svg = lines_of(figures.roc(counts, texts=texts))["F"]
    line = next(x for x in plots.roc(counts).axes[0].lines if x.get_label() == "F")
    mine = {(round(frame.x(a), 1), round(frame.y(b), 1)) for a, b in line.get_xydata()}
    assert mine == {(round(x, 1), round(y, 1)) for x, y in svg}


def test_an_operating_point_and_a_bins_limits_lie_where_the_counts_say() -> None:
    pytest.importorskip("matplotlib")
    shape = ({63: 60, 191: 10}, {63: 20, 191: 30})
    counts = counts_of(*[counted({"sex": s}, *shape, cells=(30, 10, 60, 20)) for s in (None, "F")])
    marks = [x for x in plots.roc(counts).axes[0].lines if x.get_linestyle() == "None"]
    np.testing.assert_allclose(marks[0].get_xydata(), [[10 / 70, 30 / 50]])
    on = plots.reliability(counts, bins=2).axes[0]
    [limits] = [bars for bars in on.collections if len(bars.get_segments()) == 2]
    ends = [segment[:, 1].tolist() for segment in limits.get_segments()]
    np.testing.assert_allclose(ends, WILSON, atol=1e-4)


def test_a_forest_draws_limits_where_they_are_and_says_why_a_group_has_no_value() -> None:
    pytest.importorskip("matplotlib")
    rows = [estimated({"sex": "F"}, 0.8), estimated({"sex": "M"}, None)]
    rows.append(estimated({"sex": "F"}, 0.7, adjustment="shrunken"))
    on = plots.forest(estimates_of(*rows), metric="auroc", floor=0.6).axes[0]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in on.lines]
    assert pytest.approx([0.75, 0.85]) in drawn
    assert pytest.approx([0.65, 0.75]) in drawn
    assert [0.6, 0.6] in drawn
    hollow = [x for x in on.lines if x.get_marker() == "D" and x.get_markerfacecolor() == "none"]
    assert [np.asarray(x.get_xdata()).tolist() for x in hollow] == [[0.7]]
    assert any("needs 26 more positives" in text.get_text() for text in on.texts)


def test_nothing_of_matplotlibs_own_state_is_changed() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    for draw in DRAW.values():
        draw(*normal(["F"]))
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_not_loaded() -> None:
    pytest.importorskip("matplotlib")
    probe = (
        "import sys; from equipoise import plots; from tests.figures.tables import normal;"
        "plots.roc(*normal(['F'])[:1]); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=False).returncode == 0
