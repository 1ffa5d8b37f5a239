"""The contracts of the tables that stages hand to each other."""

from equipoise.tables.contracts import Column, Contract

_TEXT = Column("text")
_NAME = Column("text", nullable=True, required=False)
_WHOLE = Column("integer", nullable=True, required=False, low=0)
_REAL = Column("real", nullable=True, required=False)
_N = Column("integer", low=0)

ACQUISITION = {
    "modality": _NAME,
    "manufacturer": _NAME,
    "device_model": _NAME,
    "device_id": _NAME,
    "view": _NAME,
    "laterality": _NAME,
    "photometric": _NAME,
    "presentation": _NAME,
    "burned_in": _NAME,
    "compression": Column(
        "text", nullable=True, required=False, among=("none", "lossless", "lossy")
    ),
    "bits_stored": _WHOLE,
    "rows": _WHOLE,
    "columns": _WHOLE,
    "file_bytes": _WHOLE,
    "kvp": _REAL,
    "exposure": _REAL,
    "pixel_spacing_mm": _REAL,
}
"""How an image came to be; null where its file does not say."""

COHORT = Contract(
    "cohort",
    "image",
    {
        "image_id": _TEXT,
        "patient_id": _TEXT,
        "site": _TEXT,
        "study_id": _NAME,
        "acquired_on": Column("date", nullable=True, required=False),
        "path": Column("text", required=False),
        "image_digest": Column("text", required=False),
        "age_years": Column("real", nullable=True, required=False, low=0, high=130),
        **ACQUISITION,
    },
    families={
        "label:": Column("boolean", nullable=True),
        "label_source:": Column("text", nullable=True),
    },
    key=("image_id",),
    other={"text": _TEXT, "real": _REAL, "integer": Column("integer", nullable=True)},
)
"""A row per scored unit. A text column that is not named here is an attribute: never null."""

ATTRITION = Contract(
    "attrition",
    "unit that left",
    {
        "stage": _TEXT,
        "unit": _TEXT,
        "rule": _TEXT,
        "reason": _TEXT,
    },
    other={"text": Column("text", nullable=True)},
)
"""A row per unit that left, with its subgroup columns where they are known (else null)."""

IMAGE_CACHE = Contract(
    "image cache",
    "image",
    {"image_id": _TEXT, "row": _N, "pixel_digest": _TEXT},
    key=("image_id",),
)
"""Which row of ``images.npy``, uint8 ``(n, height, width)`` or ``(n, height, width, 3)``."""

SPLITS = Contract(
    "splits",
    "image",
    {
        "image_id": _TEXT,
        "patient_id": _TEXT,
        "split": Column("text", among=("train", "validation", "test")),
        "fold": _N,
    },
    key=("image_id",),
)
"""Where each image belongs; all images of a patient share split and fold."""

WEIGHTS = Contract(
    "weights",
    "image",
    {"image_id": _TEXT},
    families={"weight:": Column("real", nullable=True, low=0)},
    key=("image_id",),
)
"""Sampling weights per finding, mean 1 over the training split; null = label not assessed."""

EMBEDDINGS = Contract(
    "embeddings",
    "image",
    {"image_id": _TEXT, "vector": Column("vector")},
    key=("image_id",),
)
"""A vector per image; encoder digest, engine and precision stand in the metadata."""

PREDICTIONS = Contract(
    "predictions",
    "image",
    {
        "image_id": _TEXT,
        "split": Column("text", required=False, among=("train", "validation", "test")),
        "fold": Column("integer", required=False, low=0),
    },
    families={"score:": Column("real", nullable=True, low=0, high=1)},
    key=("image_id",),
)
"""A score per image and finding; ``fold`` names the model that scored it, if there are several."""

OPERATING_POINTS = Contract(
    "operating points",
    "finding × candidate × operating point (× fold)",
    {
        "finding": _TEXT,
        "candidate": _TEXT,
        "operating_point": _TEXT,
        "fold": Column("integer", nullable=True, low=0),
        "rule": _TEXT,
        "threshold": Column("real"),
        "chosen_on": _TEXT,
        "digest": _TEXT,
    },
    key=("finding", "candidate", "operating_point", "fold"),
)
"""An image is called positive when ``score >= threshold``; null fold = all images."""

SUBGROUPS = Contract(
    "subgroups",
    "declared subgroup",
    {"exploratory": Column("boolean")},
    other={"text": Column("text", nullable=True)},
)
"""A column per attribute; null = not restricted. The row of nulls is everybody."""

COUNTS = Contract(
    "counts",
    "subgroup × finding × candidate × operating point",
    {
        "finding": _TEXT,
        "candidate": _TEXT,
        "operating_point": Column("text", nullable=True),
        "n_images": _N,
        "n_patients": _N,
        "n_positive": _N,
        "n_negative": _N,
        "patients_positive": _N,
        "patients_negative": _N,
        "tp": Column("integer", nullable=True, low=0),
        "fp": Column("integer", nullable=True, low=0),
        "tn": Column("integer", nullable=True, low=0),
        "fn": Column("integer", nullable=True, low=0),
        "histogram_positive": Column("counts"),
        "histogram_negative": Column("counts"),
        "exploratory": Column("boolean"),
    },
    other={"text": Column("text", nullable=True)},
)
"""Additive cells; histograms of the score by label on 256 equal bins of [0, 1]."""

CONTRASTS = ("reference", "rest", "overall")
"""What a group is compared with."""

