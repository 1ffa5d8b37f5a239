"""Stages against stages: curation, group-aware pre-training, mitigation, selection; and all.

Every way has the same budget: images to learn from, images drawn in pre-training, and probes
fitted. They differ in whom they learn from, how the encoder is trained, which probes are tried and
how one of them is chosen. Runs are paired: the same patients validate, and encoders and probes that
two ways share are the same.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import adapt, pretrain
from equipoise.adapt.options import Rule
from equipoise.adapt.outcomes import Outcome, over_findings
from equipoise.adapt.rounds import rounds
from equipoise.adapt.selection import selection
from equipoise.bench.differences import Images, critical, rows, sides
from equipoise.bench.drawing import CURATED, FOUND, Drawn, drawn
from equipoise.bench.options import Stages
from equipoise.bench.runs import METRICS, Said
from equipoise.encoders import onnx
from equipoise.errors import InvalidTable
from equipoise.metrics import UNKNOWN
from equipoise.metrics.intervals import quantile
from equipoise.mitigations import joined_groups
from equipoise.scope import Progress, Scope, silent
from equipoise.tables import COHORT, SPLITS, ImageCache, read, write

Flags = npt.NDArray[np.bool_]

_EXTREMES = ("worst group", "largest contrast")
_PLAIN, _AWARE = "plain", "group-aware"
_DESPITE = "this experiment asks what choosing by the worst group does, with no guard"


@dataclass(frozen=True, slots=True)
class Way:
    """One way from images to scores.

    Parameters
    ----------
    learnt
        From whom: *as found* or *curated*.
    encoder
        How it was trained: *plain* or *group-aware*.
    tried
        *plain* training under many penalties; *members* of the family alone under fewer; *both*.
    rule
        By which penalty, and of *both* the candidate, are chosen on validation.
    guarded
        Of *both*: whether a candidate must be shown to make no group worse.
    """

    learnt: str
    encoder: str
    tried: Literal["plain", "members", "both"]
    rule: Rule
    guarded: bool = False


WAYS: Mapping[str, Way] = {
    "plain": Way(FOUND, _PLAIN, "plain", "overall"),
    "curation": Way(CURATED, _PLAIN, "plain", "overall"),
    "pre-training": Way(FOUND, _AWARE, "plain", "overall"),
    "mitigation": Way(FOUND, _PLAIN, "members", "overall"),
    "selection": Way(FOUND, _PLAIN, "plain", "worst_group"),
    "all": Way(CURATED, _AWARE, "both", "worst_group"),
    "all, guarded": Way(CURATED, _AWARE, "both", "worst_group", guarded=True),
}
"""What is compared; the first is what the others are held against."""
_PAIRS = [
    *(("plain", name) for name in WAYS if name != "plain"),
    *((name, "all") for name in ("curation", "pre-training", "mitigation", "selection")),
]
"""What is held against what: all together, against each alone, is what the thesis is about."""


@dataclass(slots=True)
class Staged:
    """What came of all ways.

    Parameters
    ----------
    differences
        A row per way, what it is held against (`reference`), metric and quantity, as of
        `equipoise.bench.members`.
    chosen
        A row per way and seed: the candidate, its penalty, its AUROC on validation; and which
        members could not be fitted, with the reason.
    """

    differences: pl.DataFrame
    chosen: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all runs share."""

    cohort: pl.DataFrame
    tested: list[str]
    finding: str
    images: Path
    work: Path
    options: Stages


