"""A folder of DICOM files, with labels beside it."""

import numpy as np
import polars as pl
import pytest

from equipoise import ingest
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.scope import Scope
from equipoise.tables import ATTRITION, COHORT, ImageCache, read
from tests.images.made import dicom

WINDOW = {"WindowCenter": "2048", "WindowWidth": "4096"}


def write(folder, number, **header):
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        "SOPInstanceUID": f"1.2.{number}",
        "PatientID": f"p{number // 2}",
        "InstitutionName": "North Clinic",
        "PatientSex": "F",
        "PatientAge": "050Y",
        "StudyDate": "20200301",
        **WINDOW,
        **header,
    }
    pixels = np.full((8, 8), 100 * number)
    (folder / f"{number}.dcm").write_bytes(dicom(pixels, **header))


@pytest.fixture
def place(tmp_path):
    for number in range(4):
        write(tmp_path / "given" / "dicom" / "north", number)
    labels(
        tmp_path,
        {"sop_instance_uid": [f"1.2.{n}" for n in range(4)], "label:mass": [1, 0, 0, None]},
    )
    return tmp_path


def labels(place, rows):
    pl.DataFrame(rows).write_csv(place / "given" / "labels.csv")


def taken(place, workers=1, **more):
    options = ingest.Options.model_validate({"size": 4} | more)
    out = place / "out"
    inputs = {"dicom": place / "given"}
    said = ingest.run(options, inputs, out, Scope(base=place, workers=workers))
    cohort = read(out / "cohort.parquet", COHORT)
    return said, cohort, read(out / "attrition.parquet", ATTRITION), ImageCache.open(out)


def test_headers_and_labels_become_a_cohort(place):
    said, cohort, attrition, cache = taken(
        place, bands={"age_band": {"from": "age_years", "edges": [40]}}
    )
    assert cohort["image_id"].to_list() == ["1.2.0", "1.2.1", "1.2.2", "1.2.3"]
    assert cohort["patient_id"].to_list() == ["North Clinic/p0"] * 2 + ["North Clinic/p1"] * 2
    assert cohort["label:mass"].to_list() == [True, False, False, None]
    assert cohort["age_band"].to_list() == ["40+"] * 4
    assert str(cohort["acquired_on"][0]) == "2020-03-01"
    assert cohort["file_bytes"].null_count() == 0
    assert attrition.height == 0
    assert cache.pixels[cache.rows(["1.2.3"])[0], 0, 0] == round(300 / 4095 * 255)
    assert said["patients"] == 2


def test_truncated_and_foreign_files_leave_with_their_reasons_and_the_rest_is_kept(place):
    folder = place / "given" / "dicom" / "north"
    whole = (folder / "1.dcm").read_bytes()
    (folder / "1.dcm").write_bytes(whole[:-20])
    (folder / "readme.txt").write_text("not DICOM")
    _, cohort, attrition, cache = taken(place)
    assert cohort["image_id"].to_list() == ["1.2.0", "1.2.2", "1.2.3"]
    assert cache.pixels.shape[0] == 3
    reasons = dict(attrition.select("unit", "reason").iter_rows())
    assert "bytes of pixel data is less than expected" in reasons["north/1.dcm"]
    assert reasons["north/readme.txt"] == "not a DICOM file"
    assert reasons["1.2.1"] == "no DICOM file has this SOP instance UID"


def test_what_is_no_image_leaves(place):
    write(place / "given" / "dicom" / "north", 9, NumberOfFrames="2", Rows=4)
    _, cohort, attrition, _ = taken(place)
    assert cohort.height == 4
    assert attrition.row(0, named=True)["reason"] == "DICOM of 2 frames; expected one"


def test_an_image_without_labels_stays_and_is_not_assessed(place):
    write(place / "given" / "dicom" / "north", 9)
    said, cohort, _, _ = taken(place)
    assert cohort.filter(pl.col("image_id") == "1.2.9")["label:mass"].to_list() == [None]
    assert said["labels"]["mass"]["not_assessed"] == 2


def test_labels_that_match_no_image_are_listed(place):
    labels(place, {"sop_instance_uid": ["1.2.0", "7.7"], "label:mass": [1, 0]})
    _, _, attrition, _ = taken(place)
    assert attrition.select("unit", "rule").rows() == [("7.7", "label without image")]


def test_labels_can_be_joined_by_patient(place):
    labels(place, {"patient_id": ["p0", "p1"], "mass": [1, 0], "group": ["x", None]})
    columns = {"findings": {"mass": "mass"}, "attributes": {"group": "group"}}
    _, cohort, _, _ = taken(place, label_key="patient", columns=columns)
    assert cohort["label:mass"].to_list() == [True, True, False, False]
    assert cohort["group"].to_list() == ["x", "x", "unknown", "unknown"]


