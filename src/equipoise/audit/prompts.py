"""How far zero-shot results hang on the words: each prompt audited by itself, beside the ensemble.

A prompt is a choice as a threshold is one. Where the ranking of groups turns with the words, a gap
that one prompt shows says more of the words than of the model.
"""

import logging
from collections.abc import Mapping, Sequence

import polars as pl

from equipoise.audit.auditing import estimates
from equipoise.audit.options import Options
from equipoise.errors import InvalidTable, nearest
from equipoise.tables import CONTRASTS

Declared = Mapping[str, Sequence[str] | None] | Sequence[str]

_log = logging.getLogger(__name__)

_SCORES = ("image_id", "finding", "prompt", "score")
_METRIC = "auroc"


def prompt_estimates(
    scores: pl.DataFrame,
    cohort: pl.DataFrame,
    *,
    by: Declared,
    patient: str | None = "patient_id",
    options: Options | None = None,
) -> pl.DataFrame:
    """Return the AUROC of each group, and its contrasts, under each prompt and their ensemble.

    Parameters
    ----------
    scores
        A row per image, finding and prompt, as `encoders.zero_shot_each` gives them: `image_id`,
        `finding`, `prompt` (null: the ensemble), `score`.
    cohort
        A row per image: `image_id`, the patient, the attributes, ``label:<finding>``.
    by
        Attribute → its levels, declared before looking; as for `estimates`.
    patient
        The column that says whose image it is; None takes images as independent.
    options
        References, intersections, minimum numbers, seed. Metrics other than AUROC are left out:
        scores of two prompts share no threshold.

    Returns
    -------
    The table *estimates* with a column `prompt` before the others.

    Raises
    ------
    InvalidTable
        If a column is absent, a finding has no label, an image is not in the cohort or is scored
        twice under a prompt.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": [f"{i}" for i in range(160)], "sex": ["F", "M"] * 80,
    ...                        "label:edema": [i % 4 < 2 for i in range(160)]})
    >>> scores = cohort.select("image_id", finding=pl.lit("edema"), prompt=pl.lit("wet | dry"),
    ...                        score=pl.col("image_id").cast(pl.Float64) / 160)
    >>> found = prompt_estimates(scores, cohort, by={"sex": ["F", "M"]}, patient=None)
    >>> found.filter(pl.col("contrast").is_null(), interval="simultaneous")["prompt", "sex"].rows()
    [('wet | dry', None), ('wet | dry', 'F'), ('wet | dry', 'M')]
    """
    _check(scores, cohort)
    chosen = (options or Options()).model_copy(
        update={"metrics": [_METRIC], "describe": False, "shrink": False, "standardise": []}
    )
    bare = cohort.select(pl.exclude("^score:.*$", "^label:.*$"))
    parts = []
    for (finding, prompt), part in scores.group_by(["finding", "prompt"], maintain_order=True):
        label, score = f"label:{finding}", f"score:{finding}"
        rows = bare.with_columns(cohort[label]).join(
            part.select("image_id", pl.col("score").alias(score)),
            on="image_id",
            maintain_order="left",
        )
        found = estimates(rows, by=by, patient=patient, options=chosen)
        parts.append(found.select(pl.lit(prompt, dtype=pl.String).alias("prompt"), pl.all()))
    if not parts:
        raise InvalidTable("scores: no rows; expected a score per image, finding and prompt")
    return pl.concat(parts, how="vertical_relaxed")


