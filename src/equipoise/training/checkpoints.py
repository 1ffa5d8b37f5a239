"""Checkpoints: one safetensors file, tensors and what goes with them, whole or not there."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from equipoise.errors import InvalidInput
from equipoise.tables import write_bytes

_SAID = "said"


def save(path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, object]) -> None:
    """Write a checkpoint aside, then rename: a kill leaves the one before.

    Parameters
    ----------
    path
        The file.
    tensors
        By name.
    said
        What else to know, as JSON.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> save(path, {"w": torch.ones(1)}, {"step": 3})
    >>> load(path)[1]
    {'step': 3}
    """
    from safetensors.torch import save as pack

    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(said), sort_keys=True, allow_nan=False)
    write_bytes(path, pack(ready, metadata={_SAID: text}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Return the tensors of a checkpoint and what it says; nothing of it is unpickled.

    Raises
    ------
    InvalidInput
        If the file is absent, torn, or no checkpoint.

    Examples
    --------
    >>> load(Path("nowhere.safetensors"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere.safetensors: not a checkpoint (No such file or directory)
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load as unpack

    try:
        tensors = unpack(path.read_bytes())
        with safe_open(path, "pt") as file:
            said = json.loads(file.metadata()[_SAID])
    except OSError as error:
        raise InvalidInput(f"{path}: not a checkpoint ({error.strerror or error})") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path}: not a checkpoint ({error})") from error
    return tensors, said


def of_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer as tensors by name.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> of_optimizer(torch.optim.AdamW([weight]))
    {}
    """
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{at}.{name}": torch.as_tensor(value)
        for at, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that `of_optimizer` told.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> restore_optimizer(torch.optim.AdamW([weight]), {})
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        family, _, rest = key.partition(".")
        if family == "optimizer":
            at, _, name = rest.partition(".")
            state.setdefault(int(at), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def of_module(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return the tensors of a module under a prefix.

    Examples
    --------
    >>> sorted(of_module(torch.nn.Linear(1, 1), "head"))
    ['head.bias', 'head.weight']
    """
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def restore_module(module: nn.Module, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    """Give a module the tensors that `of_module` told.

    Examples
    --------
    >>> restore_module(torch.nn.ReLU(), "head", {})
    """
    start = len(prefix) + 1
    own = {name[start:]: t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
    module.load_state_dict(own)
