"""Libraries of models, imported only when an encoder of their family is loaded."""

import importlib
from typing import Any

from equipoise.errors import MissingExtra

_MISSED = ("nms", "qnms")
"""Operators that torchvision declares for CUDA builds alone, and asks for in all."""


def library(name: str, *, extra: str, family: str) -> Any:
    """Return a library.

    Parameters
    ----------
    name
        Of the module.
    extra
        The extra of this project that brings it.
    family
        Of the encoders that need it, for the message.

    Raises
    ------
    MissingExtra
        If it is not installed.

    Examples
    --------
    >>> library("no_such_library", extra="hub", family="transformers")
    Traceback (most recent call last):
        ...
    equipoise.errors.MissingExtra: encoder transformers: no_such_library is not installed
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != name.partition(".")[0]:
            raise MissingExtra(
                f"encoder {family}: {name} needs {error.name}, which is not installed",
                hint=f"pip install 'equipoise[{extra}]'",
            ) from error
        raise MissingExtra(
            f"encoder {family}: {name} is not installed",
            hint=f"pip install 'equipoise[{extra}]'",
        ) from error


def beside_torchvision(name: str, *, extra: str, family: str) -> Any:
    """Return a library that imports torchvision, which need not fit a CPU build of torch.

    The torchvision of PyPI is linked against CUDA; beside a CPU build of torch its compiled half
    does not load, and its import stops where it gives shapes to two operators that are then not
    there. With their signatures declared the Python half, which is all that these libraries use,
    imports. Where torchvision fits torch nothing is done.

    Parameters
    ----------
    name, extra, family
        As of `library`.

    Raises
    ------
    MissingExtra
        If one of them is not installed.
    """
    torch = library("torch", extra=extra, family=family)
    try:
        library("torchvision", extra=extra, family=family)
    except RuntimeError:
        _declare(torch)
        library("torchvision", extra=extra, family=family)
    return library(name, extra=extra, family=family)


def _declare(torch: Any) -> None:
    """Declare the signatures of the operators that torchvision lacks, and forget its first try."""
    import sys

    for module in [one for one in sys.modules if one.partition(".")[0] == "torchvision"]:
        del sys.modules[module]
    declared = torch.library.Library("torchvision", "DEF")
    for name in _MISSED:
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _HELD.append(declared)


_HELD: list[Any] = []
"""Declarations end when they are collected."""


def first_line(error: Exception) -> str:
    r"""Return the first line of what a library said, or what kind of error it was if nothing.

    Examples
    --------
    >>> first_line(ValueError("no such layer\nsee the manual")), first_line(AssertionError())
    ('no such layer', 'AssertionError')
    """
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
