"""What pytest must not import where an optional part is not installed."""

from importlib.util import find_spec

_TORCH = ("augmentation", "checkpoints", "exporting", "loop", "networks", "precision", "reducers")

collect_ignore_glob = (
    []
    if find_spec("torch")
    else [
        "src/equipoise/training/losses/contrastive.py",
        *(f"src/equipoise/training/{name}.py" for name in _TORCH),
    ]
)
