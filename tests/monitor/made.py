"""A log of a tiny bundle as a site would have it: scores drawn so that rates are known."""

import datetime as dt
import functools
import json
from pathlib import Path

import numpy as np
import polars as pl

from equipoise import bundles
from equipoise.tables.requests import header, line_of
from tests.bundles import made as tiny

FINDING = tiny.FINDING
START = dt.datetime(2026, 1, 1, 8, tzinfo=dt.UTC)


@functools.lru_cache(maxsize=4)
def opened(folder: Path) -> bundles.Bundle:
    return bundles.opened(folder)


def cases(
    bundle,
    *,
    months=12,
    a_month=80,
    seed=0,
    drift=0.0,
    since=5,
    sensitivity=0.85,
    specificity=0.9,
):
    """Rows of a log and their labels; in `drift` the sensitivity of sex F falls from `since` on."""
    rng = np.random.default_rng(seed)
    threshold = bundle.operating_points["threshold"][0]
    rows, labels = [], []
    for month in range(months):
        for k in range(a_month):
            sex = "unknown" if rng.random() < 0.03 else str(rng.choice(["F", "M"]))
            positive = bool(rng.random() < 0.4)
            rate = sensitivity if positive else 1.0 - specificity
            if positive and sex == "F" and month + 1 >= since:
                rate -= drift
            called = rng.random() < rate
            low, high = (threshold, 1.0) if called else (0.0, threshold * 0.999)
            at = START + dt.timedelta(days=30.4 * (month + k / a_month))
            case = f"c{month:02d}{k:04d}"
            rows.append(
                {
                    "case_id": case,
                    "patient_key": f"p{month:02d}{k:04d}",
                    "at": at.isoformat(timespec="microseconds"),
                    "bundle": bundle.digest,
                    "outcome": "scored",
                    f"score:{FINDING}": float(np.float32(rng.uniform(low, high))),
                    "sex": sex,
                }
            )
            came = at + dt.timedelta(days=float(rng.exponential(20.0)))
            labels.append((case, came.isoformat(timespec="seconds"), int(positive)))
    return rows, labels


def write_log(folder: Path, rows, bundle_digest: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    by_day: dict[str, list] = {}
    for row in rows:
        by_day.setdefault(str(row["at"])[:10].replace("-", ""), []).append(row)
    for day, mine in by_day.items():
        lines = [line_of(header(bundle_digest, "k1")), *map(line_of, mine)]
        (folder / f"requests-{day}.jsonl").write_bytes(b"".join(lines))
    return folder


def write_labels(path: Path, labels) -> Path:
    frame = pl.DataFrame(
        labels, schema=["case_id", "labelled_at", f"label:{FINDING}"], orient="row"
    )
    frame.write_csv(path)
    return path


def said(folder: Path, name: str = "monitoring.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def look(folder: Path, place: Path, bundle, rows, labels=None, **options):
    """Write a log and labels, run the stage, and return its folder and what it returned."""
    from equipoise import monitor
    from equipoise.scope import Scope

    n = len(list(folder.glob("look*")))
    here = folder / f"look{n}"
    out = here / "out"
    out.mkdir(parents=True)
    write_log(here / "log", rows, bundle.digest)
    given = {"bundle": str(place), "log": str(here / "log"), **options}
    if labels is not None:
        given["labels"] = [str(write_labels(here / "labels.csv", labels))]
    return out, monitor.run(monitor.Options(**given), {}, out, Scope())
