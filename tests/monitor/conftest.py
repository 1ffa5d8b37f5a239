"""One tiny bundle for all tests of the monitor."""

import pytest

from tests.bundles import made as tiny
from tests.monitor import made


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Return the folder of a bundle."""
    return tiny.bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def bundle(place):
    """Return it opened."""
    return made.opened(place)


@pytest.fixture
def look(place, bundle, tmp_path):
    """Return a function that writes a log and labels and looks at them."""

    def looked(rows, labels=None, **options):
        return made.look(tmp_path, place, bundle, rows, labels, **options)

    return looked
