"""How a folder of the hub says that images are prepared, read from its files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from equipoise.encoders.hub import Preparation, read_config
from equipoise.errors import InvalidEncoder

_KINDS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Of Pillow's numbers for resampling, those that a card may say."""

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the images that CLIP learnt from: Radford et al. 2021."""


def preprocessor_of(folder: Path) -> tuple[Preparation, Path] | None:
    """Return what ``preprocessor_config.json`` says, or its place in a newer file; None without.

    Raises
    ------
    InvalidEncoder
        If it cannot be read, or its values are not what they should be.

    Examples
    --------
    >>> preprocessor_of(Path("nowhere")) is None
    True
    """
    path = folder / "preprocessor_config.json"
    if path.is_file():
        return preprocessor_said(read_config(path), path), path
    newer = folder / "processor_config.json"
    said = read_config(newer).get("image_processor") if newer.is_file() else None
    return None if not isinstance(said, dict) else (preprocessor_said(said, newer), newer)


def preprocessor_said(said: Mapping[str, object], path: Path) -> Preparation:
    """Return what the config of an image processor of transformers says.

    Parameters
    ----------
    said
        Its fields.
    path
        Whence, for messages.

    Examples
    --------
    >>> said = {"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": True,
    ...         "resample": 3, "do_normalize": False, "rescale_factor": 1 / 255}
    >>> made = preprocessor_said(said, Path("preprocessor_config.json"))
    >>> made.size, made.resize, made.interpolation, made.mean
    ((224, 224), 256, 'bicubic', None)
    """
    size, resize = _sizes(said, path)
    resample = said.get("resample")
    kind = _KINDS.get(resample, f"number {resample}") if isinstance(resample, int) else None
    normalised = said.get("do_normalize", True)
    factor = said.get("rescale_factor", 1 / 255)
    if not isinstance(factor, int | float):
        raise InvalidEncoder(f"{path}: rescale_factor is {factor!r}; expected a number")
    return Preparation(
        size=size,
        resize=resize,
        scale=float(factor) if said.get("do_rescale", True) else 1.0,
        mean=reals(said.get("image_mean"), path) if normalised else None,
        std=reals(said.get("image_std"), path) if normalised else None,
        interpolation=kind if said.get("do_resize", True) else None,
    )


def open_clip_said(said: Mapping[str, object], path: Path, *, size: tuple[int, int]) -> Preparation:
    """Return what ``preprocess_cfg`` of an ``open_clip_config.json`` says.

    What it leaves out is as the library has it by default: mean and deviation of CLIP, bicubic,
    the shorter side resized and the middle cut out.

    Parameters
    ----------
    said
        Its fields.
    path
        Whence, for messages.
    size
        Of the network's input, where it is not said.

    Examples
    --------
    >>> made = open_clip_said({"mean": [0.5], "std": [0.5]}, Path("c.json"), size=(224, 224))
    >>> made.size, made.resize, made.interpolation
    ((224, 224), 224, 'bicubic')
    """
    found = size if said.get("size") is None else _square(said["size"], path)
    mode = said.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise InvalidEncoder(f"{path}: resize_mode is {mode!r}; expected shortest or squash")
    return Preparation(
        size=found,
        resize=min(found) if mode == "shortest" else 0,
        scale=1 / 255,
        mean=reals(said.get("mean", _CLIP_MEAN), path),
        std=reals(said.get("std", _CLIP_STD), path),
        interpolation=str(said.get("interpolation", "bicubic")),
    )


def reals(values: object, path: Path) -> tuple[float, ...] | None:
    """Return a list of numbers, or None where there is none.

    Examples
    --------
    >>> reals([0.5, 0.5], Path("c.json"))
    (0.5, 0.5)
    """
    if values is None:
        return None
    some = values if isinstance(values, Sequence) and not isinstance(values, str) else [values]
    found = tuple(float(one) for one in some if isinstance(one, int | float))
    if len(found) < len(some):
        raise InvalidEncoder(f"{path}: mean or deviation is {values!r}; expected numbers")
    return found


def _sizes(said: Mapping[str, object], path: Path) -> tuple[tuple[int, int] | None, int | None]:
    """Return the size of the input and of the shorter side before it is cut out; 0: not cut."""
    resized, cut = said.get("do_resize", True), said.get("do_center_crop", False)
    size, crop = said.get("size"), said.get("crop_size")
    edge = size.get("shortest_edge") if isinstance(size, Mapping) else None
    if cut and crop is not None:
        before = edge if edge is not None else size if isinstance(size, int) else None
        shorter = int(before) if resized and isinstance(before, int) else None
        return _square(crop, path), shorter
    if not resized or size is None:
        return None, None
    if edge is not None:
        raise InvalidEncoder(
            f"{path}: images keep their shape (shortest_edge {edge}, nothing cut out); expected "
            "one size for all",
            hint="images of many shapes cannot be embedded in batches: say size and crop_size",
        )
    return _square(size, path), 0


def _square(size: object, path: Path) -> tuple[int, int]:
    if isinstance(size, Mapping):
        size = [size.get("height"), size.get("width")]
    if isinstance(size, int):
        return size, size
    if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2:
        height, width = size
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    raise InvalidEncoder(f"{path}: size is {size!r}; expected height and width")
