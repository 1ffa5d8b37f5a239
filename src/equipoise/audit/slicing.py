"""Slices of embeddings where a model errs: a rule found on some patients, for images of others.

Clusters are formed by what an image shows and by whether the model erred on it; the rule that is
kept knows only the first, so that errors of unseen images cannot choose their own slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from equipoise.audit.components import principal
from equipoise.audit.vectors import Flags, Integers, Reals
from equipoise.errors import InvalidInput, InvalidTable
from equipoise.metrics import Minimum, placements
from equipoise.metrics.placements import small_sample
from equipoise.metrics.strata import mean_within
from equipoise.probes import Embeddings
from equipoise.tables import read_json, write_bytes, write_json
from equipoise.training.grouping import k_means

Name = Literal["sensitivity", "specificity", "auroc"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Slices as regions of the embedding: those nearest to one of several centres.

    Parameters
    ----------
    mean, directions
        ``(d,)`` and ``(d, p)``: principal components of the images it was found on.
    centres
        ``(c, p)``, of all clusterings one after the other.
    clustering
        ``(c,)``, which clustering a centre is of.
    chosen
        ``(t,)``, the centre of each slice, the worst first.
    """

    mean: Reals
    directions: Reals
    centres: Reals
    clustering: Integers
    chosen: Integers

    def inside(self, x: Embeddings) -> Flags:
        """Return which slices each image is in, shape ``(n, t)``; slices may overlap.

        Raises
        ------
        InvalidTable
            If the embeddings have another length than those it was found on.
        """
        if x.shape[1] != len(self.mean):
            raise InvalidTable(
                f"embeddings: vectors of length {x.shape[1]}; expected {len(self.mean)}"
            )
        along = (x - self.mean) @ self.directions
        inside = np.zeros((len(x), len(self.chosen)), dtype=bool)
        for place, centre in enumerate(self.chosen):
            rivals = np.flatnonzero(self.clustering == self.clustering[centre])
            inside[:, place] = rivals[nearest_centre(along, self.centres[rivals])] == centre
        return inside


@dataclass(frozen=True, slots=True)
class Scored:
    """Images with what is needed to see where a model errs.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``.
    score, label, patient
        Of each image ``(n,)``.
    threshold
        An image is called positive when ``score >= threshold``; not needed for AUROC.
    """

    x: Embeddings
    score: Reals
    label: Flags
    patient: Integers
    threshold: float | None

    def of(self, rows: Flags) -> "Scored":
        """Return some of the images."""
        return Scored(
            self.x[rows], self.score[rows], self.label[rows], self.patient[rows], self.threshold
        )


def nearest_centre(along: Reals, centres: Reals) -> Integers:
    """Return the place of the nearest centre of each row, of two alike the first.

    Examples
    --------
    >>> nearest_centre(np.array([[0.0], [5.0]]), np.array([[1.0], [4.0]])).tolist()
    [0, 1]
    """
    distance = (centres**2).sum(axis=1) - 2.0 * along @ centres.T  # (n, c), but for a constant
    return np.asarray(distance.argmin(axis=1), np.int64)


def eligible(images: Scored, metric: Name) -> Flags:
    """Return which images a metric is of.

    Examples
    --------
    >>> one = Scored(np.zeros((2, 1)), np.zeros(2), np.array([True, False]), np.arange(2), 0.5)
    >>> eligible(one, "specificity").tolist()
    [False, True]
    """
    if metric == "auroc":
        return np.ones(len(images.label), dtype=bool)
    return images.label if metric == "sensitivity" else ~images.label


