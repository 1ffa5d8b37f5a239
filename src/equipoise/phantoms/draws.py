"""From a seed to scenes: who the patients are, what they have, and how each image is taken.

Every patient has their own generator, so the draw depends neither on how many patients there are
nor on who draws them; the biases only move the thresholds that turn a draw into a scene.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidConfiguration
from equipoise.phantoms import biases as planted
from equipoise.phantoms.options import Options

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

STREAMS = ("bench", "population")
"""The bench itself, and the independent draw behind its truth: they share no random number."""

_PATIENT = (
    "sex",
    "age",
    "site",
    "finding",
    "images",
    "sex_known",
    "age_known",
    "kept",
    "elsewhere",
    "look_alike",
)
_IMAGE = ("view", "view_known", "day", "marker", "under", "over", "assessed")
_DAYS_A_MONTH = 30.4375


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is to be known to render, encode and label one image.

    Parameters
    ----------
    image_id, study_id, patient_code
        Identifiers without content: digests of seed, stream, patient and number.
    stream, patient, number
        Which draw, which patient, which of their images; the seeds of anatomy and noise.
    site, view, view_known, acquired_on, month
        Where, how and when; the file keeps `view` to itself where it is not known.
    sex, sex_known, age_years, age_known
        True attributes, and whether the file tells them.
    clean, recorded
        Whether the patient has the finding, and what the label says (null = not assessed).
    contrast
        Contrast of the opacity shown (of full scale); 0 where none is.
    gain, noise
        Of the scanner on that day.
    marker
        The side marker, L or R.
    """

    image_id: str
    study_id: str
    patient_code: str
    stream: str
    patient: int
    number: int
    site: str
    view: str
    view_known: bool
    acquired_on: dt.date
    month: int
    sex: str
    sex_known: bool
    age_years: int
    age_known: bool
    clean: bool
    recorded: bool | None
    contrast: float
    gain: float
    noise: float
    marker: str


def scenes(options: Options, *, stream: str = "bench", n: int | None = None) -> pl.DataFrame:
    """Draw the scenes of a bench: a row per image, a column per field of `Scene`.

    Parameters
    ----------
    options
        The bench.
    stream
        ``"bench"``, or ``"population"`` for the independent draw behind the truth.
    n
        Number of patients; that of the options by default.

    Returns
    -------
    Sorted by patient and number. Two benches that differ only in a bias hold the same images.

    Examples
    --------
    >>> table = scenes(Options(patients=3))
    >>> table["patient"].unique().to_list()
    [0, 1, 2]
    >>> table.equals(scenes(Options(patients=4)).filter(pl.col("patient") < 3))
    True
    """
    if stream not in STREAMS:
        raise InvalidConfiguration(f"phantoms: no stream '{stream}'; known: {', '.join(STREAMS)}")
    people, pictures = _latent(options, stream, options.patients if n is None else n)
    patients = _patients(people, options)
    limit = options.images_per_patient
    chance = (limit.mean - 1) / max(limit.max - 1, 1)
    count = 1 + (people["images"] < chance).sum(axis=1)
    keep = np.arange(limit.max) < count[:, None]  # (patient, number)
    owner, number = np.nonzero(keep)
    rows = {name: values[owner] for name, values in patients.items()}
    draws = {name: values[keep] for name, values in pictures.items()}
    named = _identifiers(owner, number, f"equipoise phantom {options.seed} {stream}")
    table = pl.DataFrame(rows | _images(rows, draws, options) | named | {"number": number})
    table = table.with_columns(pl.lit(stream).alias("stream"))
    return table.select(field.name for field in fields(Scene))


def listed(table: pl.DataFrame) -> list[Scene]:
    """Return the rows of a table of scenes, one object each.

    Examples
    --------
    >>> listed(scenes(Options(patients=1)))[0].patient
    0
    """
    return [Scene(**row) for row in table.iter_rows(named=True)]


def members(table: pl.DataFrame, group: planted.Group) -> Flags:
    """Return which rows belong to a group, by true attributes.

    Examples
    --------
    >>> people = pl.DataFrame({"sex": ["F", "F", "M"], "age_years": [30, 70, 70]})
    >>> members(people, {"sex": "F", "age_from": 60}).tolist()
    [False, True, False]
    """
    return _members(table["sex"].to_numpy(), table["age_years"].to_numpy(), group)


