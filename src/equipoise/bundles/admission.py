"""The input gate: what the header says of an image, held against the bundle's input contract."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from equipoise.bundles.opening import Bundle

_WORDS = {"modality": "modalities", "view": "views", "photometric": "photometric"}
_SIZES = ("rows", "columns")


def refusal(bundle: "Bundle", acquisition: Mapping[str, object]) -> str | None:
    """Return why an image is not taken, in a sentence, or None if it is.

    A key that is absent was not asked for (a PNG has no header) and refuses nothing. A key that
    is None was looked for and not found: that refuses if every reference image had it.

    Parameters
    ----------
    bundle
        The bundle.
    acquisition
        Columns of ``tables.nouns.ACQUISITION``.

    Examples
    --------
    See the tests: a bundle needs files on disk.

    >>> from types import SimpleNamespace
    >>> from equipoise.bundles.contents import InputContract
    >>> contract = InputContract(modalities=("DX",), height=8, width=8, channels=1)
    >>> refusal(SimpleNamespace(contract=contract), {"modality": "CT"})
    "modality 'CT'; the model takes DX"
    """
    contract = bundle.contract
    for key, field in _WORDS.items():
        allowed: tuple[str, ...] | None = getattr(contract, field)
        why = _word(key, allowed, acquisition, may_lack=key in contract.may_lack)
        if why is not None:
            return why
    for key in _SIZES:
        span: tuple[int, int] | None = getattr(contract, key)
        found = acquisition.get(key)
        if span is not None and isinstance(found, int) and not span[0] <= found <= span[1]:
            return f"{found} {key}; the model takes {span[0]} to {span[1]}"
    return None


def _word(
    key: str,
    allowed: tuple[str, ...] | None,
    acquisition: Mapping[str, object],
    *,
    may_lack: bool,
) -> str | None:
    if allowed is None or key not in acquisition:
        return None
    found = acquisition[key]
    if found is None:
        if may_lack:
            return None
        return f"no {key} in the header; the model takes {', '.join(allowed)}"
    return None if found in allowed else f"{key} '{found}'; the model takes {', '.join(allowed)}"
