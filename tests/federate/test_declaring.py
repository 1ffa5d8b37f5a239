import pytest

from equipoise.errors import InvalidConfiguration
from equipoise.federate import declared, digest, load, text
from tests.federate.made import study


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"sites": ["a", "b"]}, "sites"),
        ({"sites": ["a", "b", "b"]}, "site 'b' stands there twice"),
        ({"sites": ["a", "b", "server"]}, "'server' cannot name a site"),
        ({"minimum_sites": 2}, "minimum_sites: .*greater than or equal to 3"),
        ({"minimum_sites": 4}, "minimum_sites is 4, of 3 sites"),
        ({"quorum": 4}, "quorum is 4; expected 3"),
        ({"patients_disjoint": False}, "patients_disjoint"),
        ({"version": 2}, "schema version is 2; expected 1"),
        ({"operating_points": {"p": 1.5}}, "threshold 1.5 of 'p' is outside"),
        ({"operating_points": {"p": float("nan")}}, "outside"),
        ({"minimum_cel": 3}, "unknown key 'minimum_cel'"),
    ],
)
def test_a_declaration_that_cannot_be_says_what_is_wrong(said, message):
    with pytest.raises(InvalidConfiguration, match=message):
        study(**said)


def test_the_fewest_sites_cannot_be_lowered_below_three():
    with pytest.raises(InvalidConfiguration, match="minimum_sites"):
        study(minimum_sites=1)


def test_a_declaration_that_travelled_as_text_is_the_same(tmp_path):
    told = study()
    path = tmp_path / "federation.yaml"
    path.write_text(text(told))
    assert load(path) == told
    assert digest(load(path)) == digest(told)


def test_another_order_of_attributes_is_another_study():
    told = study()
    turned = study(attributes=dict(reversed(told.attributes.items())))
    assert digest(turned) != digest(told)


def test_the_quorum_by_default_leaves_one_site_out_but_never_fewer_than_needed():
    assert study().enough == 3
    assert study(["a", "b", "c", "d", "e"]).enough == 4
    assert study(["a", "b", "c", "d", "e"], quorum=5).enough == 5


def test_a_list_is_no_declaration():
    with pytest.raises(InvalidConfiguration, match="is a list"):
        declared([])
