"""A small audit with a known gap, and everything a report may be given."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from equipoise import gate, metrics, policies
from equipoise.report import Link, Material

POLICY = {
    "version": 1,
    "name": "no group's cases missed",
    "criteria": [
        {"name": "cases", "metric": "sensitivity", "attributes": ["sex"], "tolerance": 0.1}
    ],
    "floors": [
        {"name": "useful", "metric": "auroc", "minimum": 0.6, "attributes": ["sex"]},
        {"name": "found", "metric": "sensitivity", "minimum": 0.3, "attributes": ["sex"]},
        {"name": "spared", "metric": "specificity", "minimum": 0.75, "attributes": ["sex"]},
    ],
    "required": [{"sex": "F"}],
}


def predictions(levels: Sequence[str], *, seed: int = 0, n: int = 700) -> pl.DataFrame:
    """Return scores that find the cases of the first level less often; the third is rare."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(levels), n, p=[0.5, 0.48, 0.02])
    label = rng.random(n) < 0.4
    shift = np.where(label, np.where(chosen == 0, 0.2, 3.0), -1.5)
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + shift)))
    return pl.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "patient_id": [f"p{k // 2}" for k in range(n)],
            "sex": [levels[k] for k in chosen],
            "label:nodule": label,
            "score:nodule": score.astype(np.float32),
        }
    )


def estimates(levels: Sequence[str] = ("F", "M", "other")) -> pl.DataFrame:
    frame = predictions(levels)
    table = metrics.subgroups({"sex": [*levels, "unknown"]})
    points = pl.DataFrame(
        {"finding": ["nodule"], "operating_point": ["at 0.5"], "threshold": [0.5]}
    )
    people = metrics.population(frame, table, patient="patient_id", points=points)
    plan = metrics.Plan(
        references={"sex": levels[1]},
        metrics=("auroc", "sensitivity", "specificity", "ppv", "npv", "brier"),
        minimum=metrics.Minimum(),
        candidate="plain",
        draws=2000,
    )
    return metrics.estimate(people, table, plan).estimates


def material(levels: Sequence[str] = ("F", "M", "other"), *, text: str = "plain text") -> Material:
    """Return everything, with `text` wherever data may put a text."""
    table = estimates(levels)
    verdict = gate.judge(table, policies.validated({**POLICY, "name": text})).as_json()
    return Material(
        estimates=table,
        audit={"candidate": "plain", "cross_fitted": True, "note": text, "patient_is": "patient"},
        verdict=verdict,
        facts=facts(levels, text),
        datasheet={"licence": {"name": text, "terms": "not available"}},
        curation={"splits_digest": "ab" * 32, text: 1, "counts": [{"group": text, "n": 3}]},
        candidates={"candidates": [_candidate("plain", text), _candidate(text, text)]},
        selection={"candidate": "plain", "rule": text, "reason": text},
        embeddings={"encoder": text, "card": {"licence": "not available", text: text}},
        cohort={"patient_means": "patient"},
        operating_points=_points(text),
        attrition=_attrition(text),
        chain=[
            Link("audit", text, "cd" * 32, {text: "ef" * 32}, {text: "01" * 32}, {text: "1"}),
            Link("", "gate", "23" * 32),
        ],
    )


def facts(levels: Sequence[str], text: str) -> Mapping[str, object]:
    counts = [{"attribute": "sex", "level": level, "images": 4, "patients": 2} for level in levels]
    labels = {"finding": "nodule", "attribute": "sex", "level": levels[0], "positive": 1}
    rest = {"negative": 3, "not_assessed": 0, "prevalence": 0.25}
    return {
        "images": 12,
        "patients": 5,
        "representation": {"by_attribute": counts, "by_place": [], "labels": [{**labels, **rest}]},
        "missingness": [{"column": text, "images": 1, "share": 0.1, "by_group": []}],
        "leakage": {"given": None, "curated": {"sentence": text}},
        "duplicates": {"sentence": text},
        "shortcuts": [
            {
                "finding": "nodule",
                "source": text,
                "kind": "content_free",
                "crude": {"auroc": 0.9, "low": 0.8, "high": 0.95},
                "conditional": None,
                "share_of_encoder": 0.9,
                "verdict": "shortcut warning",
                "sentence": text,
            }
        ],
        "warnings": [text],
    }


def _candidate(name: str, text: str) -> dict[str, object]:
    return {"finding": "nodule", "candidate": name, "status": text, "reason": None}


def _points(text: str) -> pl.DataFrame:
    row = {
        "finding": "nodule",
        "candidate": "plain",
        "operating_point": text,
        "fold": None,
        "rule": text,
        "threshold": 0.5,
        "chosen_on": text,
        "digest": "45" * 32,
    }
    return pl.DataFrame([row], schema_overrides={"fold": pl.Int64})


def _attrition(text: str) -> pl.DataFrame:
    row = {"stage": "ingest", "unit": "a.dcm", "rule": text, "reason": text, "sex": text}
    return pl.DataFrame([row])
