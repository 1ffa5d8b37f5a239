import csv
from pathlib import Path

import pydicom
import pytest

from equipoise import phantoms
from equipoise.errors import StorageFailure
from equipoise.evidence import subjects
from equipoise.phantoms import Options
from equipoise.scope import Scope
from equipoise.tables import read_json

NOISY = {"kind": "label_noise", "group": {"sex": "F"}, "under_diagnosis": 0.5}
OPTIONS = Options(patients=110, size=32, truth_patients=20, seed=9, biases=[NOISY])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench")
    phantoms.run(OPTIONS, {}, out, Scope())
    return out


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(
    bench: Path, tmp_path: Path
) -> None:
    phantoms.run(OPTIONS, {}, tmp_path, Scope(workers=2))

    assert subjects(tmp_path) == subjects(bench)


def test_another_seed_gives_other_bytes(bench: Path, tmp_path: Path) -> None:
    other = OPTIONS.model_copy(update={"seed": 10, "patients": 2, "truth_patients": 2})

    phantoms.run(other, {}, tmp_path, Scope())

    shared = set(subjects(tmp_path)) & set(subjects(bench))
    assert shared == {"labels.csv", "truth.json"}
    assert all(subjects(tmp_path)[name] != subjects(bench)[name] for name in shared)


def test_every_image_has_a_file_a_label_row_and_a_truth(bench: Path) -> None:
    scenes = phantoms.scenes(OPTIONS)
    with (bench / "labels.csv").open(newline="") as file:
        labels = {row["sop_instance_uid"]: row["label:opacity"] for row in csv.DictReader(file)}
    truth = {row["image_id"]: row for row in read_json(bench / "truth.json")["images"]}
    files = sorted((bench / "dicom").glob("*/*.dcm"))

    said = {True: "1", False: "0", None: ""}
    assert labels == {i: said[r] for i, r in scenes.select("image_id", "recorded").iter_rows()}
    assert {pydicom.dcmread(path).SOPInstanceUID for path in files} == set(labels) == set(truth)
    assert {i: truth[i]["clean"] for i in truth} == dict(
        scenes.select("image_id", "clean").iter_rows()
    )
    assert any(row["clean"] and row["recorded"] is False for row in truth.values())


def test_the_labels_do_not_hold_the_clean_label(bench: Path) -> None:
    with (bench / "labels.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["sop_instance_uid", "label:opacity"]
    assert "clean" not in (bench / "labels.csv").read_text()


def test_the_truth_holds_the_declaration_and_says_what_cannot_be_known(bench: Path) -> None:
    truth = read_json(bench / "truth.json")

    assert Options.model_validate(truth["declaration"]) == OPTIONS
    assert "only against clean labels" in truth["identifiability"]
    contrasts = truth["population"]["contrasts"]
    assert {row["labels"] for row in contrasts} == {"clean", "recorded"}
    assert {row["metric"] for row in contrasts} == {"sensitivity", "specificity", "auroc"}
    assert {str(row["group"]) for row in contrasts} == {"{'sex': 'F'}", "{'sex': 'M'}"}
    assert "recorded labels alone" in phantoms.LabelNoise.__doc__
    assert "only against clean labels" in phantoms.contrasts.__doc__.replace("\n    ", " ")


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    small = OPTIONS.model_copy(update={"patients": 3, "truth_patients": 2})

    phantoms.run(small, {}, tmp_path, Scope(progress=lambda *step: told.append(step)))

    what, done, total = told[-1]
    assert (what, done) == ("images", total)


def test_a_folder_that_cannot_be_written_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "dicom").write_text("in the way")

    with pytest.raises(StorageFailure, match="cannot be written"):
        phantoms.run(OPTIONS, {}, tmp_path, Scope())


def test_a_disk_that_fills_on_the_way_is_a_storage_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("equipoise.phantoms.writing.save", full)

    with pytest.raises(StorageFailure, match="No space left on device") as caught:
        phantoms.run(OPTIONS, {}, tmp_path, Scope())
    assert "free some space" in str(caught.value.hint)
