"""Steps before and after a probe, as arrays: embeddings → embeddings, and scores → scores.

The kinds are a closed set, so that what is fitted can be saved, digested and opened elsewhere
without code. A step by group has one row per group and a last one for everybody else: a patient
whose group is unknown, or was never seen in training, is treated as the pooled training rows are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from equipoise import probes
from equipoise.errors import InvalidInput, InvalidTable

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_EDGE = 1e-12
_BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0.0)))


@dataclass(frozen=True, slots=True)
class Step:
    """One step, fitted.

    Parameters
    ----------
    kind
        A member of `FEATURES` or `AFTER`.
    arrays
        What it computes with; see the kind.
    groups
        The groups it tells apart, in the order of the rows of `arrays`, of which the last stands
        for unknown and unseen groups; empty if it needs no group.
    """

    kind: str
    arrays: Mapping[str, Reals]
    groups: tuple[str, ...] = field(default=())


def places(groups: npt.NDArray[np.str_], known: tuple[str, ...]) -> Codes:
    """Return the row of each group; one that is not known has the last row.

    Examples
    --------
    >>> places(np.array(["F", "unknown", "M", "X"]), ("F", "M")).tolist()
    [0, 2, 1, 2]
    """
    row = {name: place for place, name in enumerate(known)}
    return np.array([row.get(str(name), len(known)) for name in groups], dtype=np.int64)


def featured(step: Step, x: probes.Embeddings, groups: npt.NDArray[np.str_] | None) -> Reals:
    """Return embeddings ``(n, d)`` after a step ``(n, k)``.

    Parameters
    ----------
    step
        Its kind is *low_rank* (``x - ((x - mean) · inward) · outward``), *by_group*
        (``(x - shift) / scale`` of the group) or *tanh* (``tanh((x - mean) / scale · weights +
        bias)``).
    x
        Embeddings.
    groups
        Of each row; only a step by group needs it.

    Raises
    ------
    InvalidTable
        If the vectors have another length than in training, or a group is needed and none given.

    Examples
    --------
    >>> arrays = {"shift": np.array([[1.0], [0.0]]), "scale": np.array([[2.0], [1.0]])}
    >>> step = Step("by_group", arrays, ("F",))
    >>> featured(step, np.array([[3.0], [3.0]]), np.array(["F", "unknown"])).tolist()
    [[1.0], [3.0]]
    """
    probes.check_embeddings(x)
    length = step.arrays[_LENGTH[step.kind]].shape[-1]
    if x.shape[1] != length:
        raise InvalidTable(f"embeddings: vectors of length {x.shape[1]}; expected {length}")
    return FEATURES[step.kind](step.arrays, x.astype(np.float64), _rows(step, len(x), groups))


def finished(step: Step, scores: Reals, groups: npt.NDArray[np.str_] | None) -> Reals:
    """Return scores ``(n,)`` in [0, 1] after a step.

    Parameters
    ----------
    step
        Its kind is *log_odds* (``slope · log odds + intercept`` of the group), *derived* (a
        decision, drawn, at 0.5; the score ranks within it) or *withheld* (the base rate in
        place of the score for a share of the images, drawn).
    scores
        Of the probe.
    groups
        Of each row.

    Notes
    -----
    A draw is a hash of the score in Float32 and the step's salt: the same image has the same
    draw in any batch, order and place. Images of one score share it.

    Examples
    --------
    >>> arrays = {"slope": np.ones(2), "intercept": np.array([1.0, 0.0])}
    >>> step = Step("log_odds", arrays, ("F",))
    >>> finished(step, np.array([0.5, 0.5]), np.array(["F", "X"])).round(3).tolist()
    [0.731, 0.5]
    """
    return AFTER[step.kind](step.arrays, scores, _rows(step, len(scores), groups))


def log_odds(scores: npt.NDArray[np.floating]) -> Reals:
    """Return the log odds of scores, finite at 0 and 1.

    Examples
    --------
    >>> log_odds(np.array([0.5, 1.0])).round(1).tolist()
    [0.0, 27.6]
    """
    inside = np.clip(scores.astype(np.float64), _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)


def drawn(scores: Reals, salt: int) -> Reals:
    """Return a number in [0, 1) per score, as good as drawn, the same for the same score.

    References
    ----------
    Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.

    Examples
    --------
    >>> one, other = drawn(np.array([0.25, 0.5]), 1), drawn(np.array([0.5]), 1)
    >>> bool(one[1] == other[0]), bool(one[0] != one[1])
    (True, True)
    """
    bits = scores.astype(np.float32).view(np.uint32).astype(np.uint64)
    salted = np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    return (mixed(bits + salted) >> np.uint64(11)) / 2.0**53


def mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return well-mixed bits (the finaliser of SplitMix64).

    Examples
    --------
    >>> mixed(np.array([0, 1], np.uint64)).tolist()
    [0, 6238072747940578789]
    """
    z = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def check(step: Step, whose: str, shape: str) -> None:
    """Refuse a step from elsewhere that could not be computed.

    Raises
    ------
    InvalidInput
        If its kind is unknown or an array is lacking, not finite, or of other length.

    Examples
    --------
    >>> check(Step("magic", {}), "plain", "features")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: plain: features of kind 'magic'; known: low_rank, by_group, tanh
    """
    kinds = FEATURES if shape == "features" else AFTER
    if step.kind not in kinds:
        raise InvalidInput(f"{whose}: {shape} of kind '{step.kind}'; known: {', '.join(kinds)}")
    lacking = sorted(set(_ARRAYS[step.kind]) - set(step.arrays))
    if lacking:
        raise InvalidInput(f"{whose}: {shape} of kind '{step.kind}' lack {', '.join(lacking)}")
    for name, array in sorted(step.arrays.items()):
        if not np.isfinite(array).all():
            raise InvalidInput(f"{whose}: {shape}: '{name}' holds NaN or infinity")
        if step.kind in _BY_GROUP and name != "salt" and len(array) != len(step.groups) + 1:
            raise InvalidInput(
                f"{whose}: {shape}: '{name}' has {len(array)} rows; expected "
                f"{len(step.groups) + 1}: one per group and one for all others"
            )


