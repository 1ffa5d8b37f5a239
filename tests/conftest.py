"""What all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# Tests never assert a time, and a run must be as good as the next: the same examples each time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def shared() -> Path:
    """Return the folder of real images and models, or skip by name where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("shared/data is absent: real images and models are not tested")
    return folder
