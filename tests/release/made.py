"""A small study on phantoms that reaches a verdict on one split."""

import yaml

from equipoise.study import conduct, parse


def policy(*, tolerance=0.4, sensitivity=0.1):
    """By default one that a model which ranks at all will pass."""
    return {
        "version": 1,
        "name": "small",
        "criteria": [
            {"name": "alike", "metric": "auroc", "attributes": ["sex"], "tolerance": tolerance}
        ],
        "floors": [
            {"name": metric, "metric": metric, "minimum": minimum, "attributes": ["sex"]}
            for metric, minimum in (
                ("auroc", 0.51),
                ("sensitivity", sensitivity),
                ("specificity", 0.5),
            )
        ],
    }


def study(*, rules=None, release=None, evaluation="split", patients=220, **audit):
    """Return the study, with a release if its options are given."""
    stages = {
        "phantoms": {"patients": patients, "seed": 5, "size": 64, "truth_patients": 40},
        "ingest": {"size": 64, "bands": {"age_band": {"from": "age_years", "edges": [60]}}},
        "curate": {"shares": {"train": 0.3, "validation": 0.2, "test": 0.5}},
        "embed": {"encoder": "filterbank"},
        "adapt": {
            "group_by": ["sex"],
            "penalties": [0.1],
            "candidates": [],
            "evaluation": evaluation,
        },
        "audit": {
            "attributes": {"sex": ["F", "M", "unknown"], "age_band": ["0-59", "60+", "unknown"]},
            "minimum": {"positives": 5, "negatives": 5, "patients": 5},
            "metrics": ["auroc", "sensitivity", "specificity"],
            **audit,
        },
        "gate": {"policy": rules or policy()},
    }
    if release is not None:
        stages["release"] = {"name": "small", **release}
    return {"version": 1, "name": "small", "stages": stages}


def go(folder, content):
    """Run a study in a folder."""
    return conduct(
        parse(content), folder, base=folder.parent, source=yaml.safe_dump(content).encode()
    )
