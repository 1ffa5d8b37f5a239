"""How one vector is made of what a network gives: tokens in a row, or maps over places."""

from typing import Any

from equipoise.errors import InvalidEncoder


def of_tokens(tokens: Any, pooling: str, *, prefix: int, has_class: bool, where: str) -> Any:
    """Return a vector an image, ``(b, d)`` or ``(b, 2 d)``, of its tokens.

    Parameters
    ----------
    tokens
        ``(b, n, d)``: those that stand for no place of the image (class, registers) first.
    pooling
        As of a card: ``cls``, ``mean``, ``cls_mean`` or ``flat``. A mean is that of the patches:
        registers are in none of them.
    prefix
        How many tokens stand before the patches.
    has_class
        Whether the first of them is the class token.
    where
        Of which network, for the message.

    Raises
    ------
    InvalidEncoder
        If there is no class token, or tokens are not pooled in that way.

    References
    ----------
    Darcet et al. 2024, ICLR (registers).

    Examples
    --------
    >>> import numpy as np
    >>> found = np.arange(4.0).reshape(1, 4, 1)
    >>> of_tokens(found, "cls_mean", prefix=2, has_class=True, where="vit").tolist()
    [[0.0, 2.5]]
    """
    if pooling in ("cls", "cls_mean") and not (has_class and prefix):
        raise InvalidEncoder(
            f"{where}: pooling '{pooling}' and the network has no class token",
            hint="say pooling: mean, or pooled for what the library itself gives",
        )
    if pooling == "cls":
        return tokens[:, 0]
    if pooling == "flat":
        return tokens.reshape(tokens.shape[0], -1)
    mean = tokens[:, prefix:].mean(1)
    if pooling == "mean":
        return mean
    if pooling == "cls_mean":
        both = (tokens[:, 0], mean)
        return _beside(*both)
    raise _not_pooled(pooling, "tokens", "cls, mean, cls_mean, flat, pooled", where)


def of_maps(maps: Any, pooling: str, *, where: str) -> Any:
    """Return a vector an image, ``(b, c)`` or ``(b, c × places)``, of its maps.

    Parameters
    ----------
    maps
        ``(b, c, …)``, with one axis of places or more.
    pooling
        As of a card: ``spatial_mean`` or ``flat``.
    where
        Of which network, for the message.

    Raises
    ------
    InvalidEncoder
        If maps are not pooled in that way.

    Examples
    --------
    >>> import numpy as np
    >>> of_maps(np.arange(8.0).reshape(1, 2, 2, 2), "spatial_mean", where="cnn").tolist()
    [[1.5, 5.5]]
    """
    row = maps.reshape(*maps.shape[:2], -1)  # (b, c, place)
    if pooling == "spatial_mean":
        return row.mean(2)
    if pooling == "flat":
        return row.reshape(row.shape[0], -1)
    raise _not_pooled(pooling, "maps", "spatial_mean, flat, pooled", where)


def _beside(first: Any, second: Any) -> Any:
    """Return two arrays ``(b, d)`` as one ``(b, 2 d)``, of torch or of numpy."""
    if hasattr(first, "new_empty"):
        import importlib

        return importlib.import_module("torch").cat((first, second), 1)
    import numpy as np

    return np.concatenate((first, second), axis=1)


def _not_pooled(pooling: str, what: str, known: str, where: str) -> InvalidEncoder:
    return InvalidEncoder(
        f"{where}: pooling '{pooling}' and the network gives {what}; expected {known}"
    )
