import numpy as np
import polars as pl
import pytest
from scipy import stats

from equipoise.document.options import Options
from equipoise.document.origins import Source
from equipoise.document.probing import probed, task


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 12])
def test_what_says_nothing_is_found_above_a_half_no_oftener_than_the_level_says(columns: int):
    """Without the doubled variance of cross-fitting it would be at 10 to 14 %."""
    draws = 500
    found = [noise(seed, columns) for seed in range(draws)]
    for look in (0, 1):
        false = sum(one[look] <= 0.05 for one in found)
        assert stats.binomtest(false, draws, 0.05, alternative="greater").pvalue > 0.001


def noise(seed: int, columns: int) -> tuple[float, float]:
    """p-values, crude and given the site, of columns that say nothing of 300 patients."""
    random = np.random.default_rng(seed)
    n = 300
    rows = {
        "patient_id": [f"p{one}" for one in range(n)],
        "site": [f"s{one % 2}" for one in range(n)],
        "view": ["AP"] * n,
        "label:mass": (random.random(n) < 0.3).tolist(),
    }
    options = Options()
    asked = task(pl.DataFrame(rows), "mass", options)
    columns_of_noise = random.normal(size=(n, columns))
    made = probed(Source("kvp", "content_free", columns_of_noise), asked, options)
    assert made.crude is not None
    assert made.conditional is not None
    return made.crude.p_above(0.5), made.conditional.p_above(0.5)
