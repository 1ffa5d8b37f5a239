"""Words of a header that may be told again: those the bundle knows, and DICOM's own.

A header is free text to whoever types it. What is not in the list becomes *other*, so that no
name can reach a log, an answer or a metric by way of a tag in which it does not belong.
"""

from collections.abc import Mapping

from equipoise.bundles import Bundle

OTHER = "other"

# DICOM PS3.3: C.7.3.1.1.1, C.8.1.1 and C.8.11, C.7.6.3.1.2, C.8.11.1.1.1
_MODALITIES = "AR AU BMD CR CT DX ECG ES GM IO IVUS LS MG MR NM OCT OP PT PX RF RG SC SM US XA XC"
_VIEWS = "AP PA LL RL LLD RLD LLO RLO LAO RAO CC MLO ML LM LAT LATERAL"
_TERMS = {
    "modality": tuple(_MODALITIES.split()),
    "view": tuple(_VIEWS.split()),
    "photometric": (
        "MONOCHROME1",
        "MONOCHROME2",
        "PALETTE COLOR",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_ICT",
        "YBR_RCT",
    ),
    "laterality": ("L", "R", "B", "U"),
    "presentation": ("FOR PRESENTATION", "FOR PROCESSING"),
    "burned_in": ("YES", "NO"),
    "compression": ("none", "lossless", "lossy"),
}
_NUMBERS = ("bits_stored", "rows", "columns", "kvp", "exposure", "pixel_spacing_mm")
_FREE = ("manufacturer", "device_model")

Words = Mapping[str, frozenset[str]]


def known(bundle: Bundle) -> dict[str, frozenset[str]]:
    """Return column → the words of it that may be told again.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from equipoise.bundles import InputContract
    >>> contract = InputContract(views=("swimmer",), height=8, width=8, channels=1)
    >>> "swimmer" in known(SimpleNamespace(contract=contract, reference=None))["view"]
    True
    """
    contract, reference = bundle.contract, bundle.reference
    allowed = {
        "modality": contract.modalities,
        "view": contract.views,
        "photometric": contract.photometric,
    }
    mix = {} if reference is None else reference.mix
    return {
        name: frozenset([*_TERMS.get(name, ()), *(allowed.get(name) or ()), *mix.get(name, {})])
        for name in (*_TERMS, *_FREE)
    }


def plain(facts: Mapping[str, object], words: Words) -> dict[str, object]:
    """Return what may be told again of how an image came to be.

    The size of the file and the device are not: they tell one file, or one machine, from others.

    Examples
    --------
    >>> plain({"modality": "Smith^Ann", "rows": 8, "device_id": "d"}, {"modality": frozenset()})
    {'modality': 'other', 'rows': 8}
    """
    found: dict[str, object] = {}
    for name, value in facts.items():
        if name in _NUMBERS:
            found[name] = value
        elif name in words:
            found[name] = value if value is None or value in words[name] else OTHER
    return found
