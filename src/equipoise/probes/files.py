"""Probes on disk: arrays as safetensors, the rest as JSON beside them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from equipoise.errors import InvalidInput
from equipoise.probes.logistic import LogisticProbe
from equipoise.tables import read_json, write_bytes, write_json

_ARRAYS = ("weights", "mean", "scale")
_NUMBERS = ("intercept", "penalty", "iterations", "gradient_norm", "converged")


def save(probe: LogisticProbe, path: Path, *, more: Mapping[str, object] | None = None) -> None:
    """Write ``<path>.safetensors`` and ``<path>.json``, each whole or not at all.

    Parameters
    ----------
    probe
        What was fitted.
    path
        Without an ending.
    more
        What else the JSON shall say.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "plain"
    >>> from equipoise.probes import fit_logistic
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> save(fit_logistic(x, np.array([False, True, True]), penalty=1.0), path)
    >>> load(path).penalty
    1.0
    """
    from safetensors.numpy import save as pack

    write_bytes(
        path.with_name(path.name + ".safetensors"),
        pack({name: np.ascontiguousarray(getattr(probe, name)) for name in _ARRAYS}),
    )
    said = {name: getattr(probe, name) for name in _NUMBERS}
    write_json(path.with_name(path.name + ".json"), {**(more or {}), **said})


def load(path: Path) -> LogisticProbe:
    """Return the probe that `save` wrote.

    Parameters
    ----------
    path
        Without an ending.

    Raises
    ------
    InvalidInput
        If a file is absent, torn, or not that of a probe.

    Examples
    --------
    >>> load(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere.json: no such file
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    said = read_json(path.with_name(path.name + ".json"))
    place = path.with_name(path.name + ".safetensors")
    try:
        arrays = unpack(place.read_bytes())
        return LogisticProbe(
            weights=arrays["weights"],
            intercept=_number(said["intercept"]),
            mean=arrays["mean"],
            scale=arrays["scale"],
            penalty=_number(said["penalty"]),
            iterations=int(_number(said["iterations"])),
            gradient_norm=_number(said["gradient_norm"]),
            converged=bool(said["converged"]),
        )
    except (OSError, SafetensorError) as error:
        raise InvalidInput(f"{place}: not readable as safetensors ({error})") from error
    except KeyError as error:
        raise InvalidInput(f"{place}: no {error} in it; expected a probe") from error


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise InvalidInput(f"probe: found {value!r}; expected a number")
    return float(value)
