"""Runs the demo of an installed wheel without a network, and watches the memory of its tree.

Usage: low_resource.py VENV OUT. Exits with 1 if the demo fails, or if the resident memory summed
over the process tree ever passes 4 GB.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

LIMIT = 4 * 1000**3


def isolated() -> list[str]:
    """Return the words that take the network away, as far as this machine lets us."""
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("no unshare on this machine: the demo without a network cannot be tried")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [unshare, "-n"] if root else [unshare, "-rn"]


def resident(process: psutil.Process) -> int:
    """Return the resident memory of a process and all below it (bytes)."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total


def main() -> None:
    """Run, watch, say what was seen."""
    venv, out = Path(sys.argv[1]), sys.argv[2]
    offline = subprocess.run(
        [
            *isolated(),
            sys.executable,
            "-c",
            "import socket; socket.create_connection(('1.1.1.1', 53), 3)",
        ],
        capture_output=True,
    )
    if offline.returncode == 0:
        sys.exit("the network is still there: the check would prove nothing")
    started = time.perf_counter()
    demo = psutil.Popen([*isolated(), str(venv / "bin" / "equipoise"), "demo", "--out", out])
    peak = 0
    while demo.poll() is None:
        peak = max(peak, resident(demo))
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    print(
        f"demo without a network: {seconds:.0f} s, peak memory {peak / 1e9:.2f} GB, "
        f"exit {demo.returncode}"
    )
    sys.exit(demo.returncode != 0 or peak > LIMIT)


if __name__ == "__main__":
    main()
