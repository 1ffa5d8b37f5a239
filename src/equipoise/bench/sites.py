"""Across sites: trained at some, tested at them and at others, gaps side by side.

Patients of the sites to train at are split; their test part is the same in every run, while
training and validation are drawn anew. Patients elsewhere were seen by no run.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import adapt
from equipoise.adapt.comparison import check_asked
from equipoise.bench.arms import Arm, arms, difference, limits
from equipoise.bench.options import Sites
from equipoise.bench.runs import Pair, Said, add_run, asked, check_fitted, numbers_of, pairs
from equipoise.errors import InvalidTable, UnknownName, nearest
from equipoise.mitigations import joined_groups
from equipoise.scope import Progress, silent
from equipoise.splits import assign, patient_strata
from equipoise.tables import findings as all_findings

Flags = npt.NDArray[np.bool_]
_WITHIN, _BEYOND = "in", "out"


def across_sites(
    cohort: pl.DataFrame,
    embeddings: pl.DataFrame,
    options: Sites,
    *,
    progress: Progress = silent,
) -> pl.DataFrame:
    """Return what each candidate reaches where it was trained, and elsewhere.

    Parameters
    ----------
    cohort
        The table *cohort*.
    embeddings
        The table *embeddings*.
    options
        Sites, seeds, candidates.
    progress
        Told ``("runs", done, total)``.

    Returns
    -------
    A row per finding, candidate, metric, operating point and group or contrast (`against`):
    `value_in`, `low_in`, `high_in` at the sites of training (their test part), `value_out` and its
    limits elsewhere, `shift` (out less in) with limits, no patient being in both; images and
    patients of both; `runs`, `failed`, `status`, `reason`.

    Raises
    ------
    UnknownName
        If there is no such site or reference.
    InvalidTable
        If a patient is at a site of either kind, or no run could be fitted.

    Examples
    --------
    >>> n, rng = 400, np.random.default_rng(0)
    >>> label = np.arange(n) % 2 == 1
    >>> ids = [str(i) for i in range(n)]
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "label:x": label,
    ...     "site": np.where(np.arange(n) < 250, "a", "b"), "sex": ["F", "F", "M", "M"] * 100})
    >>> x = (rng.normal(size=(n, 2)) + label[:, None]).astype(np.float32)
    >>> vectors = pl.DataFrame({"image_id": ids})
    >>> vectors = vectors.with_columns(vector=pl.Series(x, dtype=pl.Array(pl.Float32, 2)))
    >>> plain = adapt.Options(candidates=(), penalties=(1.0,), group_by=("sex",))
    >>> asked = Sites(train=("a",), test=("b",), adapt=plain, seeds=(0,))
    >>> found = across_sites(cohort, vectors, asked)
    >>> found.filter(metric="auroc", group="everybody")["n_patients_in", "n_patients_out"].row(0)
    (75, 150)
    """
    here = _checked(cohort, options)
    told: dict[tuple[str, str], Said] = {}
    images: adapt.Rows | None = None
    for done, seed in enumerate(options.seeds):
        progress("runs", done, len(options.seeds))
        splits = _splits(here, options, seed)
        images = adapt.rows(
            here,
            splits,
            embeddings,
            findings=options.adapt.findings,
            group_by=options.adapt.group_by,
        )
        check_asked(images, options.adapt)
        add_run(told, images, options.adapt, "split", seed=seed)
    progress("runs", len(options.seeds), len(options.seeds))
    check_fitted(told.values())
    if images is None:
        raise InvalidTable("across sites: no seed")
    site = dict(zip(here["image_id"], here["site"], strict=True))
    beyond = np.array([site[image] in options.test for image in images.image_ids])
    rows = [
        {"finding": finding, "candidate": candidate, "metric": metric, "operating_point": p, **row}
        for (finding, candidate), said in told.items()
        for metric, p in asked(options.adapt)
        for row in _both_sides(images, beyond, (finding, metric, p), said, options)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _checked(cohort: pl.DataFrame, options: Sites) -> pl.DataFrame:
    """Return the images of all sites that are named."""
    known = sorted(set(cohort["site"]))
    for name in (*options.train, *options.test):
        if name not in known:
            raise UnknownName(
                f"cohort: no site '{name}'; sites: {', '.join(known)}", hint=nearest(name, known)
            )
    here = cohort.filter(pl.col("site").is_in([*options.train, *options.test]))
    sides = here.group_by("patient_id").agg(
        pl.col("site").is_in(list(options.train)).n_unique().alias("sides")
    )
    torn = sides.filter(pl.col("sides") > 1).sort("patient_id")
    if torn.height:
        raise InvalidTable(
            f"cohort: {torn.height} patients are at sites to train at and to test at, as "
            f"'{torn['patient_id'][0]}'; expected each on one side"
        )
    return here.sort("image_id")


def _splits(here: pl.DataFrame, options: Sites, seed: int) -> pl.DataFrame:
    """Return splits: test is the same for every seed, training and validation are drawn anew."""
    inside = here.filter(pl.col("site").is_in(list(options.train)))
    people = inside["patient_id"].to_list()
    findings = options.adapt.findings or tuple(all_findings(inside))
    strata = patient_strata(
        people,
        [inside[f"label:{name}"].to_list() for name in findings if f"label:{name}" in inside],
        [joined_groups(inside, options.adapt.group_by)],
    )
    held = options.shares["test"]
    first = assign(people, strata, shares={"train": 1.0 - held, "test": held}, seed=0)
    rest = np.flatnonzero(first == "train")
    validation = options.shares["validation"] / (1.0 - held)
    second = assign(
        [people[i] for i in rest],
        [strata[i] for i in rest],
        shares={"train": 1.0 - validation, "validation": validation},
        seed=seed,
    )
    split = first.astype("<U10")
    split[rest] = second
    place = dict(zip(inside["image_id"], split.tolist(), strict=True))
    where = [place.get(image, "test") for image in here["image_id"]]
    zero = pl.Series("fold", [0] * here.height, dtype=pl.Int64)
    return here.select("image_id").with_columns(pl.Series("split", where), zero)


def _both_sides(
    images: adapt.Rows,
    beyond: Flags,
    about: tuple[str, str, str | None],
    said: Said,
    options: Sites,
) -> Iterator[dict[str, object]]:
    finding, metric, point = about
    found, masks = pairs(images.groups, options.reference)
    if not said.scores:
        yield from (_failed(pair, said) for pair in found)
        return
    sides: dict[str, list[Arm]] = {}
    tested = images.split == "test"
    for side, where in ((_WITHIN, tested & ~beyond), (_BEYOND, beyond)):
        inside = images.assessed(finding, where)
        sides[side] = arms(
            metric,
            said.answers(point, inside),
            label=images.truth(finding)[inside],
            patient=np.unique(images.patients[inside], return_inverse=True)[1].astype(np.int64),
            groups=[mask[inside] for mask in masks],
            minimum=options.minimum,
        )
    for pair in found:
        yield _row(pair, sides, said, options.level)


def _row(
    pair: Pair, sides: Mapping[str, Sequence[Arm]], said: Said, level: float
) -> dict[str, object]:
    row: dict[str, object] = _about(pair, said)
    lacking: list[str] = []
    own: dict[str, tuple[float, tuple[float, float], npt.NDArray[np.float64]]] = {}
    for side, reached in sides.items():
        arm = reached[pair.place]
        other = None if pair.other is None else reached[pair.other]
        why = arm.lacking or (other.lacking if other is not None else None)
        lacking += [f"{side}: {why}"] if why else []
        if why is None:
            runs = arm.runs if other is None else arm.runs - other.runs
            found = limits(arm, level) if other is None else difference(arm, other, level)
            own[side] = (float(runs.mean()), found, runs)
        value, (low, high) = own[side][:2] if side in own else (None, (None, None))
        row |= {f"value_{side}": value, f"low_{side}": low, f"high_{side}": high}
        row |= {f"{name}_{side}": n for name, n in numbers_of(arm.numbers).items()}
    shift = _shift(own[_WITHIN], own[_BEYOND]) if len(own) == 2 else (None, None, None)
    row |= dict(zip(("shift", "shift_low", "shift_high"), shift, strict=True))
    row["status"] = "not assessable" if lacking else "assessed"
    row["reason"] = "; ".join([*lacking, *said.failed]) or None
    return row


def _shift(
    within: tuple[float, tuple[float, float], npt.NDArray[np.float64]],
    beyond: tuple[float, tuple[float, float], npt.NDArray[np.float64]],
) -> tuple[float, float, float]:
    """Return out less in and its limits, those of two numbers on different patients.

    Each side's limits hold what the runs add to it; the two sides of a run are taken as
    independent, which is too wide where a run that is good here is good elsewhere.
    """
    shift = beyond[0] - within[0]
    down = np.hypot(beyond[0] - beyond[1][0], within[1][1] - within[0])
    up = np.hypot(beyond[1][1] - beyond[0], within[0] - within[1][0])
    return float(shift), float(shift - down), float(shift + up)


def _failed(pair: Pair, said: Said) -> dict[str, object]:
    names = [
        f"{name}_{side}"
        for side in (_WITHIN, _BEYOND)
        for name in ("value", "low", "high", *numbers_of((0, 0, 0, 0)))
    ]
    return {
        **_about(pair, said),
        **dict.fromkeys([*names, "shift", "shift_low", "shift_high"]),
        "status": "failed",
        "reason": "; ".join(said.failed),
    }


def _about(pair: Pair, said: Said) -> dict[str, object]:
    return {
        "group": pair.group,
        "against": pair.against,
        "runs": len(said.scores),
        "failed": len(said.failed),
    }
