"""What is taken, what is refused, what is sent away, and what stands in the log of it."""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest

from equipoise import bundles, serve
from equipoise.errors import InvalidEncoder, Refused, StorageFailure
from equipoise.serve.answers import Problem, Scored, Served
from equipoise.serve.answers import Refused as RefusedAnswer
from equipoise.tables import read_requests
from tests.bundles import made
from tests.bundles.made import FINDING
from tests.serve.conftest import BANDS
from tests.serve.made import (
    DICOM,
    KEY,
    NOW,
    PNG,
    Clock,
    changed,
    client,
    files,
    lines,
    png,
)


def altered(content, **tags):
    """Return a DICOM file with other tags; None takes a tag away."""
    found, out = pydicom.dcmread(io.BytesIO(content)), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what a tag may not hold
        for name, value in tags.items():
            if value is None:
                delattr(found, name)
            else:
                setattr(found, name, value)
        found.save_as(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def image():
    return files(1)[0][1]


@pytest.fixture
def ask(bundle, tmp_path):
    with client(bundle, tmp_path / "log") as found:
        yield found


def test_an_answer_keeps_its_model_and_says_which_model_gave_it(ask, bundle, image, tmp_path):
    answer = ask.post("/v1/score", content=image, headers=DICOM)
    said = Scored.model_validate(answer.json())
    assert answer.headers["cache-control"] == "no-store"
    assert said.model.bundle == bundle.digest
    assert said.model.encoder == bundle.encoder.digest
    assert said.model.override is None
    assert said.distance > 0
    (row,) = lines(tmp_path / "log")
    assert row["score:opacity"] == said.findings[FINDING].score
    assert row["distance"] == said.distance
    assert row["case_id"] == said.case_id
    assert row["modality"] in {"DX", "CR"}
    assert "component:0" in row
    assert "device_id" not in row
    assert "file_bytes" not in row


def test_what_is_served_is_told(ask, bundle):
    said = Served.model_validate(ask.get("/v1/bundle").json())
    assert said.model.bundle == bundle.digest
    assert said.attributes == {"sex": ["F", "M", "unknown"]}
    assert [point.operating_point for point in said.operating_points] == ["locked"]


@pytest.mark.parametrize(
    ("tags", "code", "sentence"),
    [
        ({"Modality": "CT"}, "modality", "modality 'CT'; the model takes DX, CR"),
        ({"Modality": "Smith^Ann"}, "modality", "modality 'other'; the model takes DX, CR"),
        ({"ViewPosition": "LL"}, "view", "view 'LL'; the model takes AP, PA"),
        ({"Modality": None}, "modality", "no modality in the header"),
        ({"PixelData": b"\0\0"}, "undecodable", "pixels cannot be decoded"),
        ({"Rows": 60000, "Columns": 60000}, "undecodable", "at most 50000000 are taken"),
    ],
)
def test_an_image_the_model_is_not_made_for_gets_no_score(
    ask, image, tmp_path, tags, code, sentence
):
    answer = ask.post("/v1/score", content=altered(image, **tags), headers=DICOM)
    assert answer.status_code == 200
    said = RefusedAnswer.model_validate(answer.json())
    assert said.refusal.code == code
    assert sentence in said.refusal.sentence
    assert "findings" not in answer.json()
    (row,) = lines(tmp_path / "log")
    assert (row["outcome"], row["refusal"]) == ("refused", code)
    assert not [name for name in row if name.startswith("score:")]
    assert read_requests(tmp_path / "log", bundle=ask.service.bundle.digest).frame.height == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"not an image", "application/dicom"),
        (b"", "image/png"),
        (b"GIF89a", "image/png"),
        (b"\x89PNG\r\n\x1a\n torn", "image/png"),
        (b"\xff\xd8\xff torn", "image/jpeg"),
        (b"\0" * 128 + b"DICM", "application/dicom"),
    ],
)
def test_what_cannot_be_decoded_is_refused(ask, content, kind, tmp_path):
    said = ask.post("/v1/score", content=content, headers={"content-type": kind}).json()
    assert said["refusal"]["code"] == "undecodable"
    assert len(lines(tmp_path / "log")) == 1


def test_an_image_that_is_too_small_is_refused(ask):
    small = png(np.zeros((8, 8), np.uint8))
    said = ask.post("/v1/score?modality=DX&view=PA", content=small, headers=PNG).json()
    assert said["refusal"] == {"code": "size", "sentence": "8 rows; the model takes 32 to 512"}


