"""What a bundle answers of embedded images: their scores, and how far off they lie."""

import numpy as np
import numpy.typing as npt

from equipoise import mitigations
from equipoise.bundles import reference as references
from equipoise.bundles.opening import Bundle
from equipoise.errors import InvalidInput, InvalidTable
from equipoise.mitigations import Fitted
from equipoise.probes import Embeddings

Scores = npt.NDArray[np.float32]


def scores(bundle: Bundle, vectors: Embeddings) -> dict[str, Scores]:
    """Return finding → score ``(n,)``, the very ones of the offline stage.

    Parameters
    ----------
    bundle
        The bundle.
    vectors
        What its encoder made of the images ``(n, d)``.

    Raises
    ------
    InvalidTable
        If the vectors have another length, or a score is no number in [0, 1].

    Examples
    --------
    See the tests: a bundle needs files on disk.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(findings=("covid",), heads={"covid": 1})
    >>> scores(model, np.array([[0.25, 0.75]], np.float32))["covid"].tolist()
    [0.75]
    """
    return {name: _scored(name, bundle.heads[name], vectors) for name in bundle.findings}


def distances(bundle: Bundle, vectors: Embeddings) -> npt.NDArray[np.float64]:
    """Return the distance of each image from the reference embeddings ``(n,)``.

    Raises
    ------
    InvalidInput
        If the bundle describes no reference: see `Bundle.reference` before.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> bare = SimpleNamespace(name="vendor", reference=None)
    >>> distances(bare, np.zeros((1, 2)))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: bundle 'vendor': describes no reference embeddings
    """
    return references.distances_to(_described(bundle), vectors)


def components(bundle: Bundle, vectors: Embeddings) -> npt.NDArray[np.float64]:
    """Return the first principal components of each image ``(n, k)``, k at most 8.

    Raises
    ------
    InvalidInput
        If the bundle describes no reference: see `Bundle.reference` before.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> bare = SimpleNamespace(name="vendor", reference=None)
    >>> components(bare, np.zeros((1, 2)))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: bundle 'vendor': describes no reference embeddings
    """
    return references.components_of(_described(bundle), vectors)


def _described(bundle: Bundle) -> references.Reference:
    if bundle.reference is None:
        raise InvalidInput(f"bundle '{bundle.name}': describes no reference embeddings")
    return bundle.reference


def _scored(finding: str, head: Fitted | int, vectors: Embeddings) -> Scores:
    if isinstance(head, Fitted):
        return mitigations.scores(head, vectors)
    found = np.ascontiguousarray(vectors[:, head], dtype=np.float32)
    outside = ~((found >= 0.0) & (found <= 1.0))
    if outside.any():
        raise InvalidTable(
            f"scores of '{finding}': {outside.sum()} of {len(found)} are no numbers in [0, 1], as "
            f"{found[outside][0]}",
            hint="the column of a model's output must be a probability",
        )
    return found
