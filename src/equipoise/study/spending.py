"""What a stage spends: wall and CPU seconds, peak memory, and an estimate of its energy."""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

WATTS_PER_CORE = 10.0
"""Assumed draw of one busy core (W); a laptop core takes about 5, a server core up to 15."""

ENERGY_METHOD = (
    f"CPU seconds x {WATTS_PER_CORE:g} W, an assumed draw of one busy core; not measured; "
    "memory, disk, screen and idle draw are left out"
)
_EVERY = 0.05


@dataclass(slots=True)
class Spent:
    """What was spent; filled in when the measured block ends.

    Parameters
    ----------
    wall_seconds, cpu_seconds
        Elapsed time, and processor time over the process tree.
    peak_bytes
        Largest resident memory of the process tree, summed over its processes, sampled.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0

    def as_record(self) -> dict[str, object]:
        """Return it as JSON, with the energy estimate, its method and the machine.

        Examples
        --------
        >>> Spent(cpu_seconds=2.0).as_record()["energy_joules"]
        20.0
        """
        return {
            "wall_seconds": round(self.wall_seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_bytes": self.peak_bytes,
            "energy_joules": round(self.cpu_seconds * WATTS_PER_CORE, 1),
            "energy_method": ENERGY_METHOD,
            "python": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": os.cpu_count() or 1,
        }


@contextlib.contextmanager
def measured() -> Iterator[Spent]:
    """Measure the block that runs inside, over this process and its children.

    Examples
    --------
    >>> with measured() as spent:
    ...     _ = sum(range(100_000))
    >>> spent.peak_bytes > 0 and spent.wall_seconds > 0
    True
    """
    me = psutil.Process()
    spent = Spent()
    earlier = {child.pid: _cpu(child) for child in me.children(recursive=True)}
    children: dict[int, float] = {}
    stop = threading.Event()

    def watch() -> None:
        while True:
            last = stop.wait(_EVERY)
            resident = me.memory_info().rss
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    resident += child.memory_info().rss
                    children[child.pid] = _cpu(child) - earlier.get(child.pid, 0.0)
            spent.peak_bytes = max(spent.peak_bytes, resident)
            if last:
                return

    sampler = threading.Thread(target=watch, daemon=True)
    started, before = time.perf_counter(), _cpu(me)
    sampler.start()
    try:
        yield spent
    finally:
        stop.set()
        sampler.join()
        spent.wall_seconds = time.perf_counter() - started
        spent.cpu_seconds = _cpu(me) - before + sum(children.values())


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:  # it ended while we looked
        return 0.0
    return float(times.user + times.system)