def _members(sex: npt.NDArray[np.str_], age: npt.NDArray[np.int64], group: planted.Group) -> Flags:
    inside = np.ones(len(sex), dtype=bool)
    if "sex" in group:
        inside &= sex == group["sex"]
    if "age_from" in group:
        inside &= age >= int(group["age_from"])
    if "age_below" in group:
        inside &= age < int(group["age_below"])
    return inside


def _latent(options: Options, stream: str, n: int) -> tuple[dict[str, Reals], dict[str, Reals]]:
    """Draw uniform numbers by name: ``(patient,)``, images ``(patient, most)``, per image alike."""
    most = options.images_per_patient.max
    width = len(_PATIENT) + most * (1 + len(_IMAGE))
    drawn = np.empty((n, width))
    for patient in range(n):
        seed = (options.seed, STREAMS.index(stream), patient)
        drawn[patient] = np.random.default_rng(seed).random(width)
    people = {name: drawn[:, at] for at, name in enumerate(_PATIENT)}
    rest = drawn[:, len(_PATIENT) :].reshape(n, most, 1 + len(_IMAGE))  # (patient, number, what)
    people["images"] = rest[:, 1:, 0]
    return people, {name: rest[:, :, 1 + at] for at, name in enumerate(_IMAGE)}


def _patients(draws: dict[str, Reals], options: Options) -> dict[str, npt.NDArray[np.generic]]:
    sex, age = _attributes(draws, options)
    prevalence = np.full(len(sex), options.prevalence)
    for bias in options.biases:
        if isinstance(bias, planted.PrevalenceShift):
            prevalence[_members(sex, age, bias.group)] = bias.prevalence
    clean = draws["finding"] < prevalence
    shown = np.where(clean, options.visibility, 0.0)
    for bias in options.biases:
        if isinstance(bias, planted.LowerVisibility):
            shown[_members(sex, age, bias.group)] *= bias.factor
        if isinstance(bias, planted.LookAlikes):
            inside = _members(sex, age, bias.group) & ~clean & (draws["look_alike"] < bias.share)
            shown[inside] = options.visibility
    names = np.array([site.name for site in options.sites])
    shares = np.cumsum([site.share for site in options.sites])
    where = np.searchsorted(shares / shares[-1], draws["site"], side="right")
    return {
        "patient": np.arange(len(sex)),
        "sex": sex,
        "age_years": age,
        "sex_known": draws["sex_known"] >= options.missing.sex,
        "age_known": draws["age_known"] >= options.missing.age,
        "clean": clean,
        "contrast": shown,
        "site": names[np.minimum(where, len(names) - 1)],
    }