def _rows(step: Step, n: int, groups: npt.NDArray[np.str_] | None) -> Codes:
    if step.kind not in _BY_GROUP:
        return np.zeros(n, dtype=np.int64)
    if groups is None:
        raise InvalidTable(
            f"scores: the step '{step.kind}' needs the group of every image, as "
            f"'{step.groups[0] if step.groups else 'unknown'}'; none given",
            hint="say 'unknown' where it is not known",
        )
    if len(groups) != n:
        raise InvalidTable(f"scores: {len(groups)} groups for {n} images; expected one each")
    return places(groups, step.groups)


def _low_rank(arrays: Mapping[str, Reals], x: Reals, rows: Codes) -> Reals:
    del rows
    moved: Reals = x - ((x - arrays["mean"]) @ arrays["inward"]) @ arrays["outward"]
    return moved


def _by_group(arrays: Mapping[str, Reals], x: Reals, rows: Codes) -> Reals:
    moved: Reals = (x - arrays["shift"][rows]) / arrays["scale"][rows]
    return moved


def _tanh(arrays: Mapping[str, Reals], x: Reals, rows: Codes) -> Reals:
    del rows
    hidden = ((x - arrays["mean"]) / arrays["scale"]) @ arrays["weights"] + arrays["bias"]
    return np.asarray(np.tanh(hidden), dtype=np.float64)


def _log_odds(arrays: Mapping[str, Reals], scores: Reals, rows: Codes) -> Reals:
    return probes.probability(arrays["slope"][rows] * log_odds(scores) + arrays["intercept"][rows])


def _derived(arrays: Mapping[str, Reals], scores: Reals, rows: Codes) -> Reals:
    """Draw the decision, and let the score rank on its side of 0.5."""
    stored = scores.astype(np.float32).astype(np.float64)
    low, high = (stored >= arrays[name][rows] for name in ("low", "high"))
    mixture = np.where(high, 1.0, np.where(low, arrays["share"][rows], 0.0))
    ignored = arrays["ignored"][rows]
    chance = (1.0 - ignored) * mixture + ignored * arrays["constant"][rows]
    positive = drawn(scores, int(arrays["salt"][0])) < chance
    return np.where(positive, 0.5 + 0.5 * stored, _BELOW_HALF * stored)


def _withheld(arrays: Mapping[str, Reals], scores: Reals, rows: Codes) -> Reals:
    replaced = drawn(scores, int(arrays["salt"][0])) < arrays["share"][rows]
    return np.where(replaced, arrays["rate"][rows], scores)


Applied = Callable[[Mapping[str, Reals], Reals, Codes], Reals]

FEATURES: Mapping[str, Applied] = {"low_rank": _low_rank, "by_group": _by_group, "tanh": _tanh}
AFTER: Mapping[str, Applied] = {
    "log_odds": _log_odds,
    "derived": _derived,
    "withheld": _withheld,
}
_ARRAYS = {
    "low_rank": ("mean", "inward", "outward"),
    "by_group": ("shift", "scale"),
    "tanh": ("mean", "scale", "weights", "bias"),
    "log_odds": ("slope", "intercept"),
    "derived": ("low", "high", "share", "ignored", "constant", "salt"),
    "withheld": ("share", "rate", "salt"),
}
_LENGTH = {"low_rank": "mean", "by_group": "shift", "tanh": "mean"}
_BY_GROUP = ("by_group", "log_odds", "derived", "withheld")
