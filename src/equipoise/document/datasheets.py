"""A datasheet in JSON, in which what nobody said is ``"not available"``.

References
----------
Gebru et al. 2021, Datasheets for Datasets, Communications of the ACM 64(12):86.
"""

from collections.abc import Mapping

import polars as pl

from equipoise.errors import InvalidConfiguration, nearest
from equipoise.tables import attributes, findings

NOT_AVAILABLE = "not available"

FIELDS: Mapping[str, tuple[str, ...]] = {
    "motivation": ("purpose", "creators", "funders"),
    "composition": (
        "instances",
        "patients",
        "patient_means",
        "sites",
        "time_span",
        "attributes",
        "known_errors",
        "related_data",
    ),
    "collection": ("mechanism", "devices", "sampling", "consent", "ethics_review"),
    "preprocessing": ("image_size", "left_out", "other_steps", "raw_data"),
    "labels": ("findings", "source", "annotators", "agreement"),
    "uses": ("intended", "unsuitable", "prior"),
    "licence": ("name", "terms", "attribution"),
    "distribution": ("access", "location", "restrictions"),
    "maintenance": ("maintainer", "contact", "version", "updates"),
}
"""Section → fields."""


def check_answers(said: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a section or field that a datasheet does not have.

    Raises
    ------
    InvalidConfiguration
        With the nearest known one as a hint.

    Examples
    --------
    >>> check_answers({"licence": {"nme": "CC BY 4.0"}})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: datasheet: licence has no field 'nme'; known: name, \
terms, attribution
    """
    for section, answers in said.items():
        if section not in FIELDS:
            raise InvalidConfiguration(
                f"datasheet: no section '{section}'; known: {', '.join(FIELDS)}",
                hint=nearest(section, FIELDS),
            )
        for name in answers:
            if name not in FIELDS[section]:
                known = FIELDS[section]
                raise InvalidConfiguration(
                    f"datasheet: {section} has no field '{name}'; known: {', '.join(known)}",
                    hint=nearest(name, known),
                )


def datasheet(
    cohort: pl.DataFrame,
    said: Mapping[str, Mapping[str, str]],
    *,
    size: tuple[int, int, int],
    patient_means: str = "patient",
    left: Mapping[str, int] | None = None,
) -> dict[str, dict[str, str]]:
    """Return the datasheet: what was said, what the data show, and what is not available.

    Parameters
    ----------
    cohort
        The table *cohort*.
    said
        Section → field → text; it takes the place of what the data show.
    size
        Height, width (pixels) and channels of the images.
    patient_means
        What a patient id stands for.
    left
        Rule → how many units left by it; nothing if not known.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": ["a"], "patient_id": ["p"], "site": ["north"]})
    >>> sheet = datasheet(cohort, {"licence": {"name": "CC0"}}, size=(8, 8, 1))
    >>> sheet["licence"]["name"], sheet["licence"]["terms"], sheet["composition"]["instances"]
    ('CC0', 'not available', '1 image')
    """
    check_answers(said)
    seen = _seen(cohort, size, patient_means, left)
    return {
        section: {
            name: said.get(section, {}).get(name) or seen.get((section, name)) or NOT_AVAILABLE
            for name in names
        }
        for section, names in FIELDS.items()
    }


def _seen(
    cohort: pl.DataFrame,
    size: tuple[int, int, int],
    patient_means: str,
    left: Mapping[str, int] | None,
) -> dict[tuple[str, str], str]:
    patients = cohort["patient_id"].n_unique()
    height, width, channels = size
    known = "patient" if patient_means == "patient" else f"{patient_means} (patient unknown)"
    found = {
        ("composition", "instances"): _many(cohort.height, "image"),
        ("composition", "patients"): _many(patients, patient_means),
        ("composition", "patient_means"): known,
        ("composition", "sites"): _listed(cohort, "site"),
        ("composition", "time_span"): _time_span(cohort),
        ("composition", "attributes"): ", ".join(attributes(cohort)),
        ("collection", "devices"): _listed(cohort, "manufacturer"),
        ("preprocessing", "image_size"): f"{height} × {width} pixels, {_many(channels, 'channel')}",
        ("labels", "findings"): "; ".join(_finding(cohort, name) for name in findings(cohort)),
        ("labels", "source"): _sources(cohort),
    }
    if left is not None:
        rules = "; ".join(f"{n} {rule}" for rule, n in left.items())
        found["preprocessing", "left_out"] = rules or "nothing"
    return found


def _many(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listed(cohort: pl.DataFrame, column: str) -> str:
    if column not in cohort.columns:
        return ""
    counts = (
        cohort.group_by(column).len().drop_nulls().sort("len", column, descending=[True, False])
    )
    return "; ".join(f"{name} ({_many(n, 'image')})" for name, n in counts.iter_rows())


def _time_span(cohort: pl.DataFrame) -> str:
    days = cohort["acquired_on"].drop_nulls() if "acquired_on" in cohort.columns else None
    if days is None or days.is_empty():
        return ""
    missing = cohort.height - days.len()
    first, last = days.sort().to_list()[0], days.sort().to_list()[-1]
    return f"{first} to {last}; no date for {_many(missing, 'image')}"


def _finding(cohort: pl.DataFrame, name: str) -> str:
    labels = cohort[f"label:{name}"]
    positive, unknown = int(labels.sum() or 0), labels.null_count()
    negative = labels.len() - positive - unknown
    return f"{name}: {positive} positive, {negative} negative, {unknown} not assessed (images)"


def _sources(cohort: pl.DataFrame) -> str:
    said = []
    for name in findings(cohort):
        if f"label_source:{name}" in cohort.columns:
            sources = cohort[f"label_source:{name}"].drop_nulls().unique().sort()
            said += [f"{name}: {source}" for source in sources]
    return "; ".join(said)
