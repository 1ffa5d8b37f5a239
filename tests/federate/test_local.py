import json

import polars as pl
import pytest

from equipoise import tables
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable
from equipoise.federate.local import NotAsDeclared, keyed_of, local, pseudonyms, rows
from equipoise.federate.simulating import write_site
from tests.federate.made import hospital, study


@pytest.fixture
def folder(tmp_path):
    hospital("ridge", seed=1, patients=30).write_parquet(tmp_path / "ridge.parquet")
    write_site(tmp_path / "local", study(), tmp_path / "ridge.parquet", b"k" * 32)
    return tmp_path / "local"


def test_a_site_reads_what_its_own_folder_names(folder, tmp_path):
    found = local(folder, "ridge")
    assert found.study == study()
    assert found.frame["patient_id"].n_unique() == 30
    assert found.digests == {"ridge.parquet": tables.file_digest(tmp_path / "ridge.parquet")}
    assert "image_id" not in found.frame.columns


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"study": "federation.yaml", "data": "x"}, "no key 'linkage_key'"),
        (
            {"study": "a", "data": "b", "linkage_key": "c", "dat": "d"},
            "unknown key 'dat'; expected data, linkage_key, study",
        ),
    ],
)
def test_a_site_file_that_says_too_much_or_too_little_is_an_error(folder, said, message):
    (folder / "equipoise.json").write_text(json.dumps(said))
    with pytest.raises(InvalidConfiguration, match=message):
        local(folder, "ridge")


def test_a_short_linkage_key_is_refused(folder):
    (folder / "linkage.key").write_bytes(b"short")
    with pytest.raises(InvalidInput, match="the linkage key has 5 bytes; expected 32 or more"):
        local(folder, "ridge")


def test_a_folder_of_cohort_and_predictions_is_joined_by_image(tmp_path):
    made = hospital("ridge", seed=1, patients=30)
    cohort = made.drop("score:opacity").with_columns(site=pl.lit("ridge"))
    scores = made.select("image_id", "score:opacity").sample(fraction=1.0, shuffle=True, seed=1)
    tables.write(cohort, tmp_path / "cohort.parquet", tables.COHORT)
    tables.write(scores, tmp_path / "predictions.parquet", tables.PREDICTIONS)
    found, digests = rows(tmp_path, study())
    assert set(digests) == {"cohort.parquet", "predictions.parquet"}
    key = ["patient_id", "label:opacity", "score:opacity"]
    assert found.select(key).sort(key).equals(made.select(key).sort(key))
    tables.write(cohort.head(5), tmp_path / "cohort.parquet", tables.COHORT)
    with pytest.raises(InvalidTable, match="images are not in the cohort"):
        rows(tmp_path, study())


def test_what_is_not_declared_is_said_without_a_value_of_any_row(tmp_path):
    path = tmp_path / "ridge.parquet"
    hospital("ridge", seed=1, patients=30).with_columns(sex=pl.lit("secret")).write_parquet(path)
    with pytest.raises(NotAsDeclared, match="rows have a level that is not declared") as caught:
        rows(path, study())
    assert "secret" not in str(caught.value)


def test_pseudonyms_need_the_same_key_to_coincide(folder, tmp_path):
    one = local(folder, "ridge")
    write_site(tmp_path / "other", study(), tmp_path / "ridge.parquet", b"q" * 32)
    other = local(tmp_path / "other", "ridge")
    assert pseudonyms(one, "1") == pseudonyms(one, "1")
    mine, theirs = (set(keyed_of(pseudonyms(site, "1")).ids) for site in (one, other))
    assert not mine & theirs


def test_codes_that_are_local_do_not_leave_the_site(folder):
    assert pseudonyms(local(folder, "ridge"), "1")["codes"] == b""
