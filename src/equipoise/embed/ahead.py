"""Work done ahead in threads, in order, with a bound on what waits."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(
    work: Callable[[Given], Made], items: Iterable[Given], *, threads: int = 1, depth: int = 2
) -> Iterator[Made]:
    """Yield ``work(item)`` of each item, in order; the next ones are worked on meanwhile.

    Decoding and resizing let go of Python's lock, and so does a network: while one batch is
    computed the next are read.

    Parameters
    ----------
    work
        Called in a thread.
    items
        What it is called with.
    threads
        That work at once, at least 1.
    depth
        Results beyond those in work that may wait, which bounds the memory, at least 0.

    Raises
    ------
    Exception
        What `work` raises, where its result would have come.

    Examples
    --------
    >>> list(ahead(lambda x: x * x, [1, 2, 3]))
    [1, 4, 9]
    """
    waiting: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= threads + depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
