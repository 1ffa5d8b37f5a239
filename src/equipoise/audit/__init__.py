"""The audit: predictions and declared subgroups in, counts and estimates out."""

from equipoise.audit.auditing import estimates
from equipoise.audit.comparing import Comparison, compared
from equipoise.audit.components import Components, components
from equipoise.audit.encoding import Probing, encoding
from equipoise.audit.options import Options
from equipoise.audit.pairing import unpaired
from equipoise.audit.stage import run
from equipoise.audit.streaming import streamed
from equipoise.audit.summary import summary
from equipoise.metrics.reading import from_arrays, read_predictions

VERSION = 1
NEEDS = ("cohort", "predictions")
WANTS = ("splits",)
GIVES = ("estimates",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Comparison",
    "Components",
    "Options",
    "Probing",
    "compared",
    "components",
    "encoding",
    "estimates",
    "from_arrays",
    "read_predictions",
    "run",
    "streamed",
    "summary",
    "unpaired",
]
