from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise import audit, tables
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics.standardised import mix
from equipoise.scope import Scope
from equipoise.tables import ESTIMATES, check
from tests.audit.test_stage import run_folders

BY = {"sex": ["F", "M"]}
POINT = {"half": 0.5}


def rows(n: int = 2_000, seed: int = 0) -> pl.DataFrame:
    """Return positives and negatives that are missed in AP only, of which F has more."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n)
    view = np.where(rng.random(n) < np.where(sex == "F", 0.7, 0.3), "AP", "PA")
    label = rng.random(n) < 0.5
    missed = rng.random(n) < np.where(view == "AP", 0.5, 0.1)
    return pl.DataFrame(
        {
            "image_id": [f"{i:05}" for i in range(n)],
            "patient_id": [f"{i:05}" for i in range(n)],
            "sex": sex,
            "view": view,
            "age_years": rng.integers(20, 90, n),
            "label": label,
            "score": np.where(label & ~missed, 0.8, 0.2),
        }
    )


def gap(found: pl.DataFrame) -> float:
    return found.filter(metric="sensitivity", sex="F", contrast="rest", interval="simultaneous")[
        "value"
    ].item()


def test_the_value_is_the_mean_over_strata_with_the_declared_shares() -> None:
    table = rows()
    found = audit.standardised(
        table, by=BY, standardise={"view": {"AP": 0.2, "PA": 0.8}}, operating_points=POINT
    )
    check(found, ESTIMATES)
    positives = table.filter(pl.col("label"), sex="F")
    rate = {view: (positives.filter(view=view)["score"] >= 0.5).mean() for view in ("AP", "PA")}
    own = found.filter(pl.col("contrast").is_null(), metric="sensitivity", sex="F")
    assert own["value"][0] == pytest.approx(0.2 * rate["AP"] + 0.8 * rate["PA"])
    assert set(found["adjustment"]) == {"standardised to the declared mix of view"}


@pytest.mark.parametrize(
    "standardise",
    [
        {"view": "overall"},
        mix({"view": "overall"}),
        pl.DataFrame({"view": ["AP", "PA"], "share": [0.5, 0.5]}),
        {"view": "sex=M"},
    ],
)
def test_a_gap_that_is_of_case_mix_alone_shrinks(standardise: object) -> None:
    crude = audit.estimates(rows(), by=BY, operating_points=POINT)
    found = audit.standardised(rows(), by=BY, standardise=standardise, operating_points=POINT)
    assert gap(crude) < -0.1
    assert abs(gap(found)) < 0.06


def test_numbers_are_cut_into_the_bands_that_have_shares() -> None:
    shares = {"age_years": {"0-49": 0.5, "50+": 0.5}}
    table = rows().with_columns(
        age_years=pl.when(pl.int_range(pl.len()) > 9).then(pl.col("age_years"))
    )
    found = audit.standardised(table, by=BY, standardise=shares, operating_points=POINT)
    assert found.filter(metric="sensitivity")["value"].null_count() == 0


def test_effective_images_are_fewer_the_farther_the_mix_is() -> None:
    near, far = (
        audit.reweighted(
            rows(), by=BY, standardise={"view": {"AP": p, "PA": 1 - p}}, operating_points=POINT
        )
        .weights.filter(metric="sensitivity", sex="F")["effective_share"]
        .item()
        for p in (0.7, 0.05)
    )
    assert far < near <= 1.0


def test_options_set_standardised_rows_below_the_crude_ones() -> None:
    options = audit.Options(standardise=[{"view": "overall"}, {"prevalence": 0.1}])
    found = audit.estimates(rows(), by=BY, operating_points=POINT, options=options)
    check(found, ESTIMATES)
    plain = audit.estimates(rows(), by=BY, operating_points=POINT)
    assert found.head(plain.height).equals(plain)
    assert found["adjustment"].unique(maintain_order=True).to_list()[-2:] == [
        "standardised to the overall mix of view",
        "standardised to prevalence 0.1",
    ]
    alone = audit.standardised(
        rows(), by=BY, standardise={"view": "overall"}, operating_points=POINT
    )
    mine = found.filter(adjustment="standardised to the overall mix of view")
    assert mine.select(alone.columns).equals(alone)


def test_a_group_that_the_mix_defines_is_not_assessable_and_says_why() -> None:
    found = audit.standardised(rows(), by=BY, standardise={"sex": "overall"})
    lacking = found.filter(pl.col("sex").is_not_null())
    assert set(lacking["status"]) == {"not assessable"}
    assert lacking["reason"].str.contains("which is in the case mix").all()


@pytest.mark.parametrize("column", ["absent", "view"])
def test_a_column_that_is_absent_or_a_level_without_a_share_is_an_error(column: str) -> None:
    with pytest.raises(InvalidTable):
        audit.standardised(rows(), by=BY, standardise={column: {"AP": 1.0}})


def test_two_mixes_of_one_name_are_refused() -> None:
    options = audit.Options(
        standardise=[{"view": {"AP": 0.5, "PA": 0.5}}, {"view": {"AP": 0.1, "PA": 0.9}}]
    )
    with pytest.raises(InvalidConfiguration, match="two case mixes"):
        audit.estimates(rows(), by=BY, options=options)


def test_the_stage_appends_the_rows_of_a_mix(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    path = folders["cohort"] / "cohort.parquet"
    cohort = tables.read(path, tables.COHORT)
    view = pl.Series("view", ["AP", "PA", "PA"] * (cohort.height // 3))
    tables.write(cohort.with_columns(view), path, tables.COHORT)
    options = audit.Options(
        attributes={"sex": ["F", "M", "unknown"]}, standardise=[{"view": "overall"}]
    )
    out = tables.make_folder(tmp_path / "estimates")
    audit.run(options, folders, out, Scope())
    found = tables.read(out / "estimates.parquet", tables.ESTIMATES)
    mine = found.filter(adjustment="standardised to the overall mix of view")
    assert set(mine["candidate"]) == {"plain"}
    assert (mine["status"] == "assessed").any()
    with pytest.raises(InvalidTable, match="no attribute 'absent'"):
        audit.run(
            options.model_copy(update={"standardise": [{"absent": "overall"}]}),
            folders,
            tables.make_folder(tmp_path / "other"),
            Scope(),
        )
