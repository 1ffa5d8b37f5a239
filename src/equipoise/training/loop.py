"""The loop: batches in, an encoder out; stopped anywhere, it goes on to the same weights.

All that is drawn in a step comes from the seed and the number of that step, so a checkpoint holds
weights, optimizer and tallies, and no state of any generator. Equal to the last bit on one machine
with one number of threads; on a GPU only nearly so.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from equipoise import registry
from equipoise.errors import InvalidConfiguration, InvalidInput
from equipoise.scope import Progress, silent
from equipoise.training import LOSSES, REDUCERS, checkpoints, reducers
from equipoise.training.augmentation import views
from equipoise.training.grouping import Groups
from equipoise.training.networks import Network, network
from equipoise.training.plans import Plan
from equipoise.training.samplers import Sampler

_WEIGHTS, _VIEWS = 4, 5  # streams of random numbers; those below 4 are the samplers'
_LONGEST = 10.0
"""Norm to which a gradient is cut."""


@dataclass(frozen=True, slots=True)
class Material:
    """What to learn from.

    Parameters
    ----------
    pixels
        uint8 ``(m, height, width)``, grey, perhaps memory-mapped.
    rows
        Which of them are seen ``(n,)``.
    groups
        Of each image seen.
    mean, deviation
        Of their pixels, 0 to 1: taken off, and divided by.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    groups: Groups
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it.

    Parameters
    ----------
    encoder
        On the CPU, ready to embed.
    history
        By step: mean loss since the entry before, the same by group, the state of the reducer.
    seen
        Group → how many images of it were drawn; ``"unknown"`` where it is not known.
    """

    encoder: Network
    history: list[dict[str, object]]
    seen: Mapping[str, int]


@dataclass(slots=True)
class _Run:
    """What changes from step to step, and goes into a checkpoint."""

    encoder: Network
    head: nn.Sequential
    optimizer: torch.optim.Optimizer
    state: Tensor
    tally: Tensor  # (groups + 1, 3): losses and images since the last entry, images of all; unknown
    history: list[dict[str, object]]
    step: int = 0


def train(
    material: Material,
    plan: Plan,
    draw: Sampler,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train an encoder, or go on where a checkpoint of the same training stands.

    Parameters
    ----------
    material
        The images.
    plan
        How.
    draw
        Step → positions among the images seen.
    checkpoint
        A file; it must be named by a digest of all that goes in. A torn one is passed over.
    progress
        Told ``("images", done, total)``, a view of an image counted once.

    Raises
    ------
    UnknownName
        If there is no such objective or reducer.
    InvalidConfiguration
        If the loss or its gradient is no longer a number. The last checkpoint stays.

    Examples
    --------
    A run of a minute is in ``tests/pretrain/test_tiny.py``.
    """
    objective = registry.load(plan.objective, LOSSES, kind="objective")
    reducer = registry.load(plan.reducer, REDUCERS, kind="reducer")
    with _threads(plan.threads):
        run = _begun(material, plan)
        if checkpoint is not None:
            _resume(run, checkpoint)
        while run.step < plan.steps:
            progress("images", run.step * plan.batch, plan.steps * plan.batch)
            _step(run, material, plan, draw(run.step), (objective, reducer))
            if run.step % plan.every == 0 or run.step == plan.steps:
                _entered(run, material.groups, plan)
                if checkpoint is not None:
                    _keep(run, checkpoint)
    progress("images", plan.steps * plan.batch, plan.steps * plan.batch)
    names = (*(material.groups.names or ("everybody",)), "unknown")
    seen = {name: int(n) for name, n in zip(names, run.tally[:, 2].tolist(), strict=False) if n}
    return Trained(run.encoder.to("cpu").train(mode=False), run.history, seen)


@contextlib.contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def generator(seed: int, *stream: int) -> torch.Generator:
    """Return the generator of a seed and what it is for.

    Examples
    --------
    >>> generator(0, 1).initial_seed() == generator(0, 2).initial_seed()
    False
    """
    words = np.random.SeedSequence((seed, *stream)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0]) >> 1)


def rate(step: int, plan: Plan) -> float:
    """Return the learning rate of a step.

    References
    ----------
    Loshchilov & Hutter 2017, ICLR, arXiv 1608.03983 (cosine); Goyal et al. 2017, arXiv 1706.02677
    (warm-up).

    Examples
    --------
    >>> plan = Plan(steps=100, batch=1, learning_rate=1.0, warm_up=0.1)
    >>> rate(0, plan), rate(9, plan), round(rate(99, plan), 4)
    (0.1, 1.0, 0.0003)
    """
    warm = max(1, round(plan.warm_up * plan.steps))
    if step < warm:
        return plan.learning_rate * (step + 1) / warm
    share = (step - warm) / max(plan.steps - warm, 1)
    return plan.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def _begun(material: Material, plan: Plan) -> _Run:
    encoder, head = network(plan.architecture, generator=generator(plan.seed, _WEIGHTS))
    place = torch.device(plan.device)
    encoder.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    head.to(place)
    weights = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": plan.weight_decay},
            {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
        ],
        lr=plan.learning_rate,
    )
    n = max(len(material.groups.names), 1)
    tally = torch.zeros(n + 1, 3, dtype=torch.float64)
    return _Run(encoder.train(), head.train(), optimizer, reducers.start(n), tally, [])


