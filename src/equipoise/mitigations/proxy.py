"""Balancing by proxy group: clusters of embeddings stand in for groups that nobody recorded."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations import group_dro
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.orders import canonical_order, ordered
from equipoise.mitigations.reweighting import balanced
from equipoise.mitigations.rows import Training, cells, checked, parsed, trainable
from equipoise.mitigations.weighed import Weighed, solved

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

DECLARED = Declared(shape="before", group_in_training=False)

_ROUNDS = 100


class Parameters(BaseModel):
    """How many clusters, and what is done with them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clusters: int = Field(default=4, ge=2, le=100, description="of the embeddings of each label")
    starts: int = Field(default=5, ge=1, le=50, description="of which the tightest is kept")
    then: Literal["reweighting", "group_dro"] = Field(
        default="reweighting", description="what the cells of label and cluster are given to"
    )


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe in which each cluster of either label counts alike.

    Objective: that of reweighting or GroupDRO over cells of label and cluster, the clusters being
    those of k-means on the standardised embeddings of each label. Groups are needed neither for
    training nor at test time. Clusters are what the embedding varies by most, which need not be
    what the attribute is: whether they agree is for the audit to see.

    Replication: none that is independent is known to us.

    Parameters
    ----------
    training
        The rows; their groups are not looked at.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``clusters``: published 2 to 10 per label, more where clusters are split again;
        ``starts``; ``then``.
    rng
        Draws the first centres.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Sohoni, Dunnmon, Angus, Gu and Ré, *No subclass left behind*, NeurIPS 2020. Arthur and
    Vassilvitskii, *k-means++*, SODA 2007.

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [9.0], [0.2], [9.1], [9.2]])
    >>> y = np.array([True, True, True, False, False, False])
    >>> rows = Training(x, y, np.full(6, "unknown"))
    >>> fitted = fit(rows, penalty=1.0, parameters={"clusters": 2}, rng=np.random.default_rng(0))
    >>> fitted.group_weights.round(2).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    chosen = parsed(Parameters, parameters, "proxy")
    checked(training, penalty)
    by_cell = weights(training, parameters=parameters, rng=rng)
    if by_cell is not None:
        return solved("proxy", training, by_cell, penalty=penalty, start=start)
    stood_in = _stood_in(training, chosen, rng)
    found = group_dro.fit(stood_in, penalty=penalty, parameters={}, rng=rng, start=start)
    return Fitted(
        "proxy", found.probe, found.groups, found.group_weights, found.group_losses, found.gap
    )


def weights(
    training: Training, *, parameters: Mapping[str, object], rng: np.random.Generator
) -> Weighed | None:
    """Return the weights of the rows: each cluster of either label has its share.

    Parameters
    ----------
    training, parameters, rng
        As for `fit`.

    Returns
    -------
    None where the clusters are given to GroupDRO, which weighs by the losses of its own probe.

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [9.0], [0.2], [9.1], [9.2]])
    >>> y = np.array([True, True, True, False, False, False])
    >>> rows, given = Training(x, y, np.full(6, "unknown")), {"clusters": 2}
    >>> weights(rows, parameters=given, rng=np.random.default_rng(0)).weights.tolist()
    [0.75, 0.75, 1.5, 1.5, 0.75, 0.75]
    """
    chosen = parsed(Parameters, parameters, "proxy")
    if chosen.then == "group_dro":
        return None
    trainable(training)
    names, codes = cells(_stood_in(training, chosen, rng), "label_group")
    return Weighed(balanced(codes, len(names)), names, codes)


def k_means(x: Reals, n_clusters: int, *, starts: int, rng: np.random.Generator) -> Codes:
    """Return the cluster of each row ``(n,)``: of several starts the one of least spread.

    Clusters are numbered by their size, the largest first.

    Parameters
    ----------
    x
        ``(n, d)``, in a stated order: the first centres are drawn among the rows.
    n_clusters
        At most n.
    starts
        How often it begins anew.
    rng
        Draws the first centres, far ones rather than near ones.

    References
    ----------
    Lloyd, *Least squares quantization in PCM*, IEEE Transactions on Information Theory 28, 1982.

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [5.0], [5.1], [5.2]])
    >>> k_means(x, 2, starts=2, rng=np.random.default_rng(0)).tolist()
    [1, 1, 0, 0, 0]
    """
    best: tuple[float, Codes] | None = None
    for _ in range(starts):
        centres = _spread_centres(x, n_clusters, rng)
        codes = np.full(len(x), -1, dtype=np.int64)
        for _ in range(_ROUNDS):
            nearer = _distances(x, centres).argmin(axis=1)
            if (nearer == codes).all():
                break
            codes = nearer
            for place in range(n_clusters):
                if (codes == place).any():  # one that lost all its rows stays where it was
                    centres[place] = x[codes == place].mean(axis=0)
        spread = float(_distances(x, centres)[np.arange(len(x)), codes].sum())
        if best is None or spread < best[0] - 1e-12 * abs(best[0]):
            best = spread, codes
    found = np.zeros(len(x), dtype=np.int64) if best is None else best[1]
    size = np.bincount(found, minlength=n_clusters)
    rank = np.empty(n_clusters, dtype=np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(n_clusters)
    return np.asarray(rank[found], dtype=np.int64)


def _stood_in(training: Training, chosen: Parameters, rng: np.random.Generator) -> Training:
    """Return the rows with their clusters for groups."""
    order, proxies = canonical_order(training), np.empty(len(training.y), dtype="<U12")
    proxies[order] = _proxies(ordered(training, order), chosen, rng)
    return Training(training.x, training.y, proxies, training.patients)


def _proxies(rows: Training, chosen: Parameters, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    mean, scale = probes.standard(rows.x, np.full(len(rows.y), 1.0 / len(rows.y)))
    x = (rows.x - mean) / scale
    names = np.full(len(rows.y), "cluster 0", dtype="<U12")
    for label in (False, True):
        inside = rows.y == label
        if inside.sum() < chosen.clusters:
            raise InvalidTable(
                f"proxy: {int(inside.sum())} rows of label {label} for {chosen.clusters} clusters; "
                "expected as many",
                hint="ask for fewer clusters",
            )
        codes = k_means(x[inside], chosen.clusters, starts=chosen.starts, rng=rng)
        names[inside] = np.char.add("cluster ", codes.astype(str))
    return names


def _spread_centres(x: Reals, n_clusters: int, rng: np.random.Generator) -> Reals:
    centres = x[[int(rng.integers(len(x)))]]
    while len(centres) < n_clusters:
        far = _distances(x, centres).min(axis=1)
        total = float(far.sum())
        chance = far / total if total > 0 else np.full(len(x), 1.0 / len(x))
        centres = np.vstack([centres, x[[int(rng.choice(len(x), p=chance))]]])
    return centres


def _distances(x: Reals, centres: Reals) -> Reals:
    """Return squared distances ``(n, k)``."""
    far = (x**2).sum(axis=1)[:, None] - 2.0 * (x @ centres.T) + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(far, 0.0), dtype=np.float64)
