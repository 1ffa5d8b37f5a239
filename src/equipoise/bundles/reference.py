"""The reference: what the embeddings and images looked like on which a model was made.

Only summaries travel: a mean, a covariance, quantiles, histograms. No vector of anybody does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidInput, InvalidTable
from equipoise.probes import Embeddings, check_embeddings
from equipoise.tables import read_json, write_bytes, write_json

Reals = npt.NDArray[np.float64]

COMPONENTS = 8
"""How many principal components are told of an image at most."""

QUANTILES = (0.5, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 1.0)
"""Of the distances of held-out images."""

_BLOCK = 4096
_ARRAYS = ("mean", "scale", "directions", "spread")


@dataclass(frozen=True, slots=True)
class Reference:
    """What new images are compared with.

    Parameters
    ----------
    mean, scale
        ``(d,)``, of the training embeddings; the scale of a constant column is 1.
    directions, spread
        Eigenvectors ``(d, r)`` and eigenvalues ``(r,)``, largest first, of the shrunk covariance
        of the standardised training embeddings, in the space that these span.
    floor
        The eigenvalue of all other directions.
    shrinkage
        How far the covariance was drawn towards a multiple of the identity, 0 to 1.
    n_train, n_held
        Images behind the covariance, and held-out images behind the quantiles.
    distances
        Probability → quantile of the distances of held-out images; empty if there were none.
    components
        Deciles 10 % to 90 % of each component of held-out images ``(k, 9)``.
    mix
        Acquisition column or attribute → level → images; ``"not said"`` where it was null.
    n_patients
        Patients behind the mix.
    within_patient
        Finding → correlation of the scores of two images of one patient with the same label;
        None where too few patients have two.
    counts, estimates
        The tables of these names, of the test split, with score histograms; None if absent.
    """

    mean: Reals
    scale: Reals
    directions: npt.NDArray[np.float32]
    spread: Reals
    floor: float
    shrinkage: float
    n_train: int
    n_held: int
    distances: Mapping[float, float]
    components: Reals
    mix: Mapping[str, Mapping[str, int]]
    n_patients: int
    within_patient: Mapping[str, float | None]
    counts: pl.DataFrame | None = None
    estimates: pl.DataFrame | None = None


def described(
    train: Embeddings,
    held: Embeddings,
    *,
    mix: Mapping[str, Mapping[str, int]] | None = None,
    n_patients: int = 0,
    within_patient: Mapping[str, float | None] | None = None,
    counts: pl.DataFrame | None = None,
    estimates: pl.DataFrame | None = None,
) -> Reference:
    """Return the reference of training embeddings, with distances of images held out of it.

    Parameters
    ----------
    train
        Embeddings ``(n, d)``, at least two.
    held
        Embeddings ``(m, d)`` of other patients: distances of images that shaped the covariance
        would be too small. May be empty; then there are no quantiles.
    mix, n_patients, within_patient, counts, estimates
        As in `Reference`.

    Raises
    ------
    InvalidTable
        If there are fewer than two vectors, or one is NaN.

    References
    ----------
    Ledoit & Wolf 2004, J Multivariate Analysis 88:365 (the shrinkage); Lee et al. 2018, NeurIPS
    (the Mahalanobis distance of embeddings as a measure of being out of distribution).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> made = described(rng.normal(size=(200, 3)), rng.normal(size=(100, 3)))
    >>> made.directions.shape, 1.2 < made.distances[0.5] < 1.9
    ((3, 3), True)
    """
    check_embeddings(train)
    if len(train) < 2:
        raise InvalidTable(f"embeddings: {len(train)} vectors; a reference needs at least 2")
    x = np.asarray(train, dtype=np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    z = (x - mean) / scale
    shrinkage, level = _ledoit_wolf(z)
    values, vectors = _eigen(z)
    shrunk = (1.0 - shrinkage) * values + shrinkage * level
    floor = max(shrinkage * level, float(np.finfo(np.float32).eps))
    # Eigenvalues that are zero but for rounding belong to the floor.
    kept = values > 1e-10 * max(float(values[0]), 1e-300)
    found = Reference(
        mean=mean,
        scale=scale,
        directions=np.ascontiguousarray(vectors[:, kept], dtype=np.float32),
        spread=shrunk[kept],
        floor=floor,
        shrinkage=shrinkage,
        n_train=len(x),
        n_held=len(held),
        distances={},
        components=np.empty((0, 9)),
        mix=mix or {},
        n_patients=n_patients,
        within_patient=within_patient or {},
        counts=counts,
        estimates=estimates,
    )
    return _with_quantiles(found, held)


def _with_quantiles(found: Reference, held: Embeddings) -> Reference:
    if not len(held):
        return found
    far = distances_to(found, held)
    parts = components_of(found, held)
    deciles = np.quantile(parts, np.arange(1, 10) / 10.0, axis=0).T  # (k, 9)
    return replace(
        found,
        distances={q: float(np.quantile(far, q)) for q in QUANTILES},
        components=np.ascontiguousarray(deciles),
    )


def _ledoit_wolf(z: Reals) -> tuple[float, float]:
    """Return shrinkage and the level drawn to, for rows ``(n, d)`` of mean zero.

    The closed form of Ledoit & Wolf 2004, section 3.3, with squared norms divided by d.
    """
    n, d = z.shape
    gram = z @ z.T if n < d else z.T @ z  # the smaller one has the same squared norm
    level = float(np.square(z).sum()) / (n * d)
    norm = float(np.square(gram).sum()) / (n * n * d)  # |S|²
    distance = norm - level * level  # |S - level·I|²
    fourth = float(np.square(np.square(z).sum(axis=1)).sum()) / (n * d)  # mean of |z zᵀ|²
    error = max((fourth - norm) / n, 0.0)
    if distance <= 0.0:
        return 1.0, level
    return min(error, distance) / distance, level


def _eigen(z: Reals) -> tuple[Reals, Reals]:
    """Return eigenvalues, largest first, and eigenvectors ``(d, ·)`` of the sample covariance."""
    from scipy.linalg import eigh

    n, d = z.shape
    if n >= d:
        values, vectors = eigh(z.T @ z / n)
        values, vectors = values[::-1], vectors[:, ::-1]
    else:
        values, left = eigh(z @ z.T / n)
        values, left = values[::-1], left[:, ::-1]
        size = np.sqrt(np.maximum(values, 1e-300) * n)
        vectors = (z.T @ left) / size  # (d, n)
    values = np.maximum(values, 0.0)
    # Signs of eigenvectors are arbitrary: the largest entry is made positive.
    place = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[place, np.arange(vectors.shape[1])])
    return np.asarray(values, dtype=np.float64), np.asarray(vectors, dtype=np.float64)


def _standard(reference: Reference, vectors: Embeddings) -> Reals:
    if vectors.ndim != 2 or vectors.shape[1] != len(reference.mean):
        raise InvalidTable(
            f"embeddings: shape {vectors.shape}; the reference has vectors of length "
            f"{len(reference.mean)}"
        )
    return (np.asarray(vectors, dtype=np.float64) - reference.mean) / reference.scale


def distances_to(reference: Reference, vectors: Embeddings) -> Reals:
    """Return the distance ``(n,)`` of each vector ``(n, d)`` from the mean of the reference.

    Mahalanobis distance under the shrunk covariance; about the square root of d where an image
    is like those of the reference.

    Raises
    ------
    InvalidTable
        If the vectors have another length.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> made = described(rng.normal(size=(500, 2)), np.empty((0, 2)))
    >>> near, far = distances_to(made, np.array([[0.0, 0.0], [9.0, 9.0]]))
    >>> bool(near < 0.2), bool(far > 10)
    (True, True)
    """
    parts = [np.empty(0)]
    for start in range(0, len(vectors), _BLOCK):
        z = _standard(reference, vectors[start : start + _BLOCK])
        along = z @ reference.directions  # (b, r)
        rest = np.maximum(np.square(z).sum(axis=1) - np.square(along).sum(axis=1), 0.0)
        square = np.square(along) @ (1.0 / reference.spread) + rest / reference.floor
        parts.append(np.sqrt(square))
    return np.concatenate(parts)


def components_of(reference: Reference, vectors: Embeddings) -> Reals:
    """Return the first principal components ``(n, k)``, k at most 8, each of variance about 1.

    Raises
    ------
    InvalidTable
        If the vectors have another length.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> made = described(rng.normal(size=(500, 2)), np.empty((0, 2)))
    >>> components_of(made, np.zeros((3, 2))).shape
    (3, 2)
    """
    k = min(COMPONENTS, reference.directions.shape[1])
    z = _standard(reference, vectors)
    return np.asarray(z @ reference.directions[:, :k] / np.sqrt(reference.spread[:k]))


def save(reference: Reference, folder: Path) -> None:
    """Write ``reference.safetensors`` and ``reference.json``; the tables are written beside.

    Examples
    --------
    >>> import tempfile
    >>> made = described(np.eye(3), np.eye(3))
    >>> folder = Path(tempfile.mkdtemp())
    >>> save(made, folder)
    >>> load(folder).n_train
    3
    """
    from safetensors.numpy import save as pack

    arrays = {name: np.ascontiguousarray(getattr(reference, name)) for name in _ARRAYS}
    arrays["components"] = np.ascontiguousarray(reference.components)
    write_bytes(folder / "reference.safetensors", pack(arrays))
    said = {
        "floor": reference.floor,
        "shrinkage": reference.shrinkage,
        "n_train": reference.n_train,
        "n_held": reference.n_held,
        "distances": {f"{q:g}": value for q, value in reference.distances.items()},
        "mix": {name: dict(levels) for name, levels in reference.mix.items()},
        "n_patients": reference.n_patients,
        "within_patient": dict(reference.within_patient),
    }
    write_json(folder / "reference.json", said)


def load(
    folder: Path, *, counts: pl.DataFrame | None = None, estimates: pl.DataFrame | None = None
) -> Reference:
    """Return what `save` wrote.

    Raises
    ------
    InvalidInput
        If a file is absent or torn.

    Examples
    --------
    >>> load(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere/reference.json: no such file
    """
    from pydantic import TypeAdapter, ValidationError
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    said = read_json(folder / "reference.json")
    place = folder / "reference.safetensors"
    try:
        arrays = unpack(place.read_bytes())
        return TypeAdapter(_Said).validate_python(said).whole(arrays, counts, estimates)
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        raise InvalidInput(f"{place}: not a reference ({error})") from error


@dataclass(frozen=True, slots=True)
class _Said:
    """What stands in ``reference.json``."""

    floor: float
    shrinkage: float
    n_train: int
    n_held: int
    distances: dict[float, float]
    mix: dict[str, dict[str, int]]
    n_patients: int
    within_patient: dict[str, float | None]

    def whole(
        self,
        arrays: Mapping[str, npt.NDArray[np.generic]],
        counts: pl.DataFrame | None,
        estimates: pl.DataFrame | None,
    ) -> Reference:
        """Return the reference with its arrays and tables."""
        return Reference(
            mean=arrays["mean"].astype(np.float64),
            scale=arrays["scale"].astype(np.float64),
            directions=arrays["directions"].astype(np.float32),
            spread=arrays["spread"].astype(np.float64),
            floor=self.floor,
            shrinkage=self.shrinkage,
            n_train=self.n_train,
            n_held=self.n_held,
            distances=self.distances,
            components=arrays["components"].astype(np.float64),
            mix=self.mix,
            n_patients=self.n_patients,
            within_patient=self.within_patient,
            counts=counts,
            estimates=estimates,
        )
