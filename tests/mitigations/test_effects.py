"""Each published effect on rows made for it, and what it costs: see ``docs/mitigations.md``."""

import pytest

from equipoise.mitigations import MITIGATIONS
from tests.mitigations.effects import EFFECTS, holds

LABEL = "{0.name}-{0.problem.__name__}-{0.measure.__name__}-{0.moves}"


@pytest.mark.slow
@pytest.mark.parametrize("effect", EFFECTS, ids=LABEL.format)
def test_the_interval_over_seeds_lies_where_it_is_said_to(effect):
    assert holds(effect)


def test_every_member_has_an_effect_tested():
    assert set(MITIGATIONS) - {"plain"} == {effect.name for effect in EFFECTS}
