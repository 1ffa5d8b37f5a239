"""Three hospitals with a known truth, small enough to be drawn in each test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from equipoise.federate.declaring import Federation, declared

SITES = ("harbour", "meadow", "ridge")


def study(sites: Sequence[str] = SITES, **said: object) -> Federation:
    """Return a declaration over sex and age band, with little that is too small."""
    told: dict[str, object] = {
        "version": 1,
        "name": "three-hospitals",
        "sites": list(sites),
        "attributes": {"sex": ["F", "M", "unknown"], "age_band": ["0-39", "40-64", "65+"]},
        "references": {"sex": "M"},
        "findings": ["opacity"],
        "candidate": "observer",
        "operating_points": {"screening": 0.5},
        "minimum": {"positives": 5, "negatives": 5, "patients": 5},
        "minimum_cell": 1,
        "patients_disjoint": True,
        "timeouts": {"round": 60, "patience": 20},
    }
    return declared({**told, **said})


def hospital(site: str, *, seed: int, patients: int = 300, shift: float = 0.0) -> pl.DataFrame:
    """Return a hospital's predictions; patients have one to three images."""
    rng = np.random.default_rng([seed, patients])
    images = rng.integers(1, 4, patients)
    who = np.repeat(np.arange(patients), images)
    sex = rng.choice(["F", "M", "unknown"], patients, p=[0.4, 0.4, 0.2])[who]
    age = rng.choice(["0-39", "40-64", "65+"], patients)[who]
    sick = (rng.random(patients) < 0.4)[who]
    latent = rng.standard_normal(len(who)) + 1.4 * sick - 0.7 - shift * (sex == "F")
    score = (1 / (1 + np.exp(-latent))).astype(np.float32)
    assessed = rng.random(len(who)) > 0.02
    label = pl.Series(sick)
    return pl.DataFrame(
        {
            "image_id": [f"{site}-{i:06d}" for i in range(len(who))],
            "patient_id": [f"{site}/p{i:05d}" for i in who],
            "sex": sex,
            "age_band": age,
            "label:opacity": pl.select(pl.when(pl.Series(assessed)).then(label)).to_series(),
            "score:opacity": score,
        }
    )


def hospitals(folder: Path, sites: Sequence[str] = SITES, patients: int = 300) -> dict[str, Path]:
    """Write a table of predictions for each site and say where it lies."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {}
    for number, site in enumerate(sites):
        places[site] = folder / f"{site}.parquet"
        hospital(site, seed=number, patients=patients + 40 * number).write_parquet(places[site])
    return places
