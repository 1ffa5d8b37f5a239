import numpy as np
import polars as pl
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.training import Groups, association, grouped, proxies

PEOPLE = pl.DataFrame(
    {"sex": ["F", "M", "unknown", "F"], "site": ["a", "a", "b", "b"], "age_years": [1.0] * 4}
)


def test_an_intersection_is_a_group_and_unknown_in_one_is_unknown_in_all() -> None:
    found = grouped(PEOPLE, ["sex", "site"])
    assert found.names == ("sex=F, site=a", "sex=F, site=b", "sex=M, site=a")
    assert found.codes.tolist() == [0, 2, -1, 1]
    assert found.counts() == {**dict.fromkeys(found.names, 1), "unknown": 1}


def test_without_attributes_there_is_one_group_without_a_name() -> None:
    found = grouped(PEOPLE, [])
    assert found.names == ()
    assert found.codes.tolist() == [0] * 4


def test_an_attribute_of_one_level_an_absent_one_and_a_number_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match=r"1 level is known \(sex=F\)"):
        grouped(PEOPLE.filter(pl.col("sex") != "M"), ["sex"])
    with pytest.raises(InvalidTable, match="cohort: no column 'sexe'") as caught:
        grouped(PEOPLE, ["sexe"])
    assert caught.value.hint == "did you mean 'sex'?"
    with pytest.raises(InvalidTable, match="'age_years' is Float64; expected an attribute"):
        grouped(PEOPLE, ["age_years"])


def test_proxies_are_the_clusters_that_scikit_learn_finds() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(at, 0.3, (40, 5)) for at in (-2, 0, 2)])
    found = proxies(vectors, n=3, rng=np.random.default_rng(1))
    theirs = KMeans(3, n_init=10, random_state=0).fit_predict(vectors)
    assert adjusted_rand_score(found.codes, theirs) == 1.0
    again = proxies(vectors, n=3, rng=np.random.default_rng(1))
    assert (found.codes == again.codes).all()


def test_images_all_alike_and_more_clusters_than_images_do_not_break_it() -> None:
    alike = proxies(np.ones((5, 2)), n=2, rng=np.random.default_rng(0))
    assert len(alike.codes) == 5
    with pytest.raises(InvalidConfiguration, match="6 of 5 images; expected 2 to 5"):
        proxies(np.ones((5, 2)), n=6, rng=np.random.default_rng(0))


def test_association_is_nothing_by_chance_all_by_definition_and_null_of_one_level() -> None:
    rng = np.random.default_rng(0)
    groups = Groups(("a", "b"), rng.integers(0, 2, 4000))
    sex = rng.choice(["F", "M"], 4000).tolist()
    assert association(groups, sex) < 0.05
    assert association(groups, ["FM"[code] for code in groups.codes]) == pytest.approx(1.0)
    assert association(groups, ["F"] * 4000) is None
    assert association(groups, ["unknown"] * 4000) is None
