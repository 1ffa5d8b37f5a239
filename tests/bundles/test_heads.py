"""A bundle is asked about images alone: a head that must be told the group is not in one."""

from types import SimpleNamespace

import numpy as np
import pytest

from equipoise import bundles, mitigations
from equipoise.bundles.contents import Head
from equipoise.bundles.opening import _head
from equipoise.errors import InvalidConfiguration, InvalidInput, Refused
from equipoise.mitigations import leace, recalibration
from equipoise.release.stage import _alone
from tests.mitigations.made import training

RNG = np.random.default_rng(0)


def needy():
    return recalibration.fit(training(), penalty=0.1, parameters={}, rng=RNG)


def free():
    return leace.fit(training(), penalty=0.1, parameters={}, rng=RNG)


def test_a_head_that_needs_the_group_is_not_written(tmp_path):
    parts = SimpleNamespace(manifest=SimpleNamespace(name="tiny"), heads={"edema": needy()})
    with pytest.raises(InvalidConfiguration, match=r"'edema' .*recalibration.* needs the group"):
        bundles.written(tmp_path / "bundle", parts)
    assert not (tmp_path / "bundle").exists()


def test_a_head_that_needs_the_group_is_not_opened_and_another_is(tmp_path):
    mitigations.save(needy(), tmp_path / "a")
    with pytest.raises(InvalidInput, match=r"head: a .*recalibration.* needs the group"):
        _head(tmp_path, Head(kind="probe", file="a"), None)
    mitigations.save(free(), tmp_path / "b")
    found = _head(tmp_path, Head(kind="probe", file="b"), None)
    x = training().x
    assert mitigations.scores(found, x).tobytes() == mitigations.scores(free(), x).tobytes()


def test_a_candidate_that_needs_the_group_is_not_released():
    with pytest.raises(Refused, match=r"candidate 'mine-0' .*recalibration.* needs the group"):
        _alone(needy(), "mine-0")
    assert _alone(free(), "mine-0").mitigation == "leace"
