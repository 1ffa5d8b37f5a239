"""Nothing that names anybody leaves the service: not in the log, an answer, a metric or stderr."""

import io
import tempfile
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

from tests.serve.made import DICOM, client, files, lines

_LENGTH = {"AE": 16, "CS": 16, "SH": 16, "LO": 40, "PN": 40, "LT": 40, "ST": 40, "UC": 40, "UT": 40}
_NEEDED = {"SOPClassUID", "SpecificCharacterSet", "Modality", "ViewPosition"}
_TAGS = {
    keyword: kind
    for tag, (kind, _, _, _, keyword) in DicomDictionary.items()
    if kind in {*_LENGTH, "UI", "UR", "DA"} and keyword and tag >> 16 not in {0, 2, 4, 0x28, 0xFFFE}
}
"""Every text tag of the dictionary, but for those without which there is no picture."""


def distinctive(number, kind):
    """Return a value that stands nowhere by chance."""
    if kind == "UI":
        return f"1.2.840.77{number:05d}.99"
    if kind == "DA":
        return f"19{number % 90 + 10}0{number % 9 + 1}1{number % 9}"
    return f"ZQ{number:05d}XW^VNAME"[: _LENGTH.get(kind, 40)]


def marked(content, values):
    """Return the file with these values in it."""
    found, out = pydicom.dcmread(io.BytesIO(content)), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what a tag may not hold
        for keyword, value in values.items():
            setattr(found, keyword, value)
        found.save_as(out)
    return out.getvalue()


def everything(folder, answers, ask):
    said = [path.read_text() for path in folder.rglob("*.jsonl")]
    said += [answer.text + str(answer.headers) for answer in answers]
    said += [ask.get(path).text for path in ("/metrics", "/v1/bundle", "/openapi.json")]
    return "\n".join(said)


def told(values, text):
    return {name for name, value in values.items() if value.lower() in text.lower()}


def test_no_text_of_any_tag_is_told_again_whether_the_image_is_scored_or_refused(
    bundle, tmp_path, capfd
):
    content = files(1)[0][1]
    names = sorted(_TAGS)
    assert len(names) > 1500
    values = {name: distinctive(n, _TAGS[name]) for n, name in enumerate(names)}
    kept = {name: value for name, value in values.items() if name not in _NEEDED}
    rest = {name: values[name] for name in ("Modality", "ViewPosition")}
    with client(bundle, tmp_path / "log") as ask:
        scored = ask.post("/v1/score", content=marked(content, kept), headers=DICOM)
        refused = [
            ask.post("/v1/score", content=marked(content, kept | rest), headers=DICOM),
            ask.post(
                "/v1/score",
                content=marked(content, kept | {"PhotometricInterpretation": "ZQNAMEPH"}),
                headers=DICOM,
            ),
            ask.post("/v1/score?ZQNAME=ZQVALUE", content=content, headers=DICOM),
            ask.post("/v1/score?sex=ZQVALUE", content=content, headers=DICOM),
            ask.post(
                "/v1/score",
                content=marked(content, kept) + b"x",
                headers={"content-type": "ZQTYPE"},
            ),
        ]
        text = everything(tmp_path, [scored, *refused], ask)
    assert scored.json()["outcome"] == "scored"
    codes = [one.json()["refusal"]["code"] for one in refused[:2]]
    assert codes == ["modality", "undecodable"]
    assert [one.status_code for one in refused[2:]] == [422, 422, 415]
    extra = {"photometric": "ZQNAMEPH", "query": "ZQNAME", "level": "ZQVALUE", "type": "ZQTYPE"}
    spoken = capfd.readouterr()
    assert told(values | extra, text + spoken.out + spoken.err) == set()


@given(
    st.dictionaries(
        st.sampled_from(sorted(set(_TAGS) - _NEEDED)),
        st.integers(0, 99_999),
        min_size=1,
        max_size=40,
    ),
    st.binary(max_size=3),
)
@settings(max_examples=25)
def test_no_text_of_some_tags_is_told_again(bundle, chosen, more):
    content = files(1)[0][1]
    values = {name: distinctive(number, _TAGS[name]) for name, number in chosen.items()}
    folder = Path(tempfile.mkdtemp())
    with client(bundle, folder / "log") as ask:
        found = ask.post("/v1/score", content=marked(content, values) + more, headers=DICOM)
        torn = ask.post("/v1/score", content=marked(content, values)[:-999], headers=DICOM)
        text = everything(folder, [found, torn], ask)
    assert found.status_code == torn.status_code == 200
    assert told(values, text) == set()


@pytest.mark.parametrize("name", ["Manufacturer", "ManufacturerModelName"])
def test_a_maker_the_reference_knows_is_told_and_any_other_is_not(bundle, tmp_path, name):
    content = files(1)[0][1]
    column = {"Manufacturer": "manufacturer", "ManufacturerModelName": "device_model"}[name]
    with client(bundle, tmp_path / "log") as ask:
        ask.post("/v1/score", content=marked(content, {name: "Ann Smith"}), headers=DICOM)
        ask.post("/v1/score", content=marked(content, {name: "Alder Imaging"}), headers=DICOM)
    expected = ["other", "Alder Imaging" if name == "Manufacturer" else "other"]
    assert [row[column] for row in lines(tmp_path / "log")] == expected
