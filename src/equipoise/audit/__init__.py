"""The audit: predictions and declared subgroups in, counts and estimates out."""

from equipoise.audit.adjusting import reweighted, standardised
from equipoise.audit.auditing import audited, estimates
from equipoise.audit.comparing import Comparison, compared
from equipoise.audit.components import Components, components
from equipoise.audit.encoding import Probing, encoding
from equipoise.audit.mixing import below
from equipoise.audit.options import Options
from equipoise.audit.pairing import unpaired
from equipoise.audit.powering import Expected, power, power_curve
from equipoise.audit.prompts import prompt_estimates, prompt_sensitivity
from equipoise.audit.resampling import bootstrapped
from equipoise.audit.slices import Slices, Slicing, slices
from equipoise.audit.slicing import Rule, load_rule, save_rule
from equipoise.audit.stage import run
from equipoise.audit.streaming import streamed
from equipoise.audit.summary import summary
from equipoise.metrics.reading import from_arrays, read_predictions
from equipoise.metrics.tipping import tipping

VERSION = 2
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
    "Expected",
    "Options",
    "Probing",
    "Rule",
    "Slices",
    "Slicing",
    "audited",
    "below",
    "bootstrapped",
    "compared",
    "components",
    "encoding",
    "estimates",
    "from_arrays",
    "load_rule",
    "power",
    "power_curve",
    "prompt_estimates",
    "prompt_sensitivity",
    "read_predictions",
    "reweighted",
    "run",
    "save_rule",
    "slices",
    "standardised",
    "streamed",
    "summary",
    "tipping",
    "unpaired",
]
