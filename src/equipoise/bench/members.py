"""Every way of training beside plain training, on the same patients, with one family of intervals.

Plain training is drawn and fitted alike in every run, so that runs are paired.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import adapt
from equipoise.adapt.comparison import check_asked
from equipoise.adapt.rounds import Evaluation, decided, rounds
from equipoise.bench.differences import Images, critical, rows, sides
from equipoise.bench.options import Members
from equipoise.bench.runs import Said, add_fit, redrawn
from equipoise.errors import InvalidTable
from equipoise.metrics import UNKNOWN
from equipoise.scope import Progress, silent

Flags = npt.NDArray[np.bool_]

COMPARED = ("auroc", "sensitivity")
"""What is compared; sensitivity at the first operating point."""


def members(
    images: adapt.Rows,
    options: Members | None = None,
    *,
    truth: Mapping[str, pl.Series] | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """Return by how much each candidate differs from plain training.

    Every seed draws anew which patients train and which validate, among those who are not tested;
    in a cross-fit it draws the folds anew. Plain training is drawn alike, so that runs are paired.

    Parameters
    ----------
    images
        Cohort, split and embeddings, brought together by `equipoise.adapt.rows`.
    options
        Candidates, penalties, one operating point, evaluation, seeds.
    truth
        Finding → labels ``(n,)`` to test by, null = not assessed, where they are known better
        than those that are trained on; by default these themselves.
    progress
        Told ``("fits", done, total)``.

    Returns
    -------
    A row per finding, candidate, metric (AUROC, sensitivity) and quantity: *everybody*, each
    *group*, each *contrast* (`group` less `against`), *worst group*, *largest contrast*. `first`
    is plain training, `difference` the candidate less it, `low` and `high` hold for all rows of a
    finding together, over patients and seeds; `status` and `reason`, where groups that are too
    small are named.

    Raises
    ------
    InvalidTable
        If fewer than two groups are known, `truth` does not fit, or plain training failed.
    UnknownName
        If there is no such mitigation; before anything is fitted.

    References
    ----------
    Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346 (simultaneous intervals); Obuchowski
    1997, Biometrics 53:567 (clusters); Zou & Donner 2008, Statistics in Medicine 27:1693.

    Examples
    --------
    >>> ids = [str(i) for i in range(400)]
    >>> label, rng = np.arange(400) % 2 == 1, np.random.default_rng(0)
    >>> split = np.array(["train", "test"])[np.arange(400) // 2 % 2]
    >>> images = adapt.Rows(ids, ids, rng.normal(size=(400, 2)) + label[:, None],
    ...     {"x": pl.Series(label)}, np.array(["F", "M"])[np.arange(400) // 8 % 2],
    ...     [str(one) for one in label], np.arange(400), split, np.zeros(400, dtype=int))
    >>> asked = adapt.Options(candidates=(adapt.Candidate(name="jtt", mitigation="jtt"),),
    ...     penalties=(1.0,), evaluation="split")
    >>> found = members(images, Members(adapt=asked, seeds=(0, 1)))
    >>> found.filter(metric="auroc")["quantity"].to_list()
    ['everybody', 'group', 'group', 'contrast', 'worst group', 'largest contrast']
    """
    chosen = options or Members()
    known = sorted(set(images.groups.tolist()) - {UNKNOWN})
    if len(known) < 2:
        raise InvalidTable(
            f"cohort: the groups are {', '.join(known) or 'all unknown'}; expected two or more "
            "that are known"
        )
    known_better = images.labels if truth is None else truth
    by = {name: known_better.get(name) for name in images.labels}
    labels = {name: _checked(name, by[name], len(images.image_ids)) for name in by}
    evaluation, _ = decided(images, chosen.adapt)
    everyone = np.ones(len(images.image_ids), dtype=bool)
    tested = images.split == "test" if evaluation == "split" else everyone
    if not tested.any():
        raise InvalidTable("splits: no image is in the test split; expected some to test on")
    told = _fitted(images, chosen, evaluation, progress)
    table: list[dict[str, object]] = []
    for finding, label in labels.items():
        one = dataclasses.replace(images, labels={finding: label})
        own = {name: fits for (about, name), fits in told.items() if about == finding}
        table += _finding(one, finding, tested, own, chosen)
    return pl.DataFrame(table, infer_schema_length=None)


def _checked(finding: str, labels: pl.Series | None, n: int) -> pl.Series:
    if labels is None:
        raise InvalidTable(f"truth: no labels of finding '{finding}'; expected those of all")
    if labels.dtype != pl.Boolean or len(labels) != n:
        raise InvalidTable(
            f"truth: finding '{finding}' has {len(labels)} labels of type {labels.dtype}; "
            f"expected {n} of type Boolean"
        )
    return labels


def _fitted(
    images: adapt.Rows, options: Members, evaluation: Evaluation, progress: Progress
) -> dict[tuple[str, str], Said]:
    """Return what every candidate said of every finding."""
    asked = options.adapt
    check_asked(images, asked)
    if not asked.operating_points:
        raise InvalidTable("adapt: no operating point; expected one to compare sensitivities at")
    told: dict[tuple[str, str], Said] = {}
    work = [(seed, one) for seed in options.seeds for one in asked.compared()]
    for done, (seed, candidate) in enumerate(work):
        progress("fits", done, len(work))
        drawn = redrawn(images, evaluation, seed)
        parts = rounds(drawn, evaluation, seed=seed, inner=asked.inner_validation)
        add_fit(told, drawn, candidate, parts, asked, seed=seed)
    progress("fits", len(work), len(work))
    return told


def _finding(
    images: adapt.Rows,
    finding: str,
    tested: Flags,
    told: Mapping[str, Said],
    options: Members,
) -> Iterator[dict[str, object]]:
    """Yield all rows of one finding: one family."""
    name, *others = [one.name for one in options.adapt.compared()]
    reference = told[name]
    if reference.failed:
        raise InvalidTable(f"finding '{finding}': plain training failed; {reference.failed[0]}")
    inside = images.assessed(finding, tested)
    point = options.adapt.operating_points[0].name
    whom = _tested(images, finding, inside, options)
    found = {
        (candidate, metric): sides(
            metric, reference.answers(point, inside), told[candidate].answers(point, inside), whom
        )
        for candidate in others
        for metric in COMPARED
        if not told[candidate].failed
    }
    z = critical(list(found.values()), options.level)
    for candidate in others:
        for metric in COMPARED:
            about = {
                "finding": finding,
                "candidate": candidate,
                "metric": metric,
                "runs": len(options.seeds) - len(told[candidate].failed),
                "failed": len(told[candidate].failed),
                "critical": None if np.isnan(z) else z,
            }
            side = found.get((candidate, metric))
            if side is None:
                why = "; ".join(told[candidate].failed)
                yield {**about, "quantity": "everybody", "status": "failed", "reason": why}
                continue
            for row in rows(side, z):
                yield {**about, **row}


def _tested(images: adapt.Rows, finding: str, inside: Flags, options: Members) -> Images:
    known = sorted(set(images.groups.tolist()) - {UNKNOWN})
    return Images(
        images.truth(finding)[inside],
        np.unique(images.patients[inside], return_inverse=True)[1].astype(np.int64),
        {name: images.groups[inside] == name for name in known},
        options.minimum,
    )