def test_a_png_without_header_must_be_told_modality_and_may_be_told_view(ask):
    grey = png(np.zeros((64, 64), np.uint8))
    said = ask.post("/v1/score", content=grey, headers=PNG).json()
    assert said["refusal"]["code"] == "modality"
    assert "say ?modality=, one of DX, CR" in said["refusal"]["sentence"]
    said = ask.post("/v1/score?modality=DX&view=LL", content=grey, headers=PNG).json()
    assert said["refusal"]["code"] == "view"


def test_an_image_unlike_the_reference_is_refused_with_its_distance(folder, tmp_path):
    strict = made.bundle(tmp_path / "strict", limit=False, contract=_limited(0.001))
    noise = np.random.default_rng(1).integers(0, 255, (64, 64), dtype=np.uint8)
    with client(bundles.opened(strict), tmp_path / "log") as ask:
        said = ask.post("/v1/score?modality=DX", content=png(noise), headers=PNG).json()
    assert said["refusal"]["code"] == "out_of_distribution"
    assert "findings" not in said
    (row,) = lines(tmp_path / "log")
    assert row["distance"] == said["distance"] > 0.001
    assert "component:0" in row


def _limited(limit):
    return made.CONTRACT.model_copy(update={"distance_limit": limit})


def test_a_caller_cannot_talk_a_dicom_past_the_gate(ask, image):
    ct = altered(image, Modality="CT")
    said = ask.post("/v1/score?modality=DX", content=ct, headers=DICOM).json()
    assert said["refusal"]["code"] == "modality"


def test_where_a_header_is_silent_the_caller_is_asked(ask, image):
    silent = altered(image, Modality="")
    said = ask.post("/v1/score?modality=DX", content=silent, headers=DICOM).json()
    assert said["outcome"] == "scored"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sex=female", "attribute sex: undeclared level; declared: F, M, unknown"),
        ("gender=F", "declared: sex, age_band, age_years, modality, view"),
        ("age_years=old", "age_years: expected a number from 0 to 130"),
        ("age_years=400", "age_years: expected a number from 0 to 130"),
        ("age_years=nan", "age_years: expected a number from 0 to 130"),
        ("age_band=30-50", "declared: 0-39, 40-64, 65+, unknown"),
    ],
)
def test_an_undeclared_attribute_or_level_is_an_error_that_names_those_declared(
    banded, image, query, message, tmp_path
):
    answer = banded.post(f"/v1/score?{query}", content=image, headers=DICOM)
    assert answer.status_code == 422
    assert message in Problem.model_validate(answer.json()).message
    assert lines(tmp_path / "log") == []


@pytest.fixture
def banded(bundle, tmp_path):
    with client(changed(bundle, audit=BANDS), tmp_path / "log") as ask:
        yield ask


@pytest.mark.parametrize(
    ("tags", "query", "expected"),
    [
        ({"PatientSex": "F", "PatientAge": "039Y"}, "", {"sex": "F", "age_band": "0-39"}),
        ({"PatientSex": "O", "PatientAge": "040Y"}, "", {"sex": "unknown", "age_band": "40-64"}),
        ({"PatientSex": "", "PatientAge": "000Y"}, "", {"sex": "unknown", "age_band": "unknown"}),
        ({"PatientSex": "F", "PatientAge": "070Y"}, "sex=M", {"sex": "M", "age_band": "65+"}),
        ({"PatientAge": "070Y"}, "age_years=39.5", {"age_band": "0-39"}),
        ({"PatientAge": "070Y"}, "age_band=40-64", {"age_band": "40-64"}),
    ],
)
def test_attributes_come_from_the_header_are_cut_as_declared_and_may_be_overridden(
    banded, image, tags, query, expected
):
    content = altered(image, **tags)
    said = banded.post(f"/v1/score?{query}", content=content, headers=DICOM).json()
    assert said["attributes"].items() >= expected.items()


def test_ids_given_beside_an_image_become_pseudonyms(ask, tmp_path):
    grey = png(np.full((64, 64), 9, np.uint8))
    headers = {**PNG, "x-case-id": "case-4711", "x-patient-id": "patient-0815"}
    said = ask.post("/v1/score?modality=DX", content=grey, headers=headers).json()
    (row,) = lines(tmp_path / "log")
    assert said["case_id"] == row["case_id"] == serve.pseudonym(KEY, "case-4711")
    assert row["patient_key"] == serve.pseudonym(KEY, "patient-0815")


