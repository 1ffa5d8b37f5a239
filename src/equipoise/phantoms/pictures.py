"""Bench pictures in memory: what ingest would make of the files, without the files."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

import numpy as np
import polars as pl

from equipoise.phantoms.draws import Scene, listed
from equipoise.phantoms.options import Options
from equipoise.phantoms.rendering import render
from equipoise.phantoms.scanners import Pixels, digitised, displayed

Result = TypeVar("Result")

_CHUNK = 100
"""Scenes a process takes at once."""


def images(table: pl.DataFrame, options: Options, *, workers: int = 1) -> Pixels:
    """Return the grey levels of all scenes, uint8 ``(n, size, size)``, in the order of `table`.

    Parameters
    ----------
    table
        Scenes, as `scenes` draws them.
    options
        The bench they were drawn from.
    workers
        Processes; the images do not depend on it.

    Examples
    --------
    >>> from equipoise.phantoms.draws import scenes
    >>> options = Options(patients=2, size=32)
    >>> images(scenes(options), options).shape[1:]
    (32, 32)
    """
    parts = list(spread(partial(_seen, options), listed(table), workers=workers))
    size = options.size
    return np.concatenate([np.zeros((0, size, size), dtype=np.uint8), *parts])


def seen(scene: Scene, options: Options) -> Pixels:
    """Return the grey levels of one scene, uint8 ``(size, size)``.

    Examples
    --------
    >>> from equipoise.phantoms.draws import scenes
    >>> options = Options(patients=1, size=32)
    >>> seen(listed(scenes(options))[0], options).dtype
    dtype('uint8')
    """
    site = options.site(scene.site)
    return displayed(digitised(render(scene, options), site), site)


def spread(
    task: Callable[[Sequence[Scene]], Result], scenes: Sequence[Scene], *, workers: int
) -> Iterator[Result]:
    """Yield what `task` makes of each chunk of scenes, in their order.

    Parameters
    ----------
    task
        A module's function, or a `partial` of one, that another process can be handed.
    scenes
        The work.
    workers
        Processes; with 1, or a single chunk, all is done in this one.

    Examples
    --------
    >>> list(spread(len, [], workers=2))
    []
    """
    chunks = [scenes[start : start + _CHUNK] for start in range(0, len(scenes), _CHUNK)]
    if workers == 1 or len(chunks) < 2:
        yield from map(task, chunks)
        return
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(task, chunks)


def _seen(options: Options, scenes: Sequence[Scene]) -> Pixels:
    return np.stack([seen(scene, options) for scene in scenes])