def prompt_sensitivity(found: pl.DataFrame) -> pl.DataFrame:
    """Return the spread of each group's AUROC, and of each gap, over the prompts of a finding.

    Parameters
    ----------
    found
        From `prompt_estimates`.

    Returns
    -------
    A row per finding, group and contrast (null: the group's own AUROC): `n_prompts` that could be
    assessed, the `ensemble`'s value, `lowest` and `highest` over single prompts with their
    `lowest_prompt` and `highest_prompt`, `range`, `sd` (over prompts, n - 1; null below two).
    `sign_changes` says of a gap that one prompt puts it above 0 and another below;
    `sign_changes_clearly` that their simultaneous intervals do so too, each among the groups of its
    own prompt: nothing is corrected for the number of prompts. `status` and `reason` are of the
    audit where no prompt could be assessed.

    All prompts score the same images, so the spread is not one of sampling: it is what another
    choice of words would have reported. To choose words by it is to tune on what is audited.

    Raises
    ------
    InvalidTable
        If a column is absent.

    References
    ----------
    Radford et al. 2021, ICML (arXiv 2103.00020), section 3.1.4 (how much wording matters); Luo et
    al. 2024, CVPR (arXiv 2403.19949: groups differ in zero-shot AUROC).

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": [f"{i}" for i in range(160)], "sex": ["F", "M"] * 80,
    ...                        "label:edema": [i % 4 < 2 for i in range(160)]})
    >>> one = cohort.select("image_id", finding=pl.lit("edema"), prompt=pl.lit("wet | dry"),
    ...                     score=pl.col("image_id").cast(pl.Float64) / 160)
    >>> other = one.with_columns(prompt=pl.lit("dry | wet"), score=1 - pl.col("score"))
    >>> both = prompt_estimates(pl.concat([one, other]), cohort, by={"sex": ["F", "M"]},
    ...                         patient=None)
    >>> prompt_sensitivity(both).filter(pl.col("contrast").is_null())["n_prompts", "lowest",
    ...     "highest_prompt"].rows()[0]
    (2, 0.4875, 'dry | wet')
    """
    for name in ("prompt", "finding", "metric", "contrast", "interval", "value", "exploratory"):
        if name not in found.columns:
            raise InvalidTable(f"prompt estimates: no column '{name}'; got {found.columns}")
    start, end = found.columns.index("operating_point") + 1, found.columns.index("metric")
    key = ["finding", *found.columns[start:end], "contrast", "against"]
    rows = found.filter(
        pl.col("contrast").is_null() | pl.col("contrast").is_in(CONTRASTS),
        interval="simultaneous",
        adjustment="crude",
    )
    single = pl.col("prompt").is_not_null() & pl.col("value").is_not_null()
    gap = pl.col("contrast").is_not_null().first()
    made = rows.group_by(key, maintain_order=True).agg(
        single.sum().cast(pl.Int64).alias("n_prompts"),
        pl.col("value").filter(pl.col("prompt").is_null()).first().alias("ensemble"),
        *_ends(single),
        (_of("value", single).max() - _of("value", single).min()).alias("range"),
        _of("value", single).std(ddof=1).alias("sd"),
        _either(gap, _of("value", single), _of("value", single)).alias("sign_changes"),
        _either(gap, _of("low", single), _of("high", single)).alias("sign_changes_clearly"),
        pl.when(pl.col("value").is_not_null().any())
        .then(pl.lit("assessed"))
        .otherwise(pl.col("status").first())
        .alias("status"),
        pl.when(pl.col("value").is_null().all()).then(pl.col("reason").first()).alias("reason"),
        pl.col("n_images", "n_patients", "n_positive", "n_negative", "exploratory").first(),
    )
    for one in made.filter(pl.col("sign_changes_clearly")).iter_rows(named=True):
        group = {name: one[name] for name in key[1:-2] if one[name] is not None}
        _log.warning(
            "zero-shot '%s': the gap of %s against %s is %+.3f to %+.3f by the prompt",
            *(one["finding"], group, one["against"], one["lowest"], one["highest"]),
        )
    return made


def _of(name: str, single: pl.Expr) -> pl.Expr:
    return pl.col(name).filter(single)


def _ends(single: pl.Expr) -> list[pl.Expr]:
    """Return the least and the greatest value over prompts, each with its prompt."""
    ordered = pl.col("prompt").filter(single).sort_by(_of("value", single), maintain_order=True)
    return [
        _of("value", single).min().alias("lowest"),
        ordered.first().alias("lowest_prompt"),
        _of("value", single).max().alias("highest"),
        ordered.last().alias("highest_prompt"),
    ]


def _either(gap: pl.Expr, above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """Return whether one prompt is above 0 and another below; null of what is no gap."""
    both = (above > 0).any() & (below < 0).any()
    return pl.when(gap & (above.len() > 0)).then(both)


def _check(scores: pl.DataFrame, cohort: pl.DataFrame) -> None:
    for what, table, names in (("scores", scores, _SCORES), ("cohort", cohort, ("image_id",))):
        for name in names:
            if name not in table.columns:
                raise InvalidTable(
                    f"{what}: no column '{name}'; got {table.columns}",
                    hint=nearest(name, table.columns),
                )
    known = [name.removeprefix("label:") for name in cohort.columns if name.startswith("label:")]
    for finding in scores["finding"].unique(maintain_order=True).to_list():
        if finding not in known:
            raise InvalidTable(
                f"cohort: no column 'label:{finding}'; known: {', '.join(known) or 'none'}",
                hint=nearest(str(finding), known) or "prompt sets name findings as the cohort does",
            )
    _check_images(scores, cohort)


def _check_images(scores: pl.DataFrame, cohort: pl.DataFrame) -> None:
    twice = scores.select("image_id", "finding", "prompt").is_duplicated()
    if twice.any():
        one = scores.filter(twice)["image_id"][0]
        raise InvalidTable(f"scores: image '{one}' is scored twice under the same prompt")
    stray = scores.join(cohort, on="image_id", how="anti")["image_id"].unique(maintain_order=True)
    if stray.len():
        raise InvalidTable(f"scores: {stray.len()} images are not in the cohort, as {stray[0]!r}")
    lacking = cohort.join(scores, on="image_id", how="anti").height
    if lacking:
        _log.warning("scores: %d images of the cohort have none and are in no number", lacking)
