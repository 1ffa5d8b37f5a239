"""The pictures of `figures` as matplotlib figures, for papers and notebooks (extra ``plot``).

A thin layer: which groups are drawn, where the points lie and what is said of those left out is
prepared in `figures` and `metrics.curves`, so that both drawings of a table agree. No state of
matplotlib is read or changed beyond the figure that comes back.
"""

from equipoise.plots.forests import forest
from equipoise.plots.groups import decision, reliability, roc

__all__ = ["decision", "forest", "reliability", "roc"]
