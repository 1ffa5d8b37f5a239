"""What is learnt from: the training split's images, their groups and weights, and who they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import evidence
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.pretrain.options import Options, SamplerChoice
from equipoise.scope import Scope
from equipoise.tables import (
    COHORT,
    EMBEDDINGS,
    SPLITS,
    WEIGHTS,
    ImageCache,
    attributes,
    check,
    read,
    read_foreign,
)
from equipoise.training import Groups, association, grouped, proxies

_CLUSTERS = 6  # stream of random numbers; those below are of training
_PART = 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """The images that are learnt from.

    Parameters
    ----------
    cohort
        Their rows, sorted by image.
    images
        The cache they lie in.
    rows
        Where in it ``(n,)``.
    groups
        Of each.
    weights
        Of each, if the sampler asks for them.
    split
        ``"train"``, or ``"none given: all patients"``.
    digest
        SHA-256 over their pixels.
    mean, deviation
        Of their pixels, 0 to 1.
    """

    cohort: pl.DataFrame
    images: ImageCache
    rows: npt.NDArray[np.int64]
    groups: Groups
    weights: npt.NDArray[np.float64] | None
    split: str
    digest: str
    mean: float
    deviation: float

    def counts(self) -> dict[str, dict[str, int]]:
        """Return attribute → level → images."""
        names = ["site", *attributes(self.cohort)]
        return {name: dict(sorted(self.cohort[name].value_counts().iter_rows())) for name in names}

    def associations(self) -> dict[str, float | None]:
        """Return how closely the groups go with each attribute (Cramér's V)."""
        found = {
            name: association(self.groups, self.cohort[name].to_list()) for name in self.counts()
        }
        return {name: None if v is None else round(v, 4) for name, v in found.items()}


def seen(options: Options, inputs: Mapping[str, Path], scope: Scope) -> Seen:
    """Return the images of the training split.

    Raises
    ------
    InvalidConfiguration
        If no splits are given and the options do not say that this is meant; if there is nobody
        to learn from.
    InvalidTable
        If an image has no pixels, is in colour, or a column that is named is not there.
    """
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT).sort("image_id")
    cohort, split = _training(cohort, options, inputs)
    images = ImageCache.open(inputs["images"])
    if images.size[2] != 1:
        raise InvalidTable(
            f"image cache: images are in colour {images.size}; pre-training takes grey ones",
            hint="ingest the images in grey",
        )
    rows = images.rows(cohort["image_id"].to_list())
    mean, deviation = _moments(images, rows)
    digests = images.index.sort("row")["pixel_digest"]
    return Seen(
        cohort=cohort,
        images=images,
        rows=rows,
        groups=_groups(cohort, options, scope),
        weights=_weights(cohort, options.sampler, inputs, scope),
        split=split,
        digest=evidence.digest(sorted(digests.gather(rows).to_list())),
        mean=mean,
        deviation=deviation,
    )


def _training(
    cohort: pl.DataFrame, options: Options, inputs: Mapping[str, Path]
) -> tuple[pl.DataFrame, str]:
    if "splits" not in inputs:
        if not options.without_splits:
            raise InvalidConfiguration(
                "pretrain: no splits are given; expected them, so that nobody who is tested later "
                "is learnt from",
                hint="run curate before, or say `without_splits: true`",
            )
        return cohort, "none given: all patients"
    splits = read(inputs["splits"] / "splits.parquet", SPLITS)
    training = splits.filter(pl.col("split") == "train")["patient_id"].unique()
    held_out = splits.filter(pl.col("split") != "train")["patient_id"].unique()
    torn = sorted(set(training) & set(held_out))
    if torn:
        raise InvalidTable(
            f"splits: {len(torn)} patients are in training and elsewhere, as '{torn[0]}'; "
            "expected all images of a patient on one side"
        )
    found = cohort.filter(pl.col("patient_id").is_in(training.implode()))
    if not found.height:
        raise InvalidConfiguration("pretrain: no image of the cohort is in the training split")
    return found, "train"


def _groups(cohort: pl.DataFrame, options: Options, scope: Scope) -> Groups:
    if options.clusters is None:
        return grouped(cohort, options.group_by)
    table = read(scope.resolve(options.clusters.embeddings), EMBEDDINGS)
    joined = cohort.select("image_id").join(table, on="image_id", how="left", maintain_order="left")
    lacking = joined.filter(pl.col("vector").is_null())["image_id"]
    if lacking.len():
        raise InvalidTable(
            f"embeddings: {lacking.len()} of {cohort.height} images are missing, as '{lacking[0]}'"
        )
    rng = np.random.default_rng((options.seed, _CLUSTERS))
    return proxies(joined["vector"].rechunk().to_numpy(), n=options.clusters.n, rng=rng)


def _weights(
    cohort: pl.DataFrame, choice: SamplerChoice, inputs: Mapping[str, Path], scope: Scope
) -> npt.NDArray[np.float64] | None:
    if choice.kind != "weights":
        return None
    if choice.table is not None:
        table = read_foreign(scope.resolve(choice.table), "weights")
    elif "weights" in inputs:
        table = check(read(inputs["weights"] / "weights.parquet", WEIGHTS), WEIGHTS)
    else:
        raise InvalidConfiguration(
            "pretrain: sampler weights: no weights are given; expected a table or a stage curate",
            hint="say `sampler: {kind: weights, table: weights.csv, column: weight}`",
        )
    known = [name for name in table.columns if name != "image_id"]
    column = choice.column or (known[0] if len(known) == 1 else "")
    if column not in known or "image_id" not in table.columns:
        raise InvalidTable(
            f"weights: no column '{column}' beside image_id; got {table.columns}",
            hint=nearest(column, known) or "name it: `sampler: {kind: weights, column: …}`",
        )
    ready = table.select(pl.col("image_id").cast(pl.String), pl.col(column).cast(pl.Float64))
    joined = cohort.select("image_id").join(ready, on="image_id", how="left", maintain_order="left")
    # Null is "no weight known", as of an image that was not assessed: it is not drawn.
    return joined[column].fill_null(0.0).to_numpy()


def _moments(images: ImageCache, rows: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return mean and deviation over all pixels, from whole numbers."""
    counts = np.zeros(256, dtype=np.int64)
    for part in images.batches(rows, _PART):
        counts += np.bincount(part.ravel(), minlength=256)
    grey = np.arange(256) / 255.0
    mean = float(counts @ grey / counts.sum())
    deviation = float(np.sqrt(counts @ (grey - mean) ** 2 / counts.sum()))
    if deviation <= 0:
        raise InvalidTable(
            f"image cache: all pixels of {len(rows)} images are alike; expected images that differ"
        )
    return round(mean, 6), round(deviation, 6)