def test_labels_can_be_joined_by_path(place):
    labels(place, {"path": ["north/0.dcm"], "label:mass": [1]})
    _, cohort, _, _ = taken(place, label_key="path")
    assert cohort["label:mass"].to_list() == [True, None, None, None]


def test_two_label_rows_of_one_image_are_named(place):
    labels(place, {"sop_instance_uid": ["1.2.0", "1.2.0"], "label:mass": [1, 0]})
    with pytest.raises(InvalidTable, match=r"labels: 2 rows share SOP instance UID '1\.2\.0'"):
        taken(place)


def test_labels_without_a_finding_are_refused(place):
    labels(place, {"sop_instance_uid": ["1.2.0"], "mass": [1]})
    with pytest.raises(InvalidTable, match="labels: no finding: no column is called label:"):
        taken(place)


def test_a_label_that_is_none_is_refused(place):
    labels(place, {"sop_instance_uid": ["1.2.0", "1.2.1"], "label:mass": [1, 2]})
    with pytest.raises(InvalidTable, match="column 'label:mass': label '2' in row 1"):
        taken(place)


def test_two_files_of_one_image_id_are_named(place):
    write(place / "given" / "dicom" / "south", 8, SOPInstanceUID="1.2.0")
    with pytest.raises(
        InvalidTable, match=r"2 files share image id '1\.2\.0': north/0\.dcm, south/8"
    ):
        taken(place)


def test_the_site_can_be_the_folder_or_one_for_all(place):
    assert taken(place, site_from="folder")[1]["site"].unique().to_list() == ["north"]
    assert taken(place, site="x/y")[1]["patient_id"][0] == "x-y/p0"


def test_a_header_without_institution_is_an_unknown_site(place):
    write(place / "given" / "dicom" / "north", 0, InstitutionName="")
    assert taken(place)[1]["site"].to_list()[0] == "unknown"


@pytest.mark.parametrize(
    ("said", "level"), [("F", "F"), ("M", "M"), ("O", "O"), ("", "unknown"), ("X", "unknown")]
)
def test_sex_is_what_the_header_says_or_unknown(place, said, level):
    write(place / "given" / "dicom" / "north", 0, PatientSex=said)
    assert taken(place)[1]["sex"].to_list()[0] == level


def test_no_patient_id_and_no_person_are_reasons(place):
    folder = place / "given" / "dicom" / "north"
    write(folder, 0, PatientID="")
    write(folder, 1, PatientSpeciesDescription="Canine")
    _, cohort, attrition, _ = taken(place)
    assert cohort.height == 2
    assert set(attrition["rule"]) == {"no PatientID", "not a person", "label without image"}


def test_a_filter_works_on_headers_and_labels(place):
    _, cohort, attrition, _ = taken(place, where={"label:mass": 0})
    assert cohort["image_id"].to_list() == ["1.2.1", "1.2.2"]
    assert attrition["rule"].to_list() == ["filtered", "filtered"]
    assert attrition["sex"].to_list() == ["F", "F"]


def test_no_folder_at_all_is_said(tmp_path):
    with pytest.raises(InvalidConfiguration, match="neither a stage gives DICOM files nor"):
        ingest.run(ingest.Options(), {}, tmp_path, Scope())


def test_odd_headers_are_counted_in_the_result(place):
    write(place / "given" / "dicom" / "north", 0, WindowWidth="0")
    assert taken(place)[0]["notes"] == {"window width is not valid: full range used": 1}


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr("equipoise.images.batches._WORTH_PROCESSES", (200, 0))
    folder = tmp_path / "given" / "dicom" / "north"
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True)
    for number in range(300):
        header = {"SOPInstanceUID": f"1.2.{number}", "PatientID": f"p{number}", **WINDOW}
        content = dicom(rng.integers(0, 4096, (128, 128)), **header)
        (folder / f"{number}.dcm").write_bytes(content)
    taken(tmp_path, size=128)
    alone = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    taken(tmp_path, workers=2, size=128)
    assert alone == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_patient_id_keeps_its_zeros_in_a_csv(place):
    write(place / "given" / "dicom" / "north", 0, PatientID="0061")
    labels(place, {"patient_id": ["0061", "p1"], "label:mass": [1, 0]})
    assert taken(place, label_key="patient")[1]["label:mass"].to_list() == [
        True,
        None,
        False,
        False,
    ]
