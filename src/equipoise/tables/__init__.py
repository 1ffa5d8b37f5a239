"""The tables in which stages meet, and the one place where each is checked.

A contract says which columns a table has, of which type, in which range and whether null may
stand there. A table is checked once, where it enters a stage; inside, it is trusted.
"""

from equipoise.tables.cohorts import attributes, findings, labels_of, numerics
from equipoise.tables.contracts import Column, Contract, check
from equipoise.tables.files import (
    aside,
    file_digest,
    make_folder,
    read_json,
    write_bytes,
    write_json,
    write_text,
)
from equipoise.tables.foreign import read_foreign, read_texts
from equipoise.tables.journal import RequestLog
from equipoise.tables.nouns import (
    ATTRITION,
    COHORT,
    CONTRACTS,
    CONTRASTS,
    COUNTS,
    DESCRIPTIONS,
    DRIFT,
    EMBEDDINGS,
    ESTIMATES,
    IMAGE_CACHE,
    LABELS,
    MONITORING,
    OPERATING_POINTS,
    PREDICTIONS,
    REQUESTS,
    SPLITS,
    SUBGROUPS,
    WEIGHTS,
)
from equipoise.tables.parquet import metadata, read, write
from equipoise.tables.pixels import ImageCache, ImageWriter
from equipoise.tables.requests import Requests, read_requests
from equipoise.tables.stored import StoredEmbeddings, open_embeddings

__all__ = [
    "ATTRITION",
    "COHORT",
    "CONTRACTS",
    "CONTRASTS",
    "COUNTS",
    "DESCRIPTIONS",
    "DRIFT",
    "EMBEDDINGS",
    "ESTIMATES",
    "IMAGE_CACHE",
    "LABELS",
    "MONITORING",
    "OPERATING_POINTS",
    "PREDICTIONS",
    "REQUESTS",
    "SPLITS",
    "SUBGROUPS",
    "WEIGHTS",
    "Column",
    "Contract",
    "ImageCache",
    "ImageWriter",
    "RequestLog",
    "Requests",
    "StoredEmbeddings",
    "aside",
    "attributes",
    "check",
    "file_digest",
    "findings",
    "labels_of",
    "make_folder",
    "metadata",
    "numerics",
    "open_embeddings",
    "read",
    "read_foreign",
    "read_json",
    "read_requests",
    "read_texts",
    "write",
    "write_bytes",
    "write_json",
    "write_text",
]
