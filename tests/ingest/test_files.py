"""A folder of PNG files with a table."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from equipoise import ingest
from equipoise.errors import InvalidConfiguration, InvalidImage, InvalidInput, InvalidTable
from equipoise.scope import Scope
from equipoise.tables import ATTRITION, COHORT, ImageCache, metadata, read

COLUMNS = {
    "patient": "person",
    "age": "age",
    "view": "view",
    "attributes": {"sex": "sex"},
    "findings": {"mass": "mass"},
}
ROWS = {
    "image": ["a.png", "b.png", "c.png"],
    "person": ["1", "1", "2"],
    "age": [30, 30, None],
    "view": ["AP", "PA", None],
    "sex": ["F", "F", None],
    "mass": [1, 0, None],
    "read": ["Edema|Mass", "Mass", None],
}


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for shade, name in enumerate("abc"):
        Image.fromarray(np.full((6, 8), 10 * shade, np.uint8)).save(folder / f"{name}.png")
    return tmp_path


def taken(place, rows=ROWS, **more):
    """Return result and tables of a run."""
    pl.DataFrame(rows).write_csv(place / "table.csv")
    options = {
        "format": "files",
        "folder": "scans",
        "table": "table.csv",
        "site": "north",
        "size": 4,
        "columns": COLUMNS,
    } | more
    out = place / "out"
    said = ingest.run(ingest.Options.model_validate(options), {}, out, Scope(base=place))
    cohort = read(out / "cohort.parquet", COHORT)
    return said, cohort, read(out / "attrition.parquet", ATTRITION), ImageCache.open(out)


def test_a_folder_with_a_table_becomes_a_cohort(place):
    said, cohort, attrition, cache = taken(place)
    assert cohort["patient_id"].to_list() == ["north/1", "north/1", "north/2"]
    assert cohort["label:mass"].to_list() == [True, False, None]
    assert cohort["sex"].to_list() == ["F", "F", "unknown"]
    assert cohort["age_years"].to_list() == [30.0, 30.0, None]
    assert cohort["rows"].to_list() == [6, 6, 6]
    assert cohort["compression"].to_list() == ["lossless"] * 3
    assert attrition.height == 0
    assert cache.pixels[cache.rows(["c.png"])[0]].tolist() == np.full((4, 4), 20).tolist()
    assert said["labels"] == {"mass": {"positive": 1, "negative": 1, "not_assessed": 1}}


def test_an_unreadable_png_leaves_with_its_reason_and_its_group_and_the_rest_is_kept(place):
    (place / "scans" / "a.png").write_bytes(b"\x89PNG broken")
    _, cohort, attrition, cache = taken(
        place, bands={"age_band": {"from": "age_years", "edges": [40]}}
    )
    assert cohort["image_id"].to_list() == ["b.png", "c.png"]
    row = attrition.row(0, named=True)
    assert (row["unit"], row["rule"]) == ("a.png", "not readable")
    assert row["reason"] == "not an image that can be read"
    assert (row["site"], row["sex"], row["age_band"]) == ("north", "F", "0-39")
    assert cache.pixels.shape == (2, 4, 4)
    assert cache.pixels[cache.rows(["b.png"])[0]].max() == 10


def test_files_without_a_row_and_rows_without_a_file_are_listed(place):
    (place / "scans" / "b.png").rename(place / "scans" / "z.png")
    (place / "scans" / "notes.txt").write_text("seen")
    said, cohort, attrition, _ = taken(place)
    assert cohort["image_id"].to_list() == ["a.png", "c.png"]
    assert attrition.select("unit", "rule", "sex").rows() == [
        ("b.png", "no file", "F"),
        ("notes.txt", "not an image", None),
        ("z.png", "no row", None),
    ]
    assert said["left_by_rule"] == {"no file": 1, "no row": 1, "not an image": 1}


def test_a_filter_leaves_a_trace_for_each_row(place):
    _, cohort, attrition, _ = taken(place, where={"view": ["AP", "LL"]})
    assert cohort["image_id"].to_list() == ["a.png"]
    assert attrition["reason"].to_list() == [
        "view is 'PA', not among 'AP', 'LL'",
        "view is None, not among 'AP', 'LL'",
    ]


def test_a_filter_on_no_column_names_the_nearest(place):
    with pytest.raises(InvalidTable, match="no column 'vieu' to filter by") as caught:
        taken(place, where={"vieu": "AP"})
    assert caught.value.hint == "did you mean 'view'?"


def test_a_missing_column_names_the_nearest(place):
    columns = COLUMNS | {"attributes": {"sex": "sexe"}}
    with pytest.raises(InvalidTable, match="table: no column 'sexe'; got") as caught:
        taken(place, columns=columns)
    assert caught.value.hint == "did you mean 'sex'?"


def test_a_label_that_is_none_names_column_value_and_row(place):
    rows = ROWS | {"mass": [1, 0, -1]}
    with pytest.raises(InvalidTable, match="column 'mass': label '-1' in row 2; expected 0, 1"):
        taken(place, rows)


def test_duplicate_images_are_named(place):
    rows = ROWS | {"image": ["a.png", "a.png", "c.png"]}
    with pytest.raises(InvalidTable, match=r"2 rows share image 'a\.png'; expected one row each"):
        taken(place, rows)
    assert not (place / "out").exists()


def test_duplicate_image_ids_are_named(place):
    with pytest.raises(InvalidTable, match="2 rows share image id '1'"):
        taken(place, columns=COLUMNS | {"image_id": "person"})


def test_a_finding_can_be_a_word_in_a_cell(place):
    rule = {"column": "read", "contains": "Edema", "separator": "|", "source": "text mining"}
    _, cohort, _, _ = taken(place, columns=COLUMNS | {"findings": {"edema": rule}})
    assert cohort["label:edema"].to_list() == [True, False, None]
    assert cohort["label_source:edema"].to_list() == ["text mining"] * 3


def test_a_word_that_no_cell_holds_is_an_error_and_not_a_finding_without_positives(place):
    rule = {"column": "read", "contains": "Edma", "separator": "|"}
    with pytest.raises(InvalidTable, match="no cell of column 'read' holds 'Edma'") as caught:
        taken(place, columns=COLUMNS | {"findings": {"edema": rule}})
    assert caught.value.hint == "did you mean 'Edema'?"


def test_without_patients_each_image_stands_for_itself_and_that_is_said(place):
    said, cohort, _, _ = taken(place, columns={k: v for k, v in COLUMNS.items() if k != "patient"})
    assert cohort["patient_id"].n_unique() == 3
    assert said["patient_note"] == "patient unknown: image id used"


def test_what_a_patient_id_stands_for_is_written_down(place):
    said, _, _, _ = taken(place, patient_means="lesion")
    assert said["patient_note"] == "patient unknown: lesion id used"
    assert metadata(place / "out" / "cohort.parquet")["patient_means"] == "lesion"


def test_an_age_or_day_that_cannot_be_read_is_unknown_and_counted(place):
    rows = {**ROWS, "age": ["30", "old", None], "day": ["2020-01-02", "soon", None]}
    columns = {**COLUMNS, "acquired_on": "day"}
    said, cohort, _, _ = taken(place, rows, columns=columns)
    assert cohort["age_years"].to_list() == [30.0, None, None]
    assert said["notes"] == {
        "column 'age': not an age from 0 to 130 years": 1,
        "column 'day': not a date": 1,
    }


def test_a_row_without_a_patient_leaves(place):
    _, cohort, attrition, _ = taken(place, ROWS | {"person": ["1", None, "2"]})
    assert cohort.height == 2
    assert attrition.select("unit", "rule").row(0) == ("b.png", "no patient id")


def test_kept_columns_are_typed(place):
    keep = {"manufacturer": "view", "kvp": "age"}
    _, cohort, _, _ = taken(place, columns=COLUMNS | {"keep": keep})
    assert cohort["manufacturer"].to_list() == ["AP", "PA", None]
    assert cohort["kvp"].to_list() == [30.0, 30.0, None]


def test_a_text_that_is_no_acquisition_fact_cannot_be_kept(place):
    with pytest.raises(
        InvalidConfiguration, match=r"columns\.keep: 'manufacturr' is text"
    ) as caught:
        taken(place, columns=COLUMNS | {"keep": {"manufacturr": "view"}})
    assert caught.value.hint == "did you mean 'manufacturer'?"


def test_bands_from_a_number_that_is_not_there_are_an_error(place):
    with pytest.raises(InvalidConfiguration, match="no number 'age'; known: age_years"):
        taken(place, bands={"age_band": {"from": "age", "edges": [40]}})


def test_nothing_readable_is_an_error_with_the_reasons_counted(place):
    for path in (place / "scans").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(InvalidImage, match=r"no image of .* \(3 not readable\): 3 × not an image"):
        taken(place)
    assert not (place / "out" / "images.npy").exists()


def test_a_missing_folder_is_named(place):
    with pytest.raises(InvalidInput, match=r"ingest: no folder .*nowhere"):
        taken(place, folder="nowhere")


def test_the_order_of_rows_changes_nothing(place):
    taken(place)
    first = {path.name: path.read_bytes() for path in (place / "out").iterdir()}
    taken(place, {name: values[::-1] for name, values in ROWS.items()})
    assert first == {path.name: path.read_bytes() for path in (place / "out").iterdir()}


def test_an_ending_can_be_added(place):
    _, cohort, _, _ = taken(place, ROWS | {"image": ["a", "b", "c"]}, ending=".png")
    assert cohort["path"].to_list() == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"format": "files"}, "needs 'folder' and 'table'"),
        ({"format": "dicom", "table": "t.csv"}, "'table' is for format files"),
        ({"columns": {"age": "a"}}, "columns.age is for format files"),
        ({"size": 0}, "size 0; expected at least 1 pixel"),
        ({"bands": {"b": {"from": "age_years", "edges": [65, 40]}}}, "expected whole numbers"),
        ({"columns": {"attributes": {"view": "v"}}}, "'view' cannot be an attribute"),
    ],
)
def test_options_that_cannot_be_are_refused(said, match):
    with pytest.raises(InvalidConfiguration, match=match):
        ingest.Options.model_validate(said)


@pytest.mark.slow
def test_both_real_sets_are_read_whole(shared, tmp_path):
    for name, finding, n, positive in (
        ("ham10000_subset", "malignant", 2661, 938),
        ("nih_cxr_1000", "pneumonia", 999, 500),
    ):
        options = ingest.Options(
            format="files",
            folder=name,
            table=f"{name}/metadata.csv",
            size=64,
            columns=ingest.Columns(
                patient="patient_id",
                site="site",
                age="age",
                view="view",
                attributes={"sex": "sex"},
                findings={finding: finding},
            ),
        )
        said = ingest.run(options, {}, tmp_path / name, Scope(base=shared, workers=2))
        assert (said["images"], said["labels"][finding]["positive"]) == (n, positive)