def errors(images: Scored, metric: Name) -> Reals:
    """Return how far the model erred on each image, in [0, 1].

    At an operating point 0 or 1; for AUROC the share of the other class on the wrong side.

    Examples
    --------
    >>> two = Scored(np.zeros((2, 1)), np.array([0.2, 0.7]), np.array([True, False]),
    ...              np.arange(2), 0.5)
    >>> errors(two, "sensitivity").tolist(), errors(two, "auroc").tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    if metric != "auroc":
        called = images.score >= (0.5 if images.threshold is None else images.threshold)
        return np.asarray(called != images.label, np.float64)
    found = np.zeros(len(images.score))
    for side in (True, False):
        mine, others = images.label == side, np.sort(images.score[images.label != side])
        if len(others):
            below = placements(images.score[mine], others)
            found[mine] = 1.0 - below if side else below
    return found


def worse(images: Scored, inside: Flags, metric: Name) -> tuple[float, float]:
    """Return how much worse a slice fares than the rest, and the z of a test of no difference.

    Rates: a score test with the influence values at the common rate summed per patient. AUROC:
    Wald's test of the difference of the two. Below 0 the slice fares worse.

    Examples
    --------
    >>> n = 40
    >>> images = Scored(np.zeros((n, 1)), np.arange(n) / n, np.ones(n, bool), np.arange(n), 0.5)
    >>> value, z = worse(images, np.arange(n) < 20, "sensitivity")
    >>> value, round(z, 2)
    (-1.0, -6.24)
    """
    if metric == "auroc":
        # 1 - AUROC is the AUROC of the other class: the mean of one and the other, doubled.
        slice_, rest = np.where(inside, 0, -1), np.where(inside, -1, 0)
        value, error = mean_within(
            [images.score, images.score],
            [images.label, ~images.label],
            images.patient,
            [slice_, rest],
        )
        return 2.0 * value - 1.0, (2.0 * value - 1.0) / (2.0 * error) if error > 0 else 0.0
    some = eligible(images, metric)
    right, within = 1.0 - errors(images, metric)[some], inside[some]
    n_in, n_out = int(within.sum()), int((~within).sum())
    if not n_in or not n_out:
        return float("nan"), 0.0
    value = float(right[within].mean() - right[~within].mean())
    _, code = np.unique(images.patient[some], return_inverse=True)
    told = (right - right.mean()) * np.where(within, 1.0 / n_in, -1.0 / n_out)
    spread = np.sqrt(np.sum(np.bincount(code, told) ** 2)) * small_sample(int(code.max()) + 1)
    return value, float(value / spread) if spread > 0 else 0.0


def discover(
    images: Scored,
    metric: Name,
    *,
    clusters: Sequence[int],
    tested: int,
    minimum: Minimum,
    rng: np.random.Generator,
) -> Rule:
    """Return the rule of the slices that fare worst on these images.

    k-means on the principal components of the images that the metric is of, with the error as one
    more column that weighs as much as an average component. Candidates are all clusters of all
    clusterings, as their nearest centre assigns them; those that fare worse than the rest by the
    largest z are kept, unless more than half of either is in a slice that is kept already.

    Parameters
    ----------
    images
        Those of the patients that slices may be found on.
    metric
        What fares worse there.
    clusters
        Numbers of clusters that are tried.
    tested
        Slices at most.
    minimum
        What a slice, and the rest, must hold.
    rng
        Where clusters start from.

    References
    ----------
    Eyuboglu et al. 2022, ICLR (Domino: a mixture over embedding, label and prediction, the slice
    of unseen images by its embedding).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 3)) + 6.0 * (np.arange(200)[:, None] < 60)
    >>> images = Scored(x, (np.arange(200) >= 60) * 1.0, np.ones(200, bool), np.arange(200), 0.5)
    >>> rule = discover(images, "sensitivity", clusters=(2,), tested=1, minimum=Minimum(), rng=rng)
    >>> int(rule.inside(x)[:, 0].sum())
    60
    """
    some = images.of(eligible(images, metric))
    axes = principal(some.x, variance_share=0.8, most=10)
    along = axes.of(some.x)
    error = errors(images, metric)[eligible(images, metric)]
    centres, clustering = _centres(along, error, clusters, rng)
    every = Rule(axes.mean, axes.directions, centres, clustering, np.arange(len(centres)))
    return Rule(
        axes.mean,
        axes.directions,
        centres,
        clustering,
        _worst(images, every.inside(images.x), metric, (tested, minimum)),
    )


def save_rule(rule: Rule, path: Path, *, more: dict[str, object]) -> None:
    """Write ``<path>.safetensors`` and ``<path>.json``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "slices"
    >>> one = np.zeros((1, 1))
    >>> save_rule(Rule(one[0], one, one, np.array([0]), np.array([0])), path, more={})
    >>> load_rule(path).inside(np.ones((2, 1))).tolist()
    [[True], [True]]
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(getattr(rule, name)) for name in Rule.__slots__}
    write_bytes(path.with_name(path.name + ".safetensors"), save(arrays))
    write_json(path.with_name(path.name + ".json"), more)


