"""One bundle for all tests of the service."""

import pytest

from equipoise import bundles
from tests.bundles import made

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

BANDS = made.bundles.AuditPlan(
    attributes={"sex": ["F", "M", "unknown"], "age_band": ["0-39", "40-64", "65+", "unknown"]},
    bands={"age_band": bundles.Band(**{"from": "age_years", "edges": [40, 65]})},
    minimum=made.PLAN.minimum,
    metrics=made.PLAN.metrics,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return made.bundle(tmp_path_factory.mktemp("released") / "bundle")


@pytest.fixture(scope="session")
def bundle(folder):
    return bundles.opened(folder)
