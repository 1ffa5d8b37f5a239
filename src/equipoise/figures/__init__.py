"""Pictures of tables: SVG as text, made from estimates and counts, nothing loaded, no scripts.

A group without a value keeps its row and says why; nothing is told by colour alone; the same
table gives the same bytes.
"""

from equipoise.figures.albums import audit_figures
from equipoise.figures.calibrations import reliability
from equipoise.figures.decisions import decision
from equipoise.figures.differences import SYMBOLS, contrast_name, contrasts, subgroup_key
from equipoise.figures.forests import forest
from equipoise.figures.numbers import bracketed, percent, plain, signed, signed_bracketed
from equipoise.figures.panels import Line, Rule, panel
from equipoise.figures.reasons import bare_reason, short_reason
from equipoise.figures.rocs import roc
from equipoise.figures.rows import family_name, row_name
from equipoise.figures.shares import bars
from equipoise.figures.spans import Span, attributes_of, spans

__all__ = [
    "SYMBOLS",
    "Line",
    "Rule",
    "Span",
    "attributes_of",
    "audit_figures",
    "bare_reason",
    "bars",
    "bracketed",
    "contrast_name",
    "contrasts",
    "decision",
    "family_name",
    "forest",
    "panel",
    "percent",
    "plain",
    "reliability",
    "roc",
    "row_name",
    "short_reason",
    "signed",
    "signed_bracketed",
    "spans",
    "subgroup_key",
]
