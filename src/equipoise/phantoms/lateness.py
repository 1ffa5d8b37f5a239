"""When the label of each image comes: late, and for some never."""

import datetime as dt

import numpy as np
import polars as pl

from equipoise.phantoms.cohorts import FINDING
from equipoise.phantoms.draws import members
from equipoise.phantoms.options import LabelsLate, Options

_STREAM = 7
"""Apart from the draws of the bench, which must not move with when labels come."""


def late_labels(table: pl.DataFrame, options: Options, late: LabelsLate) -> pl.DataFrame:
    """Return the labels that come, each with its time (UTC), as the table *labels*.

    Parameters
    ----------
    table
        Scenes.
    options
        The bench they were drawn from.
    late
        How late labels come.

    Returns
    -------
    `case_id` (the image id), `labelled_at` and the recorded label; sorted by case. Images that
    never get a label, or were not assessed, are not in it.

    Examples
    --------
    >>> from equipoise.phantoms.draws import scenes
    >>> options = Options(patients=4)
    >>> late_labels(scenes(options), options, LabelsLate()).columns
    ['case_id', 'labelled_at', 'label:opacity']
    """
    mean = np.full(table.height, late.mean_days)
    never = np.full(table.height, late.never_share)
    for one in late.groups:
        inside = members(table, one.group)
        mean[inside] = late.mean_days if one.mean_days is None else one.mean_days
        never[inside] = late.never_share if one.never_share is None else one.never_share
    drawn = np.array([_uniform(row, options.seed) for row in _keys(table)]).reshape(-1, 2)
    # From noon on: a label never stands before its image, whose time is the day's beginning.
    days = 0.5 - mean * np.log1p(-drawn[:, 1])
    noon = [
        dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC) + dt.timedelta(seconds=round(86400 * n))
        for day, n in zip(table["acquired_on"].to_list(), days.tolist(), strict=True)
    ]
    made = pl.DataFrame(
        {
            "case_id": table["image_id"],
            "labelled_at": pl.Series(noon, dtype=pl.Datetime("us", "UTC")),
            f"label:{FINDING}": table["recorded"],
        }
    )
    comes = pl.Series(drawn[:, 0] >= never) & table["recorded"].is_not_null()
    return made.filter(comes).sort("case_id")


def late_text(made: pl.DataFrame) -> str:
    r"""Return late labels as CSV: 1 or 0, times in ISO 8601.

    Examples
    --------
    >>> when = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
    >>> late_text(pl.DataFrame({"case_id": ["a"], "labelled_at": [when], "label:x": [True]}))
    'case_id,labelled_at,label:x\na,2026-01-02T12:00:00+00:00,1\n'
    """
    return made.with_columns(
        pl.col("labelled_at").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        pl.col(pl.Boolean).cast(pl.Int8),
    ).write_csv(line_terminator="\n")


def _keys(table: pl.DataFrame) -> list[tuple[int, int]]:
    return [(int(p), int(n)) for p, n in table.select("patient", "number").iter_rows()]


def _uniform(key: tuple[int, int], seed: int) -> list[float]:
    one, two = np.random.default_rng((seed, _STREAM, *key)).random(2)
    return [float(one), float(two)]
