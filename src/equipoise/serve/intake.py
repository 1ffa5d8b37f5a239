"""From the bytes of an image to pixels in the model's frame, or to why they are refused."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.bundles import Bundle, refusal
from equipoise.errors import InvalidImage
from equipoise.images import Picture, age_years, band, read_dicom, read_raster, sized
from equipoise.metrics import UNKNOWN
from equipoise.serve.asking import Asked, levels
from equipoise.serve.keys import SiteKey, pseudonym
from equipoise.serve.vocabulary import Words, known, plain

CODES = ("undecodable", "modality", "view", "photometric", "size", "out_of_distribution")
"""Why an image is refused, for programs."""

_GATES = (
    ("modality", "modality"),
    ("view", "view"),
    ("photometric", "photometric"),
    ("rows", "size"),
    ("columns", "size"),
)
_MUST_SAY = {"modality": "modalities", "view": "views"}
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}
_SEXES = ("F", "M", "O")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an image gets no score.

    Parameters
    ----------
    code
        One of `CODES`.
    sentence
        The same in words; nothing of a header stands in it but declared words.
    """

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Case:
    """An image as it goes on: nothing in it is an identifier.

    Parameters
    ----------
    case_id, patient_key
        Pseudonyms.
    attributes
        Declared attribute → level; each is there.
    acquisition
        What may be told again of how the image came to be.
    pixels
        uint8, in the model's frame; None if the image is refused.
    refusal
        Why, or None.
    """

    case_id: str
    patient_key: str
    attributes: Mapping[str, str]
    acquisition: Mapping[str, object]
    pixels: npt.NDArray[np.uint8] | None = None
    refusal: Refusal | None = None


class Intake:
    """Decodes, names and checks images for one bundle.

    Parameters
    ----------
    bundle
        Its contract and declaration are held against each image.
    key
        Makes pseudonyms.
    most_pixels
        Larger images are not decoded.
    """

    def __init__(self, bundle: Bundle, key: SiteKey, *, most_pixels: int) -> None:
        self._bundle, self._key, self._most = bundle, key, most_pixels
        self._words: Words = known(bundle)
        self._levels = levels(bundle.audit)

    def case(self, content: bytes, asked: Asked) -> Case:
        """Return an image as it goes on.

        Parameters
        ----------
        content
            The bytes of the file.
        asked
            What the caller said beside it. Attributes override the header; of the acquisition
            the header has the last word, or a caller could talk an image past the gate.
        """
        try:
            picture = self._read(content, asked)
        except InvalidImage as error:
            # What stands in parentheses is a library's, and may quote the header.
            why = Refusal("undecodable", str(error).split(" (")[0])
            return self._named(content, asked, Picture(np.empty((0, 0), np.uint8)), {}, why)
        facts = self._acquisition(picture, asked)
        why_not = self._gate(facts, asked)
        return self._named(content, asked, picture, facts, why_not)

    def _read(self, content: bytes, asked: Asked) -> Picture:
        if asked.form == "dicom":
            return read_dicom(content, most_pixels=self._most)
        if not content.startswith(_MAGIC[asked.form]):
            raise InvalidImage(f"not a {asked.form.upper()} file")
        return read_raster(content, most_pixels=self._most)

    def _acquisition(self, picture: Picture, asked: Asked) -> dict[str, object]:
        """Return what is known of how the image came to be; None where it should be and is not."""
        facts = _facts(picture, asked)
        if asked.form != "dicom":
            facts = {**dict.fromkeys(_MUST_SAY), **facts}
        return plain(facts, self._words)

    def _gate(self, facts: Mapping[str, object], asked: Asked) -> Refusal | None:
        for name, code in _GATES:
            if name not in facts:
                continue
            sentence = refusal(self._bundle, {name: facts[name]})
            if sentence is not None:
                return Refusal(code, self._said(name, facts[name], sentence, asked))
        return None

    def _said(self, name: str, value: object, sentence: str, asked: Asked) -> str:
        if value is not None or asked.form == "dicom":
            return sentence
        takes: tuple[str, ...] = getattr(self._bundle.contract, _MUST_SAY[name]) or ()
        return (
            f"no {name} said, and a {asked.form.upper()} file has no header; say ?{name}=, one of "
            f"{', '.join(takes)}"
        )

    def _named(
        self,
        content: bytes,
        asked: Asked,
        picture: Picture,
        facts: Mapping[str, object],
        why: Refusal | None,
    ) -> Case:
        who = picture.subject
        case = asked.case or who.get("image_id") or hashlib.sha256(content).hexdigest()
        # Without a patient's id each image counts as a patient of its own, as in ingest.
        patient = asked.patient or who.get("patient_id") or f"image {case}"
        return Case(
            case_id=pseudonym(self._key, case),
            patient_key=pseudonym(self._key, patient),
            attributes=self._attributes(picture, asked),
            acquisition={name: value for name, value in facts.items() if value is not None},
            pixels=sized(picture, self._bundle.contract.frame) if why is None else None,
            refusal=why,
        )

    def _attributes(self, picture: Picture, asked: Asked) -> dict[str, str]:
        """Return a declared level of each attribute; what a header says undeclared is unknown."""
        found = {}
        for name, declared in self._levels.items():
            level = asked.attributes.get(name) or self._from_header(name, picture, asked)
            found[name] = level if level in declared else UNKNOWN
        return found

    def _from_header(self, name: str, picture: Picture, asked: Asked) -> str | None:
        cut = self._bundle.audit.bands.get(name)
        if cut is not None:
            number = asked.numbers.get(cut.source, _number(cut.source, picture))
            return None if number is None else band(number, cut.edges)
        if name == "sex":
            said = picture.subject.get("sex", "").upper()
            return said if said in _SEXES else None
        if name == "site":
            return picture.subject.get("site", "").replace("/", "-") or None
        value = _facts(picture, asked).get(name)
        return value if isinstance(value, str) else None


def _facts(picture: Picture, asked: Asked) -> dict[str, object]:
    """Return what the header says, and what the caller says where it is silent."""
    said = {name: value for name, value in picture.facts.items() if value is not None}
    return {**picture.facts, **asked.acquisition, **said}


def _number(source: str, picture: Picture) -> float | None:
    if source == "age_years":
        who = picture.subject
        return age_years(who.get("age", ""), who.get("birth_date", ""), who.get("study_date", ""))
    value = picture.facts.get(source)
    return float(value) if isinstance(value, int | float) else None