def _attributes(
    draws: dict[str, Reals], options: Options
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """Sex and age; a patient who leaves an under-represented group becomes one of the others."""
    years = np.arange(options.age.low, options.age.high + 1)
    weight = np.exp(-0.5 * ((years - options.age.mean) / options.age.spread) ** 2)
    cells_sex = np.repeat(np.array(["F", "M"]), len(years))  # (sex × age,)
    cells_age = np.tile(years, 2)
    share = np.repeat([options.female_share, 1 - options.female_share], len(years))
    share = share * np.tile(weight / weight.sum(), 2)
    sex = np.where(draws["sex"] < options.female_share, "F", "M")
    age = years[_level(weight, draws["age"])]
    for bias in options.biases:
        if isinstance(bias, planted.UnderRepresentation):
            inside = _members(cells_sex, cells_age, bias.group)
            usual = float(share[inside].sum())
            if not bias.share < usual < 1:
                raise InvalidConfiguration(
                    f"phantoms: under_representation: share {bias.share} of {bias.group}; "
                    f"expected below its share in the population, {usual:.3f}, and someone else"
                )
            leaves = _members(sex, age, bias.group) & (draws["kept"] >= bias.share / usual)
            cell = _level(np.where(inside, 0.0, share), draws["elsewhere"])
            sex, age = (
                np.where(leaves, cells_sex[cell], sex),
                np.where(leaves, cells_age[cell], age),
            )
    return sex, age


def _level(weight: Reals, uniform: Reals) -> npt.NDArray[np.int64]:
    """Return the level that each uniform number falls on; none of weight 0."""
    edges = np.cumsum(weight / weight.sum())
    last = int(np.flatnonzero(weight)[-1])
    return np.minimum(np.searchsorted(edges, uniform, side="right"), last)


def _images(
    rows: dict[str, npt.NDArray[np.generic]], draws: dict[str, Reals], options: Options
) -> dict[str, npt.NDArray[np.generic] | pl.Series]:
    places = {site.name: site for site in options.sites}
    sites = [places[str(name)] for name in rows["site"]]
    portable = np.array([site.portable_share for site in sites])
    gain, noise = np.array([s.gain for s in sites]), np.array([s.noise for s in sites])
    month = 1 + np.floor(draws["day"] * options.months).astype(np.int64)
    day = np.floor(draws["day"] * options.months * _DAYS_A_MONTH).astype(np.int32)
    right = np.full(len(month), 0.5)
    for bias in options.biases:
        if isinstance(bias, planted.ScannerDrift):
            hit = _drifted(rows, month, bias)
            gain[hit] *= bias.gain
            noise[hit] *= bias.noise
        if isinstance(bias, planted.Shortcut):
            sign = np.where(rows["clean"], 0.5, -0.5)
            right = np.where(rows["site"] == bias.site, 0.5 + bias.strength * sign, right)
    since = pl.Series([options.first_day]).to_physical()[0]
    return {
        "view": np.where(draws["view"] < portable, "AP", "PA"),
        "view_known": draws["view_known"] >= options.missing.view,
        "acquired_on": pl.Series(since + day, dtype=pl.Int32).cast(pl.Date),
        "month": month,
        "recorded": _recorded(rows, draws, options),
        "gain": gain,
        "noise": noise,
        "marker": np.where(draws["marker"] < right, "R", "L"),
    }


def _drifted(
    rows: dict[str, npt.NDArray[np.generic]],
    month: npt.NDArray[np.int64],
    bias: planted.ScannerDrift,
) -> Flags:
    hit = month >= bias.from_month
    if bias.site is not None:
        hit = hit & (rows["site"] == bias.site)
    if bias.group is not None:
        hit = hit & _rows_of(rows, bias.group)
    return hit


def _rows_of(rows: dict[str, npt.NDArray[np.generic]], group: planted.Group) -> Flags:
    return _members(rows["sex"].astype(np.str_), rows["age_years"].astype(np.int64), group)


def _recorded(
    rows: dict[str, npt.NDArray[np.generic]], draws: dict[str, Reals], options: Options
) -> pl.Series:
    clean = rows["clean"].astype(np.bool_)
    said = clean.copy()
    for bias in options.biases:
        if isinstance(bias, planted.LabelNoise):
            inside = _rows_of(rows, bias.group)
            said[inside & clean & (draws["under"] < bias.under_diagnosis)] = False
            said[inside & ~clean & (draws["over"] < bias.over_diagnosis)] = True
    assessed = pl.Series(draws["assessed"] >= options.missing.label)
    return pl.select(pl.when(assessed).then(pl.Series(said))).to_series()


def _identifiers(
    owner: npt.NDArray[np.int64], number: npt.NDArray[np.int64], prefix: str
) -> dict[str, npt.NDArray[np.str_]]:
    """Digests of where a scene stands in the draw: they cannot carry what is in it."""
    words = [f"{prefix} {patient}" for patient in owner]
    numbered = list(zip(words, number, strict=True))
    return {
        "image_id": np.array([_uid(f"{said} image {n}") for said, n in numbered]),
        "study_id": np.array([_uid(f"{said} study {n}") for said, n in numbered]),
        "patient_code": np.array([_digest(said)[:10].upper() for said in words]),
    }


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def _uid(words: str) -> str:
    """Return a DICOM UID under 2.25, the root for numbers of 128 bits."""
    return f"2.25.{int(_digest(words)[:32], 16)}"
