"""A real, tiny bundle: phantoms, the filterbank encoder, a fitted probe, an audited test split."""

from datetime import date
from functools import lru_cache

import numpy as np
import polars as pl

from equipoise import audit, bundles, encoders, metrics, mitigations, phantoms, policies, registry
from equipoise.scope import Scope
from equipoise.tables import ImageCache

FINDING = phantoms.FINDING
SIZE = 64
POLICY = {
    "version": 1,
    "name": "tiny",
    "criteria": [
        {"name": "found alike", "metric": "sensitivity", "attributes": ["sex"], "tolerance": 0.3}
    ],
    "floors": [
        {"name": f"{metric} for all", "metric": metric, "minimum": 0.55, "attributes": ["sex"]}
        for metric in ("auroc", "sensitivity", "specificity")
    ],
}
OVERRIDE = bundles.Override(name="A. Lee", reason="a pilot", expires=date(2030, 1, 31))
PLAN = bundles.AuditPlan(
    attributes={"sex": ["F", "M", "unknown"]},
    minimum=metrics.Minimum(positives=5, negatives=5, patients=5),
    metrics=("auroc", "sensitivity", "specificity"),
)
CONTRACT = bundles.InputContract(
    modalities=("DX", "CR"),
    views=("AP", "PA"),
    may_lack=("view",),
    rows=(32, 512),
    columns=(32, 512),
    height=SIZE,
    width=SIZE,
    channels=1,
)


def loaded():
    """The encoder of the bundle."""
    return registry.load("filterbank", encoders.ENCODERS, kind="encoder")({}, Scope())


@lru_cache(maxsize=4)
def drawn(patients=150, seed=3, images_per_patient=1.3):
    """Cohort, pixels uint8 ``(n, 64, 64)`` and embeddings ``(n, d)`` of phantoms, by image id."""
    options = phantoms.Options(
        patients=patients,
        seed=seed,
        size=SIZE,
        images_per_patient=phantoms.ImagesPerPatient(mean=images_per_patient),
    )
    table = phantoms.scenes(options)
    cohort = phantoms.cohort(table, options)
    pixels = phantoms.images(table, options)
    order = cohort["image_id"].arg_sort().to_numpy()
    pixels = np.ascontiguousarray(pixels[order])
    return cohort.sort("image_id"), pixels, loaded().embed(pixels)


def bundle(folder, *, override=None, verdict="pass", plan=PLAN, contract=CONTRACT, limit=True):
    """Write a bundle into `folder` and return it: half of the phantoms fit it, half audit it."""
    cohort, _, vectors = drawn()
    rank = cohort["patient_id"].rank("dense").to_numpy()
    train, test = rank % 2 == 0, rank % 2 == 1
    labels = cohort[f"label:{FINDING}"]
    probe = mitigations.MITIGATIONS["plain"]
    fit = registry.load(probe, {}, kind="mitigation")
    rows = mitigations.assessed(
        vectors[train], labels.filter(pl.Series(train)), ["everybody"] * int(train.sum())
    )
    fitted = fit(rows, penalty=0.1, parameters={}, rng=np.random.default_rng(0))
    held = cohort.filter(pl.Series(test)).with_columns(
        pl.Series(f"score:{FINDING}", mitigations.scores(fitted, vectors[test]))
    )
    points = pl.DataFrame(
        {
            "finding": [FINDING],
            "candidate": ["plain"],
            "operating_point": ["locked"],
            "fold": pl.Series([None], dtype=pl.Int64),
            "rule": ["specificity >= 0.8"],
            "threshold": [
                float(
                    held.filter(~pl.col(f"label:{FINDING}"))[f"score:{FINDING}"].quantile(0.8) or 0
                )
            ],
            "chosen_on": ["validation"],
            "digest": ["0" * 64],
        }
    )
    levels = {name: list(words) for name, words in plan.attributes.items()}
    table = metrics.subgroups(levels, order=plan.intersections)
    found = audit.auditing.estimated(
        held.with_columns(pl.col(list(levels)).cast(pl.String)),
        table,
        options=audit.Options(attributes=levels, minimum=plan.minimum, metrics=list(plan.metrics)),
        patient="patient_id",
        points=points,
        candidate="plain",
    )
    reference = bundles.described(
        vectors[train],
        vectors[test],
        mix={
            name: dict(cohort[name].fill_null("not said").value_counts().iter_rows())
            for name in ("modality", "manufacturer", "view", "photometric", "sex")
        },
        n_patients=cohort["patient_id"].n_unique(),
        within_patient={FINDING: 0.5},
        counts=found.counts,
        estimates=found.estimates,
    )
    if limit:
        contract = contract.model_copy(update={"distance_limit": 2 * reference.distances[1.0]})
    encoder = loaded()
    heads = {FINDING: fitted}
    manifest = bundles.Manifest(
        name="tiny",
        findings=(FINDING,),
        candidate="plain",
        encoder=bundles.EncoderNote.of(encoder),
        heads=bundles.heads_of(heads),
        contract=contract,
        audit=plan,
        verdict=verdict,
        reason="for tests",
        override=override,
        reference=True,
    )
    said = {"verdict": verdict, "reason": "for tests", "exit_code": 0, "criteria": [], "policy": {}}
    parts = bundles.Parts(
        manifest=manifest,
        encoder=bundles.EncoderFiles("filterbank", encoder),
        heads=heads,
        operating_points=points,
        policy=policies.validated(POLICY),
        verdict=said,
        model_card="# tiny\n",
        reference=reference,
    )
    bundles.written(folder, parts)
    return folder


def cache(pixels, ids):
    """An image cache in memory."""
    index = pl.DataFrame(
        {"image_id": ids, "row": range(len(ids)), "pixel_digest": [str(i) for i in ids]}
    )
    return ImageCache(index, pixels)
