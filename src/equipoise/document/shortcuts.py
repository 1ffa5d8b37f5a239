"""The shortcut battery: whether a label can be told without looking at what the image shows.

A *shortcut warning* needs a source without image content whose AUROC surely exceeds 0.5 by the
declared amount, after Holm over the battery; or a probe that sees little content and yet reaches
the declared share of what the whole encoder reaches. Anything else is *low-resolution signal*.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.document.options import Options
from equipoise.document.probing import Probed
from equipoise.metrics.multiplicity import holm
from equipoise.metrics.strata import Discrimination

WARNING = "shortcut warning"
LOW_RESOLUTION = "low-resolution signal"
NO_SIGNAL = "no signal"
NOT_ASSESSABLE = "not assessable"
REFERENCE = "reference"

Adjusted = Mapping[tuple[int, str], float]


@dataclass(frozen=True, slots=True)
class _Looks:
    """Adjusted p-values by place in the battery and kind of look: crude or conditional."""

    material: Adjusted
    signal: Adjusted
    options: Options

    def least(self, tests: Adjusted, place: int) -> float:
        return min(tests.get((place, name), 1.0) for name in ("crude", "conditional"))


def battery(probes: Sequence[Probed], options: Options) -> list[dict[str, object]]:
    """Return a row per finding and source, with its verdict and a sentence.

    Two families are adjusted by Holm over all findings and sources: sources without content
    against ``0.5 + material_excess``, crude and given view and site; and all probes against 0.5.

    Parameters
    ----------
    probes
        All of the battery.
    options
        The declared thresholds.

    Examples
    --------
    >>> same = Probed("mass", "site", "content_free", None, None, None, constant=True)
    >>> battery([same], Options())[0]["verdict"]
    'no signal'
    """
    looks = _Looks(
        _adjusted(probes, 0.5 + options.material_excess, ("content_free",)),
        _adjusted(probes, 0.5, ("content_free", "content_bearing", "encoder")),
        options,
    )
    encoders = {
        probe.finding: probe.crude.auroc
        for place, probe in enumerate(probes)
        if probe.kind == "encoder"
        and probe.crude is not None
        and looks.signal[place, "crude"] <= options.level
    }
    return [
        _row(place, probe, encoders.get(probe.finding), looks) for place, probe in enumerate(probes)
    ]


def _row(place: int, probe: Probed, encoder: float | None, looks: _Looks) -> dict[str, object]:
    share = _share(probe, encoder)
    verdict = _verdict(place, probe, share, looks)
    return {
        "finding": probe.finding,
        "source": probe.source,
        "kind": probe.kind,
        "crude": _told((place, "crude"), probe.crude, looks),
        "conditional": _told((place, "conditional"), probe.conditional, looks),
        "share_of_encoder": share,
        "strata": probe.strata or None,
        "n": None if probe.crude is None else probe.crude.n_images,
        "verdict": verdict,
        "sentence": _sentence(probe, verdict, share, looks.options),
    }


def _adjusted(probes: Sequence[Probed], value: float, kinds: Sequence[str]) -> Adjusted:
    tests = {
        (place, name): found.p_above(value)
        for place, probe in enumerate(probes)
        if probe.kind in kinds
        for name, found in (("crude", probe.crude), ("conditional", probe.conditional))
        if found is not None
    }
    return dict(zip(tests, holm(np.array(list(tests.values()))).tolist(), strict=True))


def _verdict(place: int, probe: Probed, share: float | None, looks: _Looks) -> str:
    if probe.constant:
        return NO_SIGNAL
    if probe.crude is None or not np.isfinite(probe.crude.auroc):
        return NOT_ASSESSABLE
    if probe.kind == "encoder":
        return REFERENCE
    options = looks.options
    heard = looks.least(looks.signal, place) <= options.level
    if looks.least(looks.material, place) <= options.level:
        return WARNING
    if heard and probe.kind == "content_bearing" and (share or 0.0) >= options.share_of_encoder:
        return WARNING
    return LOW_RESOLUTION if heard else NO_SIGNAL


def _share(probe: Probed, encoder: float | None) -> float | None:
    """Return a probe's excess over 0.5 as a share of the encoder's."""
    if encoder is None or probe.crude is None or probe.kind == "encoder":
        return None
    return (probe.crude.auroc - 0.5) / (encoder - 0.5)


def _told(
    look: tuple[int, str], found: Discrimination | None, looks: _Looks
) -> dict[str, object] | None:
    if found is None or not np.isfinite(found.auroc):
        return None
    free = look in looks.material
    low, high = found.interval if np.isfinite(found.standard_error) else (None, None)
    return {
        "auroc": found.auroc,
        "low": low,
        "high": high,
        "against": 0.5 + looks.options.material_excess if free else 0.5,
        "p_holm": looks.material.get(look) if free else looks.signal.get(look),
        "p_signal_holm": looks.signal.get(look),
        "n": found.n_images,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
    }


def _sentence(probe: Probed, verdict: str, share: float | None, options: Options) -> str:
    what = f"{probe.finding} from {probe.source}"
    if probe.constant:
        return f"{what}: no signal, it is the same for all images"
    if probe.crude is None or not np.isfinite(probe.crude.auroc):
        return f"{what}: not assessable: {probe.lacking or 'one label only'}"
    said = f"{what}: AUROC {_number(probe.crude)}{_given(probe)}{_compared(share)}: {verdict}"
    if verdict == WARNING and probe.kind == "content_free":
        return f"{said}; it tells the label without any image"
    if verdict == LOW_RESOLUTION and probe.kind == "content_free":
        least = 0.5 + options.material_excess
        return f"{said}; not surely above the declared {least:.2f}"
    return said


def _given(probe: Probed) -> str:
    if probe.strata == 1:
        return ""
    if probe.conditional is None:
        return ", given view and site not assessable"
    return f", given view and site {_number(probe.conditional)}"


def _compared(share: float | None) -> str:
    return "" if share is None else f", {100 * share:.0f} % of the encoder's excess over 0.5"


def _number(found: Discrimination) -> str:
    low, high = found.interval
    return f"{found.auroc:.2f} ({low:.2f}–{high:.2f})"
