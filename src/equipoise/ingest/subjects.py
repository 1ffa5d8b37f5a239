"""From a DICOM header to a row of the cohort."""

from collections.abc import Mapping

from equipoise.images import Decoded
from equipoise.images.ages import age_years, date_of
from equipoise.ingest.cells import UNKNOWN
from equipoise.ingest.leaving import Left
from equipoise.ingest.options import Options

_SEXES = {"F": "F", "M": "M", "O": "O"}
_HUMAN = ("homo sapiens", "human")


def row(one: Decoded, path: str, options: Options) -> dict[str, object] | Left:
    """Return the cohort's row of a decoded DICOM file, or why it cannot have one.

    PatientSex is F, M or O (*other*, which is not *unknown*); anything else is unknown.

    Examples
    --------
    >>> said = {"image_id": "1.2", "patient_id": "7", "sex": "O", "age": "030Y", "site": "North"}
    >>> found = row(Decoded("", subject=said), "a.dcm", Options())
    >>> found["patient_id"], found["sex"], found["age_years"]
    ('North/7', 'O', 30.0)
    """
    said: Mapping[str, str] = one.subject
    species = said.get("species", "")
    if species and species.lower() not in _HUMAN:
        return Left(path, "not a person", f"the header names the species '{species}'")
    for name, tag in (("image_id", "SOPInstanceUID"), ("patient_id", "PatientID")):
        if name not in said:
            return Left(path, f"no {tag}", f"the header has no {tag}")
    site = _site(said, path, options)
    return {
        "image_id": said["image_id"],
        "patient_id": f"{site}/{said['patient_id']}",
        "site": site,
        "study_id": said.get("study_id"),
        "acquired_on": date_of(said.get("acquired_on", "")),
        "path": path,
        "image_digest": one.digest,
        "age_years": age_years(
            said.get("age", ""), said.get("birth_date", ""), said.get("study_date", "")
        ),
        **one.facts,
        "sex": _SEXES.get(said.get("sex", "").upper(), UNKNOWN),
    }


def site_name(text: str | None) -> str:
    """Return a site as it can stand before the ``/`` of a patient id.

    Examples
    --------
    >>> site_name("Clinic A/B"), site_name(None)
    ('Clinic A-B', 'unknown')
    """
    return (text or "").strip().replace("/", "-") or UNKNOWN


def _site(said: Mapping[str, str], path: str, options: Options) -> str:
    if options.site is not None:
        return site_name(options.site)
    if options.site_from == "folder":
        return site_name(path.split("/", maxsplit=1)[0] if "/" in path else None)
    return site_name(said.get("site"))
