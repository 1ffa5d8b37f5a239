"""Bundles whose reference is known exactly, and cohorts of any size to test them on."""

from dataclasses import replace

import numpy as np
import polars as pl

from equipoise import bundles, metrics, policies

FINDING = "opacity"
BINS = 256
THRESHOLD = 0.5


def scores(rng, positive, shape):
    """Beta scores: positives lean up, negatives down, by `shape`."""
    ups, downs = shape
    return np.where(positive, rng.beta(*ups, len(positive)), rng.beta(*downs, len(positive)))


def counts(distributions, plan, *, n=1_000_000):
    """The table *counts* of a reference in which each sex has exact Beta scores."""
    from scipy.stats import beta

    edges = np.linspace(0, 1, BINS + 1)
    table = metrics.subgroups({k: list(v) for k, v in plan.attributes.items()}, order=2)
    rows = []
    for group in table.drop("exploratory").iter_rows(named=True):
        inside = [s for s in distributions if group["sex"] in {None, s}]
        parts = {
            label: [np.diff(beta.cdf(edges, *distributions[s][place])) * n for s in inside]
            for place, label in enumerate(("positive", "negative"))
        }
        above = {
            label: sum(beta.sf(THRESHOLD, *distributions[s][place]) * n for s in inside)
            for place, label in enumerate(("positive", "negative"))
        }
        whole = n * len(inside)
        histograms = {
            f"histogram_{k}": np.rint(sum(v) if v else np.zeros(BINS)).astype(int).tolist()
            for k, v in parts.items()
        }
        rows.append(
            {
                **group,
                "finding": FINDING,
                "candidate": "plain",
                "operating_point": "locked",
                "n_images": 2 * whole,
                "n_patients": 2 * whole,
                "n_positive": whole,
                "n_negative": whole,
                "patients_positive": whole,
                "patients_negative": whole,
                "tp": round(above["positive"]),
                "fp": round(above["negative"]),
                "tn": whole - round(above["negative"]),
                "fn": whole - round(above["positive"]),
                **histograms,
                "exploratory": False,
            }
        )
    return pl.DataFrame(rows)


def cohort(n, *, share=0.5, positives=0.4, per_patient=1, seed=0):
    """Local labels: `n` images, a share of women, images of a patient alike."""
    rng = np.random.default_rng(seed)
    people = np.arange(n) // per_patient
    sex = np.where(rng.random(people.max() + 1) < share, "F", "M")[people]
    truth = (rng.random(people.max() + 1) < positives)[people]
    return pl.DataFrame(
        {
            "image_id": [f"i{i:06d}" for i in range(n)],
            "patient_id": [f"p{p:06d}" for p in people],
            "site": ["here"] * n,
            "sex": sex,
            f"label:{FINDING}": truth,
        }
    )


def policy(*, tolerance=0.15, metric="sensitivity", floor=0.55):
    floors = [
        {"name": m, "metric": m, "minimum": floor, "attributes": ["sex"]}
        for m in ("auroc", "sensitivity", "specificity")
    ]
    criteria = [{"name": "alike", "metric": metric, "attributes": ["sex"], "tolerance": tolerance}]
    return policies.validated({"version": 1, "name": "t", "criteria": criteria, "floors": floors})


def known(opened, distributions, *, rules=None, correlation=0.0):
    """A bundle like `opened`, but with an exact reference, threshold and policy."""
    plan = bundles.AuditPlan(
        attributes={"sex": ["F", "M", "unknown"]},
        minimum=metrics.Minimum(positives=5, negatives=5, patients=5),
        metrics=("auroc", "sensitivity", "specificity"),
    )
    reference = replace(
        opened.reference,
        counts=counts(distributions, plan),
        within_patient={FINDING: correlation},
    )
    points = opened.operating_points.with_columns(threshold=pl.lit(THRESHOLD))
    return replace(
        opened,
        manifest=opened.manifest.model_copy(update={"audit": plan}),
        reference=reference,
        operating_points=points,
        policy=rules or policy(),
    )
