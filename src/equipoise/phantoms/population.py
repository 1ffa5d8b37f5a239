"""The truth of a bench: what a fixed model does to each group, from a large independent draw.

Nothing here uses the audit engine, which is measured against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.phantoms.draws import Flags, Scene, listed, members, scenes
from equipoise.phantoms.observer import THRESHOLD, Scores, scores
from equipoise.phantoms.options import Options
from equipoise.phantoms.pictures import seen, spread
from equipoise.scope import Progress, silent

LABELS = ("clean", "recorded")
IDENTIFIABILITY = (
    "Differences in how labels were recorded can be told only against clean labels. From images, "
    "predictions and recorded labels alone, under-diagnosis of a group cannot be told from a "
    "group in which the finding is rarer and benign look-alikes are more common: both give the "
    "same law of all that is observed."
)


@dataclass(frozen=True, slots=True)
class Rate:
    """A number with its standard error; both null where nothing could be counted."""

    value: float | None
    standard_error: float | None


def population(
    options: Options,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> pl.DataFrame:
    """Return scene by scene what the fixed model says of an independent draw, one image a patient.

    Parameters
    ----------
    options
        The bench; `truth_patients` are drawn.
    workers
        Processes; the scores do not depend on it.
    progress
        Told how many images are done.

    Returns
    -------
    Scenes with a column ``score``. The images are rendered, not written.

    Examples
    --------
    >>> population(Options(truth_patients=4, size=32))["score"].len()
    4
    """
    table = independent(options)
    found: list[float] = []
    for part in spread(partial(judged, options), listed(table), workers=workers):
        found += part
        progress("truth", len(found), table.height)
    return table.with_columns(pl.Series("score", found, dtype=pl.Float64))


def independent(options: Options) -> pl.DataFrame:
    """Return the scenes of the independent draw: one image for each of `truth_patients`.

    Examples
    --------
    >>> independent(Options(truth_patients=4)).height
    4
    """
    table = scenes(options, stream="population", n=options.truth_patients)
    return table.filter(pl.col("number") == 0)


def judged(options: Options, part: Sequence[Scene]) -> list[float]:
    """Return the fixed model's scores of some scenes.

    Examples
    --------
    >>> judged(Options(), [])
    []
    """
    if not part:
        return []
    found: list[float] = scores(np.stack([seen(scene, options) for scene in part])).tolist()
    return found


def contrasts(
    observed: pl.DataFrame, groups: Sequence[Mapping[str, str | int]]
) -> list[dict[str, object]]:
    """Return what the fixed model does to each group, and the signed difference to the rest.

    A label bias shows as the gap between the rows against ``clean`` and those against
    ``recorded`` labels, and only there: whoever holds recorded labels alone sees the second kind,
    which a true difference between groups can bring about as well. Label bias is identifiable
    only against clean labels.

    Parameters
    ----------
    observed
        Scenes with a column ``score``, one image a patient.
    groups
        By true attributes, whether or not the file tells them.

    Returns
    -------
    A row per kind of label, group and metric (sensitivity, specificity, auroc): the group's value
    and the rest's, their difference, each with its standard error, and the numbers behind them.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44 (AUROC); binomial for the rates.

    Examples
    --------
    >>> seen = pl.DataFrame({"sex": ["F", "F", "M", "M"], "age_years": [40] * 4,
    ...     "clean": [True, False] * 2, "recorded": [True, False] * 2,
    ...     "score": [0.1, 0.0, 0.9, 0.1]})
    >>> row = contrasts(seen, [{"sex": "F"}])[0]
    >>> row["metric"], row["value"], row["rest"], row["difference"]
    ('sensitivity', 0.0, 1.0, -1.0)
    """
    rows: list[dict[str, object]] = []
    for labels in LABELS:
        known = observed.filter(pl.col(labels).is_not_null())
        label, score = known[labels].to_numpy(), known["score"].to_numpy()
        for group in groups:
            inside = members(known, dict(group))
            for metric, measure in _METRICS.items():
                own, rest = (measure(score[k], label[k]) for k in (inside, ~inside))
                rows.append(
                    {
                        "labels": labels,
                        "group": dict(group),
                        "metric": metric,
                        **asdict(own),
                        "rest": rest.value,
                        "rest_standard_error": rest.standard_error,
                        **_difference(own, rest),
                        "n_positive": int((inside & label).sum()),
                        "n_negative": int((inside & ~label).sum()),
                    }
                )
    return rows


def _difference(own: Rate, rest: Rate) -> dict[str, float | None]:
    missing: dict[str, float | None] = {"difference": None, "difference_standard_error": None}
    if own.value is None or rest.value is None:
        return missing
    missing["difference"] = own.value - rest.value
    if own.standard_error is not None and rest.standard_error is not None:
        error = np.hypot(own.standard_error, rest.standard_error)
        missing["difference_standard_error"] = float(error)
    return missing


def _share(hits: Flags) -> Rate:
    if len(hits) == 0:
        return Rate(None, None)
    share = float(hits.mean())
    return Rate(share, float(np.sqrt(share * (1 - share) / len(hits))))


def _sensitivity(score: Scores, label: Flags) -> Rate:
    return _share(score[label] >= THRESHOLD)


def _specificity(score: Scores, label: Flags) -> Rate:
    return _share(score[~label] < THRESHOLD)


def _auroc(score: Scores, label: Flags) -> Rate:
    positive, negative = score[label], score[~label]
    if len(positive) == 0 or len(negative) == 0:
        return Rate(None, None)
    above = _placement(positive, negative)
    if len(positive) < 2 or len(negative) < 2:
        return Rate(float(above.mean()), None)
    below = 1 - _placement(negative, positive)
    variance = above.var(ddof=1) / len(positive) + below.var(ddof=1) / len(negative)
    return Rate(float(above.mean()), float(np.sqrt(variance)))


def _placement(these: Scores, those: Scores) -> npt.NDArray[np.float64]:
    """Return, for each of these, the share of those that lie below, ties as a half."""
    order = np.sort(those)
    below = np.searchsorted(order, these, side="left") + np.searchsorted(order, these, side="right")
    return np.asarray(below / (2 * len(order)), dtype=np.float64)


_METRICS = {"sensitivity": _sensitivity, "specificity": _specificity, "auroc": _auroc}