def stages(
    inputs: Mapping[str, Path],
    options: Stages,
    *,
    work: Path,
    truth: Mapping[str, bool | None] | None = None,
    progress: Progress = silent,
) -> Staged:
    """Return by how much each way differs from the plain one, and all from each. Needs torch.

    Parameters
    ----------
    inputs
        The folders of *cohort*, *images* and *splits*, as stages leave them. Patients of the test
        split are tested; of the others every run draws anew who validates and who is learnt from.
    options
        The budget, the groups, the members, how encoders are trained, seeds.
    work
        An existing folder for the encoders; what was trained there before is not trained again.
    truth
        Image of the test split → label to test by, where it is known better than that of the
        cohort.
    progress
        Told ``("encoders", done, total)``.

    Raises
    ------
    InvalidTable
        If fewer than two groups are known, nobody is tested, or a probe cannot be fitted.
    InvalidConfiguration
        If there are fewer images than the budget says.
    MissingExtra
        If torch is not installed.

    References
    ----------
    Queiroz et al. 2025, arXiv 2502.16841 (that no single stage suffices: what this puts to the
    test).

    Examples
    --------
    A run of seconds is in ``tests/bench/test_stages.py``.
    """
    bench = _opened(inputs, options, work)
    images = ImageCache.open(bench.images)
    said: dict[str, Said] = {name: Said() for name in WAYS}
    chosen: list[dict[str, object]] = []
    done, total = 0, len(options.seeds) * len(_encoders())
    for seed in options.seeds:
        people = drawn(
            bench.cohort.filter(~pl.col("image_id").is_in(bench.tested)),
            bench.finding,
            by=options.group_by,
            images=options.images,
            validation=options.validation,
            seed=seed,
        )
        for learnt, trained in _encoders():
            progress("encoders", done, total)
            done += 1
            found = _rows(bench, images, people, (learnt, trained), seed)
            for name, one, failed in _outcomes(found, bench, (learnt, trained), seed):
                tested = found.split == "test"
                alone = dataclasses.replace(one, scores=one.scores[tested])
                said[name].add(alone, found.fold[tested])
                chosen.append({"way": name, **_record(one), "failed": failed})
    progress("encoders", total, total)
    table = pl.DataFrame(chosen, infer_schema_length=None)
    return Staged(_differences(bench, said, truth), table.sort("way", "seed"))


def _record(one: Outcome) -> dict[str, object]:
    trial = one.kept[None]
    told = {"candidate": one.candidate, "penalty": trial.penalty, "auroc": trial.overall}
    return {"seed": one.seed, **told}


def _encoders() -> list[tuple[str, str]]:
    return sorted({(way.learnt, way.encoder) for way in WAYS.values()})


def _opened(inputs: Mapping[str, Path], options: Stages, work: Path) -> _Bench:
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT).sort("image_id")
    split = read(inputs["splits"] / "splits.parquet", SPLITS)
    known = sorted(set(joined_groups(cohort, options.group_by)) - {UNKNOWN})
    if len(known) < 2:
        raise InvalidTable(
            f"cohort: group_by {', '.join(options.group_by)}: {len(known)} groups are known; "
            "expected two or more"
        )
    label = f"label:{options.finding}"
    if label not in cohort.columns:
        raise InvalidTable(f"cohort: no column '{label}'; got {cohort.columns}")
    tested = split.filter(split="test")["image_id"].sort().to_list()
    if not tested:
        raise InvalidTable("splits: no image is in the test split; expected some to test on")
    return _Bench(cohort, tested, options.finding, inputs["images"], work, options)


def _rows(
    bench: _Bench, images: ImageCache, people: Drawn, which: tuple[str, str], seed: int
) -> adapt.Rows:
    """Train an encoder on the images learnt from, and return the embeddings of all that matter."""
    learnt, trained = which
    folder = bench.work / f"{seed}-{learnt}-{trained}".replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": people.learnt[learnt], "validation": people.validation, "test": bench.tested}
    split = pl.DataFrame(
        [(image, name) for name, ids in parts.items() for image in ids],
        schema={"image_id": pl.String, "split": pl.String},
        orient="row",
    ).sort("image_id")
    cohort = split.select("image_id").join(
        bench.cohort, on="image_id", how="left", maintain_order="left"
    )
    split = split.with_columns(cohort["patient_id"], fold=pl.lit(0, dtype=pl.Int64))
    training = split.filter(split="train")
    own = cohort.filter(pl.col("image_id").is_in(people.learnt[learnt]))
    write(own.select(bench.cohort.columns), folder / "cohort.parquet", COHORT)
    write(training.select(*SPLITS.columns), folder / "splits.parquet", SPLITS)
    told = bench.options.pretrain if trained == _PLAIN else bench.options.group_aware()
    asked = told.model_copy(update={"seed": seed})
    material = {"cohort": folder, "splits": folder, "images": bench.images}
    # Checkpoints under `work`: an encoder that was trained there is not trained again.
    pretrain.run(asked, material, folder, Scope(cache=bench.work))
    encoder = onnx.load(
        {"path": str(folder / "encoder.onnx"), "card": str(folder / "card.yaml")}, Scope()
    )
    ids = split["image_id"].to_list()
    x = np.concatenate([encoder.embed(part) for part in images.batches(images.rows(ids), 256)])
    vectors = pl.Series("vector", x.astype(np.float32), dtype=pl.Array(pl.Float32, x.shape[1]))
    return adapt.rows(
        cohort,
        split,
        pl.DataFrame({"image_id": ids}).with_columns(vectors),
        findings=[bench.finding],
        group_by=bench.options.group_by,
    )


