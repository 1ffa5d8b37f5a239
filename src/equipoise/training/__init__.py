"""Self-supervised pre-training: objectives per image, samplers, reducers, one loop, the export.

Fairness enters at two named places: the *sampler* says who is seen, the *reducer* turns the
losses of a batch, one per image, into the number that is minimised. The objective itself may
take its negatives from the image's own group alone. This is the only package that imports torch
and onnx, and not before one of its modules is named: `loop`, `losses`, `reducers`, `networks`,
`augmentation`, `checkpoints` and `exporting` need them.
"""

from importlib.util import find_spec

from equipoise.errors import MissingExtra
from equipoise.training.grouping import Groups, association, grouped, proxies
from equipoise.training.plans import Architecture, Augmentation, Plan
from equipoise.training.samplers import SAMPLERS, Sampler, sampler

LOSSES = {"simclr": "equipoise.training.losses.contrastive:simclr"}
"""Objective → a function of two batches of vectors that gives a loss per image."""

REDUCERS = {
    "mean": "equipoise.training.reducers:mean",
    "group_balanced": "equipoise.training.reducers:group_balanced",
    "group_dro": "equipoise.training.reducers:group_dro",
    "v_rex": "equipoise.training.reducers:v_rex",
    "cvar": "equipoise.training.reducers:cvar",
}
"""Reducer → a function of the losses of a batch that gives the number to minimise."""

__all__ = [
    "LOSSES",
    "REDUCERS",
    "SAMPLERS",
    "Architecture",
    "Augmentation",
    "Groups",
    "Plan",
    "Sampler",
    "association",
    "check_installed",
    "grouped",
    "proxies",
    "sampler",
]


def check_installed(needed: tuple[str, ...] = ("torch", "onnx")) -> None:
    """Say what to install where a library is missing; imports nothing.

    Raises
    ------
    MissingExtra
        Naming what is missing.

    Examples
    --------
    >>> check_installed(("torrch",))
    Traceback (most recent call last):
        ...
    equipoise.errors.MissingExtra: pre-training needs torrch, which is not installed
    """
    for name in needed:
        if find_spec(name) is None:
            raise MissingExtra(
                f"pre-training needs {name}, which is not installed",
                hint="pip install 'equipoise[train]'",
            )