def _step(
    run: _Run,
    material: Material,
    plan: Plan,
    chosen: npt.NDArray[np.int64],
    functions: tuple[Callable[..., object], Callable[..., object]],
) -> None:
    objective, reducer = functions
    drawn = generator(plan.seed, _VIEWS, run.step)
    pixels = torch.from_numpy(np.ascontiguousarray(material.pixels[material.rows[chosen]]))
    images = pixels.to(plan.device)[:, None].float() / 255.0
    size, n = plan.architecture.size, len(chosen)
    both = [views(images, plan.augmentation, size=size, generator=drawn) for _ in range(2)]
    ready = (torch.cat(both) - material.mean) / material.deviation
    ready = ready.contiguous(memory_format=torch.channels_last)
    bf16 = plan.precision == "bfloat16"
    with torch.autocast(ready.device.type, dtype=torch.bfloat16, enabled=bf16):
        z = run.head(run.encoder(ready)).float()
    groups = torch.from_numpy(material.groups.codes[chosen]).to(z.device)
    each = objective(
        z[:n],
        z[n:],
        groups=groups,
        same_group_negatives=plan.same_group_negatives,
        **plan.parameters,
    )
    weights = torch.ones(n, device=z.device)
    value, state = _pair(
        reducer(each, groups, weights, run.state.to(z.device), **plan.reducer_parameters)
    )
    _descend(run, value, plan)
    run.state = state.cpu()
    _count(run, _tensor(each).detach().cpu().double(), groups.cpu())
    run.step += 1


def _descend(run: _Run, value: Tensor, plan: Plan) -> None:
    for group in run.optimizer.param_groups:
        group["lr"] = rate(run.step, plan)
    run.optimizer.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    weights = [w for group in run.optimizer.param_groups for w in group["params"]]
    norm = nn.utils.clip_grad_norm_(weights, _LONGEST)
    if not bool(torch.isfinite(value.detach()) & torch.isfinite(norm)):
        number = float(value.detach())
        what, found = ("gradient", float(norm)) if math.isfinite(number) else ("loss", number)
        raise InvalidConfiguration(
            f"pre-training: the {what} is {found} at step "
            f"{run.step + 1} of {plan.steps} (learning rate {rate(run.step, plan):.3g}); "
            "expected a number",
            hint=f"set learning_rate to {plan.learning_rate / 10:g}; what was finished before "
            "stays, and so does the last checkpoint",
        )
    run.optimizer.step()


def _pair(found: object) -> tuple[Tensor, Tensor]:
    if not (isinstance(found, tuple) and len(found) == 2):
        raise InvalidConfiguration(
            f"reducer: gives {type(found).__name__}; expected a value and a state"
        )
    return _tensor(found[0]), _tensor(found[1])


def _tensor(found: object) -> Tensor:
    if not isinstance(found, Tensor):
        raise InvalidConfiguration(f"training: found {type(found).__name__}; expected a tensor")
    return found


def _count(run: _Run, each: Tensor, groups: Tensor) -> None:
    last = len(run.tally) - 1
    place = torch.where(groups < 0, last, groups)
    run.tally[:, 0].index_add_(0, place, each)
    for column in (1, 2):
        run.tally[:, column].index_add_(0, place, torch.ones_like(each))


def _entered(run: _Run, groups: Groups, plan: Plan) -> None:
    total, n = run.tally[:, 0].sum(), run.tally[:, 1].sum()
    entry: dict[str, object] = {
        "step": run.step,
        "loss": round(float(total / n), 6),
        "learning_rate": float(f"{rate(run.step - 1, plan):.6g}"),
    }
    if groups.names:
        entry["by_group"] = {
            name: round(float(loss / count), 6) if count else None
            for name, (loss, count, _) in zip(groups.names, run.tally.tolist(), strict=False)
        }
    if plan.reducer == "group_dro":
        entry["group_weights"] = {
            name: round(weight, 6)
            for name, weight in zip(groups.names, run.state.tolist(), strict=False)
        }
    run.history.append(entry)
    run.tally[:, :2] = 0.0


def _keep(run: _Run, path: Path) -> None:
    tensors = {
        **checkpoints.of_module(run.encoder, "encoder"),
        **checkpoints.of_module(run.head, "head"),
        **checkpoints.of_optimizer(run.optimizer),
        "state": run.state,
        "tally": run.tally,
    }
    checkpoints.save(path, tensors, {"step": run.step, "history": run.history})


def _resume(run: _Run, path: Path) -> None:
    if not path.is_file():
        return
    try:
        tensors, said = checkpoints.load(path)
    except InvalidInput:
        return  # torn by other hands than ours: training starts again
    checkpoints.restore_module(run.encoder, "encoder", tensors)
    checkpoints.restore_module(run.head, "head", tensors)
    checkpoints.restore_optimizer(run.optimizer, tensors)
    run.state, run.tally = tensors["state"], tensors["tally"]
    run.step = int(str(said["step"]))
    history = said["history"]
    run.history = list(history) if isinstance(history, list) else []