def _outcomes(
    images: adapt.Rows, bench: _Bench, which: tuple[str, str], seed: int
) -> list[tuple[str, Outcome, str | None]]:
    """Return what each way that uses an encoder says in the end, and what failed on the way."""
    found: list[tuple[str, Outcome, str | None]] = []
    tried: dict[tuple[str, Rule], list[Outcome]] = {}
    for name, way in WAYS.items():
        if (way.learnt, way.encoder) != which:
            continue
        key = way.tried, way.rule
        if key not in tried:
            tried[key] = _tried(images, bench, way, seed)
        fitted = [one for one in tried[key] if one.reason is None]
        failed = [f"{one.candidate}: {one.reason}" for one in tried[key] if one.reason]
        if not fitted:
            raise InvalidTable(
                f"stages: {name}, seed {seed}: no probe could be fitted; {'; '.join(failed)}"
            )
        found.append((name, _chosen(images, fitted, bench, way), "; ".join(failed) or None))
    return found


def _tried(images: adapt.Rows, bench: _Bench, way: Way, seed: int) -> list[Outcome]:
    """Fit what a way tries: as many probes in each, members alone without those of plain."""
    asked = bench.options.adapt.model_copy(update={"selection": way.rule})
    candidates = asked.compared()
    if way.tried == "plain":
        n = len(asked.penalties) * sum(len(one.settings()) for one in candidates)
        penalties = np.geomspace(min(asked.penalties), max(asked.penalties), n)
        asked = asked.model_copy(update={"penalties": tuple(penalties.tolist())})
        candidates = candidates[:1]
    parts = rounds(images, "split", seed=seed, inner=asked.inner_validation)
    if way.tried == "members":
        candidates = tuple(one for one in candidates if one.mitigation != "plain")
    return [
        found
        for one in candidates
        for found in over_findings(images, [bench.finding], one, parts, asked, seed=seed)
    ]


def _chosen(images: adapt.Rows, fitted: Sequence[Outcome], bench: _Bench, way: Way) -> Outcome:
    if way.tried != "both":
        return max(fitted, key=lambda one: one.overall or 0.0)
    asked = bench.options.adapt.model_copy(update={"selection": way.rule})
    if not way.guarded:
        reasons = {one.candidate: _DESPITE for one in fitted if one.mitigation != "plain"}
        asked = asked.model_copy(update={"despite_guard": reasons})
    name, _ = selection(images, fitted, asked).chosen(way.rule)
    return next(one for one in fitted if one.candidate == name)


def _differences(
    bench: _Bench, said: Mapping[str, Said], truth: Mapping[str, bool | None] | None
) -> pl.DataFrame:
    cohort = pl.DataFrame({"image_id": bench.tested}).join(
        bench.cohort, on="image_id", how="left", maintain_order="left"
    )
    by = cohort[f"label:{bench.finding}"].to_list()
    if truth is not None:
        by = [truth.get(image) for image in bench.tested]
    there = np.array([label is not None for label in by])
    groups = np.array(joined_groups(cohort, bench.options.group_by))[there]
    patient = np.unique(cohort["patient_id"].to_numpy()[there], return_inverse=True)[1]
    whom = Images(
        np.array([bool(label) for label in by])[there],
        patient.astype(np.int64),
        {name: groups == name for name in sorted(set(groups.tolist()) - {UNKNOWN})},
        bench.options.minimum,
    )
    point = bench.options.adapt.operating_points[0].name
    answers = {name: told.answers(point, there) for name, told in said.items()}
    about = {"finding": bench.finding, "runs": len(bench.options.seeds), "failed": 0}
    table: list[dict[str, object]] = []
    for reference, name in _PAIRS:
        for metric in METRICS:
            side = sides(metric, answers[reference], answers[name], whom)
            own_family = critical([side], bench.options.level)
            for z, extremes in ((quantile(bench.options.level), False), (own_family, True)):
                table += [
                    {**about, "way": name, "reference": reference, "metric": metric, **row}
                    for row in rows(side, z)
                    if (row["quantity"] in _EXTREMES) == extremes
                ]
    return pl.DataFrame(table, infer_schema_length=None)