DESCRIPTIONS = (
    "range",
    "ratio",
    "worst",
    "between_group_variance",
    "equity_scaled_sum",
    "equity_scaled_std",
    "equalised_odds_difference",
    "equalised_odds_mean",
    "equal_opportunity_difference",
)
"""What is said of all groups together; never judged."""

ESTIMATES = Contract(
    "estimates",
    "estimate",
    {
        "finding": _TEXT,
        "candidate": _TEXT,
        "operating_point": Column("text", nullable=True),
        "metric": _TEXT,
        "contrast": Column("text", nullable=True, among=(*CONTRASTS, *DESCRIPTIONS)),
        "against": Column("text", nullable=True),
        "adjustment": _TEXT,
        "value": Column("real", nullable=True),
        "low": Column("real", nullable=True),
        "high": Column("real", nullable=True),
        "level": Column("real", nullable=True, low=0, high=1),
        "interval": Column("text", nullable=True, among=("pointwise", "simultaneous")),
        "events": Column("integer", nullable=True, low=0),
        "trials": Column("integer", nullable=True, low=0),
        "n_images": _N,
        "n_patients": _N,
        "n_positive": _N,
        "n_negative": _N,
        "standard_error": _REAL,
        "error_bound": _REAL,
        "p_value": _REAL,
        "p_adjusted": _REAL,
        "adjusted_by": _NAME,
        "chance": _REAL,
        "corrected": _REAL,
        "method": _TEXT,
        "status": Column("text", among=("assessed", "not assessable", "description")),
        "reason": Column("text", nullable=True),
        "exploratory": Column("boolean"),
    },
    other={"text": Column("text", nullable=True)},
)
"""One estimate a row; a null contrast is a group's own value, the rest are differences to it."""

REQUESTS = Contract(
    "requests",
    "scored case",
    {
        "case_id": _TEXT,
        "patient_key": _TEXT,
        "at": Column("time"),
        "bundle": _TEXT,
        "outcome": Column("text", among=("scored", "refused")),
        "refusal": _NAME,
        "distance": Column("real", nullable=True, required=False, low=0),
        **ACQUISITION,
    },
    families={
        "score:": Column("real", nullable=True, low=0, high=1),
        "component:": Column("real", nullable=True),
    },
    key=("case_id",),
    other={"text": _TEXT},
)
"""What a deployed bundle was asked and answered; nothing in it is an identifier.

`case_id` and `patient_key` are pseudonyms, `at` is UTC, `bundle` the digest of the bundle that
answered, `distance` and ``component:<n>`` where the image lies among the bundle's reference
embeddings. A text column that is not named here is a declared attribute: never null."""

LABELS = Contract(
    "labels",
    "label that came",
    {"case_id": _TEXT, "labelled_at": Column("time")},
    families={"label:": Column("boolean", nullable=True)},
    key=("case_id",),
)
"""Labels of cases that were scored before, with the time (UTC) at which each became known."""

MONITORING = Contract(
    "monitoring",
    "period × question, or period × chart",
    {
        "period": _TEXT,
        "kind": Column("text", among=("contrast", "floor", "chart")),
        "criterion": Column("text", nullable=True),
        "finding": _TEXT,
        "operating_point": Column("text", nullable=True),
        "metric": _TEXT,
        "contrast": Column("text", nullable=True, among=("reference", "rest")),
        "against": Column("text", nullable=True),
        "direction": Column("text", nullable=True, among=("below", "above")),
        "bound": Column("real", nullable=True),
        "n_first": _N,
        "n_second": _N,
        "value_first": Column("real", nullable=True),
        "value_second": Column("real", nullable=True),
        "log_e": Column("real", nullable=True),
        "log_e_adjusted": Column("real", nullable=True),
        "cusum": Column("real", nullable=True, low=0),
        "cusum_limit": Column("real", nullable=True, low=0),
        "basis": Column("text", among=("labels",)),
        "status": Column(
            "text", among=("alarm", "warning", "watched", "no labels", "no reference")
        ),
    },
    other={"text": Column("text", nullable=True)},
)
"""How a question stood at the end of a period, from the labels that had come by then.

The values are of the labels that came in the period; `n` counts patients since the start; a null
attribute is not restricted. `log_e` is the natural logarithm of the e-value, `log_e_adjusted` that
after closed testing over all questions: it is held against ``log(1/level)``."""

DRIFT = Contract(
    "drift",
    "period × group × what is compared",
    {
        "period": _TEXT,
        "group": _TEXT,
        "what": _TEXT,
        "against": Column("text", among=("reference", "first periods")),
        "n": _N,
        "n_before": _N,
        "distance": Column("real", low=0, high=1),
        "p": Column("real", low=0, high=1),
        "level": Column("real", low=0, high=1),
        "status": Column("text", among=("changed", "unchanged", "too few")),
    },
    other={"text": Column("text", nullable=True)},
)
"""Whether scores, embeddings or the acquisition mix of a period differ; a warning, no verdict."""

CONTRACTS = {
    contract.name: contract
    for contract in (
        COHORT,
        ATTRITION,
        IMAGE_CACHE,
        SPLITS,
        WEIGHTS,
        EMBEDDINGS,
        PREDICTIONS,
        OPERATING_POINTS,
        SUBGROUPS,
        COUNTS,
        ESTIMATES,
        REQUESTS,
        LABELS,
        MONITORING,
        DRIFT,
    )
}
