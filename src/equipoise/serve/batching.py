"""Requests that wait together go through the encoder together.

Nobody waits for company: whenever an encoder thread is free it takes all that wait, up to a batch.
Under load batches grow by themselves; a lone request goes at once.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Works on items in batches, in threads of its own, and tells what came of each.

    Parameters
    ----------
    work
        Items → a result for each.
    settle
        Told the result of an item, or the error of its batch. Called in a thread of the batcher.
    threads
        Batches at once.
    most
        Items in a batch at most.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        settle: Callable[[Item, Result | BaseException], None],
        *,
        threads: int,
        most: int,
    ) -> None:
        self._work, self._settle, self._most = work, settle, most
        self._waiting: deque[Item] = deque()
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "encoder")
        self.sizes: deque[int] = deque(maxlen=1024)

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def put(self, item: Item) -> None:
        """Have an item worked on."""
        self._waiting.append(item)
        self._pool.submit(self._next)

    def close(self) -> None:
        """Finish what waits, and end the threads."""
        self._pool.shutdown(wait=True)

    def _next(self) -> None:
        items = self._taken()
        if not items:
            return
        results: Sequence[Result] | None = None
        failure: BaseException = RuntimeError("the work on a batch ended without a result")
        try:
            results = self._work(items)
        except BaseException as error:
            failure = error
            raise
        finally:
            self.sizes.append(len(items))
            for place, item in enumerate(items):
                self._settle(item, failure if results is None else results[place])

    def _taken(self) -> list[Item]:
        with self._guard:
            n = min(self._most, len(self._waiting))
            return [self._waiting.popleft() for _ in range(n)]
