import numpy as np
import pytest

from equipoise.errors import InvalidInput
from equipoise.probes import fit_logistic, load, save

X = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])


@pytest.fixture
def saved(tmp_path):
    probe = fit_logistic(X, np.array([False, True, True]), penalty=0.3)
    save(probe, tmp_path / "probes" / "plain")
    return probe, tmp_path / "probes" / "plain"


def test_a_probe_comes_back_as_it_was_to_the_bit(saved):
    probe, path = saved
    back = load(path)
    assert back.weights.tobytes() == probe.weights.tobytes()
    assert (back.intercept, back.iterations) == (probe.intercept, probe.iterations)
    assert back.scores(X).tobytes() == probe.scores(X).tobytes()


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    probe, path = saved
    save(probe, tmp_path / "again")
    for ending in (".json", ".safetensors"):
        one = path.with_name(path.name + ending).read_bytes()
        assert one == (tmp_path / f"again{ending}").read_bytes()


def test_a_torn_file_is_an_error_that_names_it(saved):
    _, path = saved
    place = path.with_name("plain.safetensors")
    place.write_bytes(place.read_bytes()[:20])
    with pytest.raises(InvalidInput, match=r"plain\.safetensors: not readable as safetensors"):
        load(path)


def test_a_file_without_a_number_is_no_probe(saved):
    _, path = saved
    path.with_name("plain.json").write_text("{}")
    with pytest.raises(InvalidInput, match="no 'intercept' in it; expected a probe"):
        load(path)
