"""Monitor: a model in use, watched from the cases it answered and the labels that came since.

Evidence are sequential tests on labelled cases; everything else, charts, drift, and what is
guessed without labels, is a warning or a guess and says so.
"""

from equipoise.monitor.options import Options
from equipoise.monitor.stage import run, sources

VERSION = 2
NEEDS: tuple[str, ...] = ()
WANTS = ("bundle", "cohort", "embeddings", "late_labels")
GIVES = ("monitoring",)

__all__ = ["GIVES", "NEEDS", "VERSION", "WANTS", "Options", "run", "sources"]
