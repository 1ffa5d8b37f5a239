"""Networks of torch as encoders: weights read without pickle, and run as a device does best.

On a GPU in bfloat16 by autocast with channels last and pinned batches; a batch that does not fit
its memory is halved, and that is said. On a CPU in float32, or in bfloat16 if it is asked for.
"""

import argparse
import hashlib
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.encoders.building import Run
from equipoise.encoders.libraries import first_line, library
from equipoise.errors import InvalidConfiguration, InvalidEncoder

PRECISIONS = ("float32", "bfloat16")
_SHOWN = 5
_WRAPPED = ("state_dict", "model", "teacher", "model_state_dict")
"""Keys under which checkpoints of training keep the weights."""
_HARMLESS = (argparse.Namespace,)
"""What MAE and DINO keep beside the weights (their options): attributes, and no code is run."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a checkpoint holds.

    Parameters
    ----------
    tensors
        Name → tensor.
    digest
        SHA-256 of the file.
    path
        Whence.
    """

    tensors: Mapping[str, Any]
    digest: str
    path: Path


def weights(path: Path, *, family: str, extra: str) -> Weights:
    """Return the tensors of a checkpoint; what would run code is refused.

    Parameters
    ----------
    path
        A ``.safetensors`` file, or a checkpoint that torch reads with ``weights_only``; the options
        of training (`argparse.Namespace`) that MAE and DINO keep in it are read and left.
    family, extra
        Of the encoder, for messages.

    Raises
    ------
    MissingExtra
        Without torch.
    InvalidEncoder
        If the file cannot be read, or holds more than tensors.
    """
    torch = library("torch", extra=extra, family=family)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidEncoder(f"{path}: cannot be read ({error.strerror or error})") from error
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return Weights(load(content), digest, path)
        except SafetensorError as error:
            raise InvalidEncoder(f"{path}: not readable as safetensors ({error})") from error
    try:
        with torch.serialization.safe_globals(list(_HARMLESS)):
            # from the bytes that were digested: the file may change meanwhile
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise InvalidEncoder(
            f"{path}: not a checkpoint of tensors alone ({first_line(error)})",
            hint="convert it to safetensors where it comes from: other pickles run code",
        ) from error
    return Weights(_tensors(found, path, torch), digest, path)


def _tensors(found: object, path: Path, torch: Any) -> Mapping[str, Any]:
    """Return the tensors, looked for where checkpoints of training keep them."""
    for key in _WRAPPED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise InvalidEncoder(f"{path}: holds {type(found).__name__}; expected tensors by name")
    tensors = {str(name): one for name, one in found.items() if isinstance(one, torch.Tensor)}
    if not tensors:
        raise InvalidEncoder(f"{path}: no tensors; got {sorted(map(str, found))[:_SHOWN]}")
    return tensors


def take(module: Any, given: Weights, *, prefix: str = "", where: str = "") -> None:
    """Put weights into a network, once all its keys are there and no others.

    Parameters
    ----------
    module
        The network.
    given
        From `weights`.
    prefix
        Taken off the names, as ``module.``; names without it are then not of the network.
    where
        What the network is called, for the message.

    Raises
    ------
    InvalidEncoder
        With the keys that are missing or unexpected, or whose shape differs.
    """
    state = {
        name.removeprefix(prefix): one
        for name, one in given.tensors.items()
        if name.startswith(prefix)
    }
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state]
    stray = [name for name in state if name not in wanted]
    if missing or stray:
        told = [f"misses {listed(missing)}"] * bool(missing)
        told += [f"has beside them {listed(stray)}"] * bool(stray)
        raise InvalidEncoder(
            f"{given.path}: does not fit {where or type(module).__name__}: {'; '.join(told)}",
            hint="say which network the weights are of in the card's arguments",
        )
    for name, one in state.items():
        if tuple(one.shape) != tuple(wanted[name].shape):
            raise InvalidEncoder(
                f"{given.path}: '{name}' is {tuple(one.shape)}; "
                f"expected {tuple(wanted[name].shape)} of {where or type(module).__name__}"
            )
    module.load_state_dict(state)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return some of several names, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more


@dataclass(frozen=True, slots=True)
class Device:
    """Where and how a network runs.

    Parameters
    ----------
    name
        As torch calls it: ``cpu``, ``cuda``, ``cuda:1``.
    precision
        ``float32`` or ``bfloat16``.
    workers
        Threads, on a CPU.
    """

    name: str
    precision: str
    workers: int


def device_of(parameters: Mapping[str, object], workers: int, *, family: str, extra: str) -> Device:
    """Return the device that is asked for; a GPU is never taken without being asked for.

    Parameters
    ----------
    parameters
        ``device`` (by default ``cpu``) and ``precision`` (by default ``float32`` on a CPU,
        ``bfloat16`` on a GPU).
    workers
        Threads.
    family, extra
        For messages.

    Raises
    ------
    InvalidConfiguration
        If the GPU is not there, or the precision is not known.
    """
    torch = library("torch", extra=extra, family=family)
    name = str(parameters.get("device", "cpu"))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InvalidConfiguration(
            f"encoder {family}: device '{name}' and torch sees no GPU",
            hint="say device: cpu, or install torch for this machine's GPU",
        )
    precision = str(parameters.get("precision", "bfloat16" if name != "cpu" else "float32"))
    if precision not in PRECISIONS:
        raise InvalidConfiguration(
            f"encoder {family}: precision '{precision}'; expected {', '.join(PRECISIONS)}"
        )
    return Device(name, precision, workers)


def version(*modules: Any) -> str:
    """Return what computes, with its version, as ``torch 2.13.0, timm 1.0.31``."""
    return ", ".join(f"{one.__name__} {one.__version__}" for one in modules)


def runner(module: Any, device: Device, pool: Callable[[Any], Any]) -> Run:
    """Return what runs a network on batches.

    Parameters
    ----------
    module
        The network.
    device
        Where and how.
    pool
        From what the network gives to vectors ``(b, d)``.

    Raises
    ------
    InvalidEncoder
        When it is called: if not even one image fits the memory of the GPU.
    """
    torch = library("torch", extra="train", family="torch")
    module = module.train(mode=False).to(device.name)
    module.requires_grad_(requires_grad=False)
    gpu = device.name != "cpu"
    half = device.precision == "bfloat16"

    def run(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        if not gpu:
            torch.set_num_threads(device.workers)
        images = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        if gpu:
            images = images.pin_memory().to(device.name, non_blocking=True)
        if images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        kind = device.name.partition(":")[0]
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=half):
            found = pool(module(images))
        vectors: npt.NDArray[np.float32] = found.float().cpu().numpy()
        return vectors

    return _halving(run, torch) if gpu else run


def _halving(run: Run, torch: Any) -> Run:
    """Return the same, in two halves where a batch does not fit, and so on; said once a size."""

    def either(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        try:
            return run(values)
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            n = len(values) // 2
            if n == 0:
                raise InvalidEncoder("one image does not fit the memory of the GPU") from error
            warnings.warn(
                f"a batch of {len(values)} images does not fit the memory of the GPU: halved",
                RuntimeWarning,
                stacklevel=2,
            )
        return np.concatenate([either(values[:n]), either(values[n:])])

    return either
