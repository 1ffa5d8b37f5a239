"""Who belongs together in pre-training: by attributes, or by clusters where none are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics import UNKNOWN

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Groups:
    """The group of each image.

    Parameters
    ----------
    names
        Of the groups, sorted; empty if none were asked for.
    codes
        Position in `names` of each image ``(n,)``, -1 where its group is not known.
    """

    names: tuple[str, ...]
    codes: Integers

    def counts(self) -> dict[str, int]:
        """Return the number of images by group, those of unknown group last."""
        found = {name: int((self.codes == i).sum()) for i, name in enumerate(self.names)}
        unknown = int((self.codes < 0).sum())
        return {**found, UNKNOWN: unknown} if unknown and self.names else found


def grouped(cohort: pl.DataFrame, by: Sequence[str]) -> Groups:
    """Return the intersections of attributes as groups; unknown in one is unknown in all.

    Parameters
    ----------
    cohort
        A row per image.
    by
        Columns of text; none: one group without a name.

    Raises
    ------
    InvalidTable
        If a column is not there or holds no text.
    InvalidConfiguration
        If all images whose group is known are of one group: there is nothing to balance.

    Examples
    --------
    >>> found = grouped(pl.DataFrame({"sex": ["F", "M", "unknown", "F"]}), ["sex"])
    >>> found.names, found.codes.tolist()
    (('sex=F', 'sex=M'), [0, 1, -1, 0])
    """
    if not by:
        return Groups((), np.zeros(cohort.height, dtype=np.int64))
    for name in by:
        if name not in cohort.columns:
            raise InvalidTable(
                f"cohort: no column '{name}'; got {cohort.columns}",
                hint=nearest(name, cohort.columns),
            )
        if cohort.schema[name] != pl.String:
            raise InvalidTable(
                f"cohort: column '{name}' is {cohort.schema[name]}; expected an attribute (text)",
                hint="cut a number into bands when ingesting, as `bands: {age_band: …}`",
            )
    known = pl.all_horizontal(pl.col(by).is_not_null() & (pl.col(by) != UNKNOWN))
    said = pl.concat_str([pl.lit(f"{name}=") + pl.col(name) for name in by], separator=", ")
    labels = cohort.select(pl.when(known).then(said)).to_series().to_list()
    names = sorted({label for label in labels if label is not None})
    if len(names) < 2:
        raise InvalidConfiguration(
            f"groups by {', '.join(by)}: {len(names)} level is known "
            f"({', '.join(names) or 'none'}); expected at least two",
            hint="name an attribute that differs between images, or leave group_by out",
        )
    where = {name: code for code, name in enumerate(names)}
    codes = np.array([-1 if label is None else where[label] for label in labels], dtype=np.int64)
    return Groups(tuple(names), codes)


def proxies(vectors: npt.NDArray[np.floating], *, n: int, rng: np.random.Generator) -> Groups:
    """Return `n` clusters of standardised vectors as proxy groups.

    Parameters
    ----------
    vectors
        Embeddings ``(m, d)``, finite.
    n
        Clusters, at least 2 and at most the number of images.
    rng
        Where the first centres come from.

    References
    ----------
    Lloyd 1982, IEEE Trans. Information Theory 28:129; Arthur & Vassilvitskii 2007, SODA
    (k-means++); Queiroz et al. 2024, arXiv 2408.16130 (clusters as proxy groups: age was not
    recovered by them, so see `association` before trusting that they stand for an attribute).

    Examples
    --------
    >>> vectors = np.array([[0.0], [0.1], [9.0], [9.1]])
    >>> found = proxies(vectors, n=2, rng=np.random.default_rng(0))
    >>> bool(found.codes[0] == found.codes[1] != found.codes[2] == found.codes[3])
    True
    """
    if not 2 <= n <= len(vectors):
        raise InvalidConfiguration(
            f"clusters: {n} of {len(vectors)} images; expected 2 to {len(vectors)}"
        )
    x = vectors.astype(np.float64)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    codes, _ = k_means(x, n, rng)
    return Groups(tuple(f"cluster={i}" for i in range(n)), codes)


def k_means(x: Reals, n: int, rng: np.random.Generator) -> tuple[Integers, Reals]:
    """Return the cluster of each row and the centres, columns counted as they are scaled.

    Parameters
    ----------
    x
        Shape ``(m, d)``, finite.
    n
        Clusters, 1 to `m`. Fewer hold rows where rows are alike.
    rng
        Where the first centres come from.

    References
    ----------
    Lloyd 1982, IEEE Trans. Information Theory 28:129; Arthur & Vassilvitskii 2007, SODA
    (k-means++).

    Examples
    --------
    >>> codes, centres = k_means(np.array([[0.0], [1.0], [9.0]]), 2, np.random.default_rng(0))
    >>> sorted(centres[:, 0].tolist())
    [0.5, 9.0]
    """
    centres = _first_centres(x, n, rng)
    codes = np.full(len(x), -1, dtype=np.int64)
    for _ in range(_ROUNDS):
        nearby = _distances(x, centres).argmin(axis=1)
        if (nearby == codes).all():
            break
        codes = nearby
        for cluster in np.unique(codes):
            centres[cluster] = x[codes == cluster].mean(axis=0)
    return codes, centres


def association(groups: Groups, levels: Sequence[str]) -> float | None:
    """Return Cramér's V between groups and an attribute, in [0, 1]; unknown on either side is out.

    Parameters
    ----------
    groups
        Of each image.
    levels
        The attribute of each image.

    Returns
    -------
    1 where one tells the other; None where one of them has a single level.

    References
    ----------
    Cramér 1946, Mathematical Methods of Statistics; without Bergsma's correction, so small tables
    show a little even by chance.

    Examples
    --------
    >>> association(Groups(("a", "b"), np.array([0, 0, 1, 1])), ["F", "F", "M", "M"])
    1.0
    """
    level = np.array(levels, dtype=np.str_)
    known = (groups.codes >= 0) & (level != UNKNOWN)
    _, rows = np.unique(groups.codes[known], return_inverse=True)
    _, columns = np.unique(level[known], return_inverse=True)
    if not known.any() or min(rows.max(), columns.max()) < 1:
        return None
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1.0)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    square = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(square / (table.sum() * (min(table.shape) - 1))))


def _first_centres(x: Reals, n: int, rng: np.random.Generator) -> Reals:
    centres = x[[int(rng.integers(len(x)))]]
    while len(centres) < n:
        near = _distances(x, centres).min(axis=1)
        chance = near / near.sum() if near.sum() > 0 else None
        centres = np.concatenate([centres, x[[int(rng.choice(len(x), p=chance))]]])
    return centres


def _distances(x: Reals, centres: Reals) -> Reals:
    """Return squared distances ``(m, k)``."""
    square = (x**2).sum(1)[:, None] - 2.0 * x @ centres.T + (centres**2).sum(1)[None, :]
    return np.asarray(np.maximum(square, 0.0), dtype=np.float64)
