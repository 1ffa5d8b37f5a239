import pytest

torch = pytest.importorskip("torch")

from equipoise.encoders import catalogue  # noqa: E402
from equipoise.encoders import timm as family  # noqa: E402
from equipoise.encoders.card import load as load_card  # noqa: E402
from equipoise.encoders.libraries import beside_torchvision  # noqa: E402
from equipoise.errors import MissingExtra  # noqa: E402

try:
    timm = beside_torchvision("timm", extra="train", family="timm")
except MissingExtra:
    pytest.skip("timm is not installed", allow_module_level=True)

NAMES = [name for name in catalogue.names() if load_card(catalogue.path(name)).loader == "timm"]


@pytest.mark.parametrize("name", NAMES)
def test_a_card_of_the_catalogue_is_of_a_network_that_timm_makes(name):
    card = load_card(catalogue.path(name))
    with torch.device("meta"):  # shapes without memory: the largest has a thousand million weights
        inner = family._created(card.arguments, card, timm, name)
        call = family._call(inner.eval(), card)
        found = call(inner, torch.empty(1, card.channels, card.height, card.width))
    assert found.shape == (1, card.dimension)


def test_there_are_cards_of_timm():
    assert len(NAMES) >= 20
