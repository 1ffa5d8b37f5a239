"""Splits and folds by patient: every image of a patient on one side, whatever the row order.

Patients are ordered by stratum and, inside it, by a hash of seed and patient id; places are then
dealt out along that order. So every stratum and the whole come as close to the shares as whole
patients allow, and adding a column or shuffling the rows moves nobody.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import UNKNOWN

NAMES = ("train", "validation", "test")
"""The splits, in the order in which they are dealt."""


def assign(
    patient_ids: Sequence[str],
    strata: Sequence[str],
    *,
    shares: Mapping[str, float],
    seed: int,
) -> npt.NDArray[np.str_]:
    """Return the split of each image, all images of a patient in one.

    Parameters
    ----------
    patient_ids
        The patient of each image.
    strata
        The stratum of each image. If a patient's images differ, the last in alphabetical order
        counts; `patient_strata` gives one that does not differ.
    shares
        Split → share of the patients; above 0 together, none below 0.
    seed
        Another seed, another draw.

    Raises
    ------
    InvalidConfiguration
        If the shares name another split, are negative, or do not add up to 1.

    Examples
    --------
    >>> shares = {"train": 0.5, "validation": 0.25, "test": 0.25}
    >>> found = assign(["a", "a", "b", "c", "d"], ["x"] * 5, shares=shares, seed=0)
    >>> bool(found[0] == found[1]), sorted(set(found.tolist()))
    (True, ['test', 'train', 'validation'])
    """
    _check_shares(shares)
    names = [name for name in NAMES if shares.get(name, 0.0) > 0]
    wanted = np.array([shares[name] for name in names])
    dealt = np.zeros(len(names))
    place: dict[str, str] = {}
    for patient in _ordered(patient_ids, strata, f"split:{seed}"):
        lack = wanted * (len(place) + 1) - dealt
        chosen = int(np.argmax(lack))
        dealt[chosen] += 1
        place[patient] = names[chosen]
    return np.array([place[patient] for patient in patient_ids], dtype=np.str_)


def patient_folds(
    patient_ids: Sequence[str], strata: Sequence[str], *, n: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the fold of each image, 0 to `n` - 1, all images of a patient in one.

    Parameters
    ----------
    patient_ids
        The patient of each image.
    strata
        The stratum of each image; if a patient's images differ, the last in alphabetical order
        counts.
    n
        Folds, at least 2 and at most as many as there are patients.
    seed
        Another seed, another draw.

    Raises
    ------
    InvalidConfiguration
        If `n` is below 2.
    InvalidTable
        If there are fewer patients than folds.

    Examples
    --------
    >>> patient_folds(["a", "b", "a", "c"], ["x", "x", "x", "y"], n=3, seed=0).tolist()
    [0, 1, 0, 2]
    """
    if n < 2:
        raise InvalidConfiguration(f"folds: {n}; expected at least 2")
    order = _ordered(patient_ids, strata, f"fold:{seed}")
    if len(order) < n:
        raise InvalidTable(f"cohort: {len(order)} patients; expected at least one for each of {n}")
    place = {patient: position % n for position, patient in enumerate(order)}
    return np.array([place[patient] for patient in patient_ids], dtype=np.int64)


def patient_strata(
    patient_ids: Sequence[str],
    labels: Sequence[Sequence[bool | None]],
    groups: Sequence[Sequence[str]],
) -> list[str]:
    """Return one stratum per image that is the same for all images of a patient.

    It comes from the patient's most telling image. For each finding: positive if any image is,
    else negative if any was assessed, else not assessed. For each attribute: the first level in
    alphabetical order that is known, else ``"unknown"``.

    Parameters
    ----------
    patient_ids
        The patient of each image.
    labels
        For each finding the label of each image; None = not assessed.
    groups
        For each attribute the level of each image.

    Examples
    --------
    >>> patient_strata(["a", "a", "b"], [[None, True, False]], [["unknown", "F", "M"]])
    ['1|F', '1|F', '0|M']
    """
    parts: dict[str, list[str]] = {patient: [] for patient in patient_ids}
    for finding in labels:
        told: dict[str, int] = {}
        for patient, label in zip(patient_ids, finding, strict=True):
            told[patient] = max(told.get(patient, -1), -1 if label is None else int(label))
        for patient, value in told.items():
            parts[patient].append({1: "1", 0: "0", -1: "?"}[value])
    for attribute in groups:
        known: dict[str, str] = {}
        for patient, level in zip(patient_ids, attribute, strict=True):
            known[patient] = min(known.get(patient, level), level, key=_known_first)
        for patient, level in known.items():
            parts[patient].append(level)
    return ["|".join(parts[patient]) for patient in patient_ids]


def _known_first(level: str) -> tuple[bool, str]:
    return level == UNKNOWN, level


def _ordered(patient_ids: Sequence[str], strata: Sequence[str], salt: str) -> list[str]:
    """Patients by stratum, then by a hash that knows nothing but salt and patient."""
    stratum: dict[str, str] = {}
    for patient, name in zip(patient_ids, strata, strict=True):
        stratum[patient] = max(stratum.get(patient, name), name)
    return sorted(stratum, key=lambda patient: (stratum[patient], _hash(salt, patient), patient))


def _hash(salt: str, patient: str) -> str:
    return hashlib.sha256(f"{salt}:{patient}".encode()).hexdigest()


def _check_shares(shares: Mapping[str, float]) -> None:
    stray = [name for name in shares if name not in NAMES]
    if stray:
        raise InvalidConfiguration(f"shares: no split '{stray[0]}'; expected {', '.join(NAMES)}")
    total = sum(shares.values())
    if min(shares.values(), default=0.0) < 0 or abs(total - 1) > 1e-9:
        raise InvalidConfiguration(f"shares: {dict(shares)} add up to {total:g}; expected 1")
