"""Fairness of foundation models in medical imaging, from the first image to a verdict.

The submodules load when they are first named, so that ``import equipoise`` stays instant.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_SUBMODULES = (
    "accept",
    "adapt",
    "audit",
    "bench",
    "bundles",
    "curate",
    "document",
    "embed",
    "encoders",
    "errors",
    "evidence",
    "federate",
    "figures",
    "gate",
    "images",
    "ingest",
    "metrics",
    "mitigations",
    "monitor",
    "pages",
    "phantoms",
    "policies",
    "pretrain",
    "probes",
    "registry",
    "release",
    "report",
    "scope",
    "serve",
    "splits",
    "study",
    "surveillance",
    "tables",
    "training",
    "words",
)

__all__ = ["__version__", *_SUBMODULES]  # noqa: PLE0604  names of lazy submodules


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return importlib.import_module(f"equipoise.{name}")
    raise AttributeError(f"module 'equipoise' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