def load_rule(path: Path) -> Rule:
    """Return the rule that `save_rule` wrote.

    Raises
    ------
    InvalidInput
        If a file is absent, torn, or not that of a rule.

    Examples
    --------
    >>> load_rule(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere.json: no such file
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    read_json(path.with_name(path.name + ".json"))
    place = path.with_name(path.name + ".safetensors")
    try:
        arrays = load(place.read_bytes())
        return Rule(**{name: arrays[name] for name in Rule.__slots__})
    except (OSError, SafetensorError) as error:
        raise InvalidInput(f"{place}: not readable as safetensors ({error})") from error
    except KeyError as error:
        raise InvalidInput(f"{place}: no {error} in it; expected a rule of slices") from error


def _centres(
    along: Reals, error: Reals, clusters: Sequence[int], rng: np.random.Generator
) -> tuple[Reals, Integers]:
    spread = error.std()
    scale = np.sqrt(along.var(axis=0).mean())
    extra = (error - error.mean()) / spread * scale if spread > 0 else np.zeros(len(error))
    seen = np.column_stack([along, extra])
    centres, clustering = [], []
    for place, k in enumerate(clusters):
        code, _ = k_means(seen, min(k, len(seen)), rng)
        for cluster in np.unique(code):
            centres.append(along[code == cluster].mean(axis=0))
            clustering.append(place)
    return np.array(centres), np.array(clustering, dtype=np.int64)


def _worst(images: Scored, inside: Flags, metric: Name, limits: tuple[int, Minimum]) -> Integers:
    tested, minimum = limits
    found = []
    for place in range(inside.shape[1]):
        slice_ = inside[:, place]
        if all(enough(images, part, metric, minimum) for part in (slice_, ~slice_)):
            found.append((worse(images, slice_, metric)[1], place))
    kept: list[int] = []
    for z, place in sorted(found):
        overlaps = (_overlap(inside[:, place], inside[:, other]) for other in kept)
        if z < 0 and len(kept) < tested and all(share <= 0.5 for share in overlaps):
            kept.append(place)
    return np.array(kept, dtype=np.int64)


def enough(images: Scored, part: Flags, metric: Name, minimum: Minimum) -> bool:
    """Return whether a part holds what a metric needs.

    Examples
    --------
    >>> one = Scored(np.zeros((2, 1)), np.zeros(2), np.ones(2, bool), np.arange(2), 0.5)
    >>> enough(one, np.ones(2, bool), "sensitivity", Minimum())
    False
    """
    sides = {"sensitivity": (True,), "specificity": (False,), "auroc": (True, False)}[metric]
    for side in sides:
        rows = part & (images.label == side)
        needed = minimum.positives if side else minimum.negatives
        if rows.sum() < needed or len(np.unique(images.patient[rows])) < minimum.patients:
            return False
    return True


def _overlap(one: Flags, other: Flags) -> float:
    """Return the larger share of either that is in both."""
    both = (one & other).sum()
    return float(both / max(1, min(one.sum(), other.sum())))
