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
    return audited(levels).estimates


def audited(levels: Sequence[str] = ("F", "M", "other")) -> metrics.Estimated:
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
    return metrics.estimate(people, table, plan)


def material(levels: Sequence[str] = ("F", "M", "other"), *, text: str = "plain text") -> Material:
    """Return everything, with `text` wherever data may put a text."""
    made = audited(levels)
    table = made.estimates
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
        pretraining=pretraining(text),
        acceptance=acceptance(text),
        power=power(text),
        shift=shift(text),
        monitoring=monitoring(text),
        embeddings={"encoder": text, "use": text, "card": card(text)},
        cohort={"patient_means": "patient"},
        operating_points=_points(text),
        counts=made.counts,
        attrition=_attrition(text),
        chain=[
            Link("audit", text, "cd" * 32, {text: "ef" * 32}, {text: "01" * 32}, {text: "1"}),
            Link("", "gate", "23" * 32),
        ],
    )


def card(text: str) -> Mapping[str, object]:
    """Return what an encoder's card says, with `text` wherever it may put a text."""
    return {
        "name": text,
        "licence": "not available",
        text: text,
        "populations": [{"dataset": text, "country": text, "people": text, "source": text}],
        "documented_bias": [{"finding": text, "source": text}],
        "terms": {
            "non_commercial": True,
            "share_conditions": text,
            "clauses": {"non_commercial": text},
        },
        "verified": [text],
    }


def pretraining(text: str) -> Mapping[str, object]:
    row = {"from": "plain", "to": text, "metric": "auroc", "group": text, "against": None}
    apart = {"first": 0.8, "second": 0.9, "difference": 0.1, "low": 0.02, "high": 0.18}
    absent = dict.fromkeys(("first", "second", "difference", "low", "high"))
    return {
        "question": text,
        "how_seeds_enter": text,
        "equal": {"steps": 150},
        "rows": [{**row, **apart, "reason": None}, {**row, **absent, "reason": text}],
    }


def acceptance(text: str) -> Mapping[str, object]:
    return {
        "name": text,
        "bundle": "67" * 32,
        "released_with": {"verdict": "inconclusive", "reason": text},
        "override": {"name": text, "reason": "a pilot", "expires": "2030-01-31"},
    }


def power(text: str) -> Mapping[str, object]:
    verdicts = ("pass", "inconclusive", "not assessable", "fail")
    shares = {name: {"share": 0.25, "low": 0.1, "high": 0.5} for name in verdicts}
    asked = {"metric": "sensitivity", "group": text, "against": text, "difference": -0.11}
    need = {"name": text, "finding": text, "metric": "auroc", "group": text}
    numbers = {"n_positive": 41, "n_negative": 1234}
    return {
        "chance_of_needs": 0.8,
        "chances": [
            {"case": "reference", "draws": 9, "verdicts": shares},
            {"case": "beyond", "draws": 0, "reason": text, **asked},
        ],
        "needs": [
            {
                **need,
                **numbers,
                "needed_for_pass": {"n_positive": 52, "n_negative": 0},
                "needed_for_fail": None,
                "enough_for_pass": False,
                "lacking": text,
            }
        ],
    }


def shift(text: str) -> Mapping[str, object]:
    mix = {"column": text, "total_variation": 0.5, "by_chance": 0.1, "p_adjusted": 0.01}
    score = {"finding": text, "group": text, "mean": 0.3, "mean_of_reference": 0.4}
    beyond = {"share": 0.1, "low": 0.05, "high": 0.2}
    return {
        "reason": text,
        "input_gate": {"n_images": 3, "of": 12},
        "mixes": [{**mix, "new_levels": {text: 3}}],
        "distances": {"beyond": [{"quantile": q, **beyond} for q in ("0.99", "1", "limit")]},
        "scores": [{**score, "wasserstein": 0.1, "by_chance": 0.05, "p_adjusted": 0.04}],
    }


def monitoring(text: str) -> Mapping[str, object]:
    asked = {"name": text, "kind": "contrast", "metric": "specificity", "group": text}
    return {
        "as_of": "2030-01-31",
        "n_cases": 100,
        "n_patients": 90,
        "n_labelled": 80,
        "level": 0.05,
        "periods": ["2029-12", "2030-01"],
        "verdict": {"verdict": "fail", "reason": text},
        "questions": [
            {**asked, "alarm": "2030-01-15", "bound": 0.1, "value": -0.2},
            {**asked, "alarm": None, "bound": 0.1, "value": 0.0},
        ],
        "charts": [{"group": text, "warned": "2030-01-02"}],
        "drift": {"changed": [{"group": text}]},
    }


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
