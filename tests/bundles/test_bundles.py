"""A bundle written, opened, altered, zipped; the same scores as the offline stage."""

import json
import zipfile
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import bundles, evidence, mitigations
from equipoise.bundles import reference as references
from equipoise.errors import (
    AlteredEvidence,
    InvalidConfiguration,
    InvalidEncoder,
    InvalidInput,
    Refused,
)
from equipoise.scope import Scope
from tests.bundles import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle that is not to be changed."""
    return made.bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def reopened(folder, tmp_path):
    """A copy that may be changed."""
    import shutil

    return shutil.copytree(folder, tmp_path / "copy")


def test_scores_of_a_bundle_are_those_of_the_offline_stage_bit_by_bit(folder):
    found = bundles.opened(folder)
    _, pixels, vectors = made.drawn()
    fitted = mitigations.load(folder / found.manifest.heads[made.FINDING].file)
    offline = mitigations.scores(fitted, vectors)
    online = bundles.scores(found, found.encoder.embed(pixels))[made.FINDING]
    assert online.dtype == np.float32
    assert np.array_equal(offline, online)


def test_a_bundle_says_what_it_is(folder):
    found = bundles.opened(folder)
    assert found.name == "tiny"
    assert found.findings == (made.FINDING,)
    assert found.override is None
    assert found.policy.name == "tiny"
    assert found.operating_points["candidate"].to_list() == ["plain"]
    assert found.contract.frame.shape == (made.SIZE, made.SIZE)
    assert found.audit.attributes["sex"] == ["F", "M", "unknown"]
    assert evidence.verify(folder) == []
    assert found.digest == evidence.folder_digest(folder)


@pytest.mark.slow
def test_the_same_parts_make_the_same_digest(folder, tmp_path):
    again = made.bundle(tmp_path / "again")
    assert bundles.opened(again).digest == bundles.opened(folder).digest


@pytest.mark.parametrize("how", ["altered", "missing", "added"])
def test_a_file_that_differs_is_named(folder, tmp_path, how):
    copy = reopened(folder, tmp_path)
    name = "operating_points.parquet" if how != "added" else "extra.txt"
    if how == "missing":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(b"other")
    with pytest.raises(AlteredEvidence, match=f"{name} is {how}"):
        bundles.opened(copy)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"no bundle\.json and no evidence\.json"):
        bundles.opened(tmp_path)


@pytest.mark.parametrize("name", ["os:system", "torch"])
def test_a_bundle_may_name_no_code_of_its_own(folder, tmp_path, name):
    """The loader `torch` would call a function that the card names."""
    copy = reopened(folder, tmp_path)
    path = copy / "encoder" / "encoder.json"
    path.write_text(json.dumps({"encoder": name, "parameters": {}}))
    said = evidence.read_statement(copy)
    for entry in said["subject"]:
        entry["digest"]["sha256"] = evidence.subjects(copy)[entry["name"]]
    evidence.write_statement(copy, said)
    with pytest.raises(InvalidEncoder, match="a bundle may name demo, filterbank, onnx"):
        bundles.opened(copy)


def test_a_zip_opens_as_its_folder_and_is_the_same_every_time(folder, tmp_path):
    bundles.packed(folder, tmp_path / "a.zip")
    bundles.packed(folder, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    scope = Scope(cache=tmp_path / "cache")
    assert bundles.opened(tmp_path / "a.zip", scope).digest == bundles.opened(folder).digest
    assert bundles.opened(tmp_path / "a.zip", scope).digest == bundles.opened(folder).digest
    with pytest.raises(InvalidInput, match="needs a folder to be unpacked into"):
        bundles.opened(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "..\\evil", "C:evil"])
def test_a_zip_with_a_path_that_escapes_is_not_unpacked(tmp_path, name):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", "{}")
        archive.writestr(name, "x")
    with pytest.raises(InvalidInput, match="outside its folder"):
        bundles.opened(path, Scope(cache=tmp_path / "cache"))
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    assert not (tmp_path / "evil.txt").exists()


def test_a_zip_with_a_link_is_not_unpacked(tmp_path):
    path = tmp_path / "link.zip"
    info = zipfile.ZipInfo("bundle.json")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InvalidInput, match="a link or device"):
        bundles.opened(path, Scope(cache=tmp_path / "cache"))


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"hello")
    with pytest.raises(InvalidInput, match="not readable as a zip"):
        bundles.opened(path, Scope(cache=tmp_path / "cache"))


@pytest.mark.slow
def test_a_bundle_is_not_written_over_another(folder):
    with pytest.raises(InvalidConfiguration, match="not empty"):
        made.bundle(folder)


@pytest.mark.slow
def test_an_override_travels_and_runs_out(tmp_path):
    found = bundles.opened(made.bundle(tmp_path / "b", override=made.OVERRIDE, verdict="fail"))
    assert found.override == made.OVERRIDE
    said = evidence.read_statement(found.folder)["predicate"]["result"]
    assert said["override"]["name"] == "A. Lee"
    bundles.check_in_force(found.override, on=date(2030, 1, 31), name=found.name)


@pytest.mark.slow
def test_a_bundle_that_did_not_pass_is_of_no_use_without_an_override(folder, tmp_path):
    bundles.check_usable(bundles.opened(folder), on=None)
    failed = bundles.opened(made.bundle(tmp_path / "b", verdict="fail"))
    with pytest.raises(Refused, match=r"its verdict is 'fail' .* no override is recorded"):
        bundles.check_usable(failed, on=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("acquisition", "why"),
    [
        ({"modality": "CT"}, "modality 'CT'"),
        ({"modality": None}, "no modality in the header"),
        ({"modality": "DX", "view": "LL"}, "view 'LL'"),
        ({"rows": 16}, "16 rows"),
        ({"rows": 64, "columns": 4096}, "4096 columns"),
    ],
)
def test_the_input_gate_refuses_what_the_contract_does_not_take(folder, acquisition, why):
    assert why in bundles.refusal(bundles.opened(folder), acquisition)


@pytest.mark.parametrize(
    "acquisition", [{}, {"view": None}, {"modality": "DX", "view": "AP", "rows": 64}]
)
def test_the_input_gate_takes_what_the_reference_was_like(folder, acquisition):
    assert bundles.refusal(bundles.opened(folder), acquisition) is None


def test_distances_are_those_of_scikit_learns_ledoit_wolf():
    sklearn = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(4)
    for n, d in ((300, 6), (30, 50)):
        train = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3.0
        new = rng.normal(size=(20, d))
        made_of = bundles.described(train, np.empty((0, d)))
        z = (train - train.mean(axis=0)) / train.std(axis=0)
        theirs = sklearn.LedoitWolf(assume_centered=True).fit(z)
        assert made_of.shrinkage == pytest.approx(theirs.shrinkage_, rel=1e-9)
        their = np.sqrt(theirs.mahalanobis((new - train.mean(axis=0)) / train.std(axis=0)))
        assert references.distances_to(made_of, new) == pytest.approx(their, rel=1e-4)


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(1, 12))
def test_a_shift_and_a_scale_of_each_column_change_no_distance(seed, n, d):
    rng = np.random.default_rng(seed)
    train, new = rng.normal(size=(n, d)), rng.normal(size=(4, d))
    scale, shift = rng.uniform(0.5, 2.0, size=d), rng.normal(size=d)
    nothing = np.empty((0, d))
    plain = references.distances_to(bundles.described(train, nothing), new)
    moved = references.distances_to(
        bundles.described(train * scale + shift, nothing), new * scale + shift
    )
    assert moved == pytest.approx(plain, rel=1e-3, abs=1e-5)


def test_a_constant_column_and_two_rows_are_no_obstacle():
    train = np.array([[1.0, 5.0], [2.0, 5.0]])
    found = bundles.described(train, train)
    assert np.isfinite(references.distances_to(found, train)).all()
    assert references.components_of(found, train).shape == (2, 1)


def test_held_out_images_lie_further_off_than_those_that_shaped_the_covariance():
    rng = np.random.default_rng(1)
    train, held = rng.normal(size=(60, 40)), rng.normal(size=(200, 40))
    found = bundles.described(train, held)
    assert found.distances[0.5] > np.median(references.distances_to(found, train))
