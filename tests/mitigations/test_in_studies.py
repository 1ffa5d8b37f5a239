"""Members that need the group at test time, and those with steps, in a study's adaptation."""

import numpy as np
import polars as pl
import pytest

from equipoise import adapt, mitigations
from equipoise.errors import InvalidTable
from equipoise.mitigations import MITIGATIONS
from tests.mitigations.made import training

NEEDY = ("group_normalisation", "recalibration", "group_thresholds", "equalised_odds")
QUICK = {
    "cdann": {"hidden": 2, "passes": 20},
    "coral": {"hidden": 2, "passes": 20},
    "crt": {"hidden": 2, "passes": 20},
    "dann": {"hidden": 2, "passes": 20},
    "laftr": {"hidden": 2, "passes": 20},
    "mmd": {"hidden": 2, "passes": 20},
}


def images(**changed):
    drawn = training(n=600, unknown=15)
    n = len(drawn.y)
    ids = [f"{i:04d}" for i in range(n)]
    cohort = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"{i // 2:04d}" for i in range(n)],
            "sex": drawn.groups.tolist(),
            "label:edema": [None if i % 50 == 0 else bool(y) for i, y in enumerate(drawn.y)],
        }
    ).with_columns(**changed)
    parts = ["train", "train", "train", "validation", "test"]
    splits = pl.DataFrame(
        {
            "image_id": ids,
            "split": [parts[(i // 2) % 5] for i in range(n)],
            "fold": [(i // 2) % 3 for i in range(n)],
        }
    )
    vectors = pl.Series(drawn.x.astype(np.float32).tolist(), dtype=pl.Array(pl.Float32, 4))
    embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    return adapt.rows(cohort, splits, embeddings, findings=None, group_by=["sex"])


def options(names, evaluation="split"):
    return adapt.Options(
        candidates=[
            {"name": name, "mitigation": name, "parameters": QUICK.get(name, {})} for name in names
        ],
        penalties=(0.1,),
        evaluation=evaluation,
        group_by=("sex",),
    )


def test_every_member_is_fitted_and_scores_as_what_is_kept_does():
    rows = images()
    adapted = adapt.predictions(rows, options(sorted(MITIGATIONS)))
    assert [one.reason for one in adapted.outcomes] == [None] * len(MITIGATIONS)
    for one in adapted.outcomes:
        again = mitigations.scores(one.kept[None].fitted, rows.x, rows.groups)
        assert one.scores.tobytes() == again.tobytes()


@pytest.mark.parametrize("name", NEEDY)
def test_members_that_need_the_group_are_cross_fitted_with_it(name):
    rows = images()
    adapted = adapt.predictions(rows, options([name], "cross-fit"))
    found = next(one for one in adapted.outcomes if one.mitigation == name)
    for fold, trial in found.kept.items():
        mine = rows.fold == fold
        again = mitigations.scores(trial.fitted, rows.x, rows.groups)[mine]
        np.testing.assert_allclose(found.scores[mine], again)


def test_an_attribute_of_one_level_is_refused_before_anything_is_fitted():
    rows = images(sex=pl.lit("F"))
    with pytest.raises(InvalidTable, match="group_by sex: one group only, 'F'; expected at least"):
        adapt.predictions(rows, options(["plain", "leace", "recalibration"]))