def test_without_ids_the_same_image_is_the_same_case_and_a_patient_of_its_own(ask, tmp_path):
    grey = [png(np.full((64, 64), n, np.uint8)) for n in (1, 1, 2)]
    for content in grey:
        ask.post("/v1/score?modality=DX", content=content, headers=PNG)
    cases = [row["case_id"] for row in lines(tmp_path / "log")]
    patients = [row["patient_key"] for row in lines(tmp_path / "log")]
    assert cases[0] == cases[1] != cases[2]
    assert patients[0] == patients[1] != patients[2]
    assert set(cases).isdisjoint(patients)


def test_the_override_is_shown_on_every_answer_and_ends_the_service_when_it_expires(
    tmp_path, image
):
    given = made.OVERRIDE
    folder = made.bundle(tmp_path / "b", override=given, verdict="fail")
    found, clock = bundles.opened(folder), Clock()
    with client(found, tmp_path / "log", clock=clock) as ask:
        wrong = ask.post("/v1/score", content=b"x", headers=DICOM).json()
        right = ask.post("/v1/score", content=image, headers=DICOM).json()
        note = {"name": "A. Lee", "reason": "a pilot", "expires": "2030-01-31"}
        assert wrong["model"]["override"] == right["model"]["override"] == note
        assert right["model"]["verdict"] == "fail"
        clock.now = NOW.replace(year=2030, month=2)
        late = ask.post("/v1/score", content=image, headers=DICOM)
        assert late.status_code == 503
        assert "expired on 2030-01-31" in late.json()["message"]
        assert ask.get("/health/ready").status_code == 503
        assert ask.get("/health/live").status_code == 200
    assert len(lines(tmp_path / "log")) == 2
    with pytest.raises(Refused, match="expired"):
        bundles.check_usable(found, on=clock.now.date())


def test_a_bundle_that_neither_passed_nor_has_an_override_is_not_served(tmp_path):
    found = bundles.opened(made.bundle(tmp_path / "b", verdict="not judged"))
    with pytest.raises(Refused, match="verdict is 'not judged'"):
        bundles.check_usable(found, on=NOW.date())


def test_nothing_is_answered_that_cannot_be_logged(ask, image, tmp_path, monkeypatch):
    real = ask.service._log.append

    def full(rows):
        raise StorageFailure("log: No space left on device")

    monkeypatch.setattr(ask.service._log, "append", full)
    answer = ask.post("/v1/score", content=image, headers=DICOM)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert "findings" not in answer.json()
    assert ask.get("/health/ready").json()["reason"] == "the log cannot be written"
    monkeypatch.setattr(ask.service._log, "append", real)
    assert ask.post("/v1/score", content=image, headers=DICOM).status_code == 200
    assert ask.get("/health/ready").status_code == 200
    assert len(lines(tmp_path / "log")) == 1


def test_an_image_that_makes_nan_does_not_take_its_neighbours_along(ask, tmp_path, monkeypatch):
    bright = 200
    real = ask.service._scorer.outcomes

    def outcomes(cases):
        if any(case.pixels is not None and case.pixels.max() >= bright for case in cases):
            raise InvalidEncoder("encoder: gave NaN or infinity")
        return real(cases)

    monkeypatch.setattr(ask.service._scorer, "outcomes", outcomes)
    given = [png(np.full((64, 64), n, np.uint8)) for n in (1, bright, 2, 3, 4, 5)]
    with ThreadPoolExecutor(6) as pool:
        send = lambda c: ask.post("/v1/score?modality=DX", content=c, headers=PNG)  # noqa: E731
        codes = [answer.status_code for answer in pool.map(send, given)]
    assert codes == [200, 500, 200, 200, 200, 200]
    assert len(lines(tmp_path / "log")) == 5


def test_the_openapi_document_has_models_parameters_and_no_page_loads_scripts(banded):
    said = banded.get("/openapi.json").json()
    post = said["paths"]["/v1/score"]["post"]
    names = {one["name"]: one for one in post["parameters"]}
    assert names["age_band"]["schema"]["enum"] == ["0-39", "40-64", "65+", "unknown"]
    assert names["x-case-id"]["in"] == "header"
    assert set(post["requestBody"]["content"]) == {"application/dicom", "image/png", "image/jpeg"}
    kinds = post["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
    assert [kind["$ref"].rsplit("/")[-1] for kind in kinds] == ["Scored", "Refused"]
    example = said["components"]["schemas"]["Scored"]["properties"]["attributes"]["examples"]
    assert example == [{"sex": "F"}]
    for page in ("/docs", "/redoc"):
        assert banded.get(page).status_code == 404
