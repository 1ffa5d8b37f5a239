"""Statistics of a running service: tests that may be looked at any day, charts, drift, delay.

The patient is the unit: whoever calls hands over one contribution of each patient. E-processes are
evidence; charts and tests of the inputs are early warnings; what is estimated without labels is
neither.
"""

from equipoise.surveillance.blocks import Blocks, blocks, ranked
from equipoise.surveillance.changes import moved, remixed, shifted, spent
from equipoise.surveillance.cusum import Design, cusum, designed
from equipoise.surveillance.delays import Arrival, arrival, labelled_share
from equipoise.surveillance.families import closed
from equipoise.surveillance.unlabelled import calibrated, expected_rates
from equipoise.surveillance.wealth import (
    floor_gains,
    gap_gains,
    log_wealth,
    reached_gains,
    within_gains,
)

__all__ = [
    "Arrival",
    "Blocks",
    "Design",
    "arrival",
    "blocks",
    "calibrated",
    "closed",
    "cusum",
    "designed",
    "expected_rates",
    "floor_gains",
    "gap_gains",
    "labelled_share",
    "log_wealth",
    "moved",
    "ranked",
    "reached_gains",
    "remixed",
    "shifted",
    "spent",
    "within_gains",
]
