import numpy as np

from equipoise.mitigations import plain
from equipoise.probes import fit_logistic
from tests.mitigations.made import training


def test_it_is_the_probe_itself():
    rows = training()
    found = plain.fit(rows, penalty=0.1, parameters={}, rng=np.random.default_rng(0))
    probe = fit_logistic(rows.x, rows.y, penalty=0.1)
    assert found.probe.weights.tobytes() == probe.weights.tobytes()


def test_the_group_losses_are_mean_log_losses():
    rows = training()
    found = plain.fit(rows, penalty=0.1, parameters={}, rng=np.random.default_rng(0))
    inside = rows.y & (rows.groups == "B")
    expected = -np.log(found.probe.scores(rows.x[inside])).mean()
    place = found.groups.index("positive|B")
    np.testing.assert_allclose(found.group_losses[place], expected)
