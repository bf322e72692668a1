#!/usr/bin/env python3
"""Runs the demo for SOAK_SECONDS and fails on growth of memory, descriptors or threads.

The load goes round and what a worker keeps is bounded, so the highest value of some rounds
must not rise. How high it is, is chance, but how low it can be is hardly: its lowest of the last
third of the time is compared with that of the third before. The process that serves is among
those that are watched. Exit code: 0, or 1.

SOAK_LEAK=memory, descriptors or threads has the application leak them (programs/leaking.py),
to see that it fails.
"""
# ruff: noqa: E402

from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import exposition
import processes
from load import PHASES, Load
from server import WORKERS, command, free_port, program

# A round takes longer where requests wait: so long there is a whole one for sure.
WINDOW_SECONDS = 2 * sum(seconds for _, _, seconds in PHASES)
# In each third: the highest value of a window may well be a fifth above that of the next.
FEWEST_WINDOWS = 3
SCRAPE_SECONDS = 1.0
PROGRAMS = Path(__file__).resolve().parent / "programs"


def count_in(folder: str) -> Callable[[int], int]:
    return lambda pid: len(os.listdir(f"/proc/{pid}/{folder}"))


# What is watched, and by how much of itself and beside that it may differ between thirds.
WATCHED: dict[str, tuple[Callable[[int], int], float, float]] = {
    "RSS in bytes": (processes.resident_bytes, 0.05, 1_000_000),
    "descriptors": (count_in("fd"), 0.0, 1),
    "threads": (count_in("task"), 0.0, 0),
}


def measure(pids: list[int]) -> dict[str, int]:
    """The most that any of the processes has."""
    return {name: max(map(look, pids)) for name, (look, _, _) in WATCHED.items()}


def watch(master: int, address: str, seconds: float) -> dict[str, list[int]]:
    """The highest values of each window."""
    highest: dict[str, list[int]] = {name: [] for name in WATCHED}
    windows = round(seconds / WINDOW_SECONDS)
    start = time.monotonic()
    for window in range(1, windows + 1):
        found = []
        while time.monotonic() < start + window * seconds / windows:
            time.sleep(SCRAPE_SECONDS)
            scrape = exposition.fetch(address)
            pids = [master, *processes.children(master)]
            if len(pids) != WORKERS + 1 or not set(pids) <= set(scrape.pids()):
                sys.exit(f"expected {WORKERS + 1} processes in the scrape: {scrape.pids()}, {pids}")
            found.append(measure(pids))
        for name, values in highest.items():
            values.append(max(one[name] for one in found))
    return highest


def growth(highest: dict[str, list[int]]) -> list[str]:
    """What grew, in words."""
    grown = []
    for name, (_, share, beside) in WATCHED.items():
        values = highest[name]
        third = len(values) // 3
        before = min(values[third : 2 * third])
        after = min(values[2 * third :])
        print(f"{name}: {values}; {before} in the second third, {after} in the last")
        if after > before * (1 + share) + beside:
            grown.append(f"{name} grew from {before} to {after}")
    return grown


def demo(port: int, web_port: int, log: Path) -> contextlib.AbstractContextManager[Popen[bytes]]:
    leak = os.environ.get("SOAK_LEAK", "")
    if not leak:
        return program(command(port, web_port), log)
    leaking = command(port, web_port, application="leaking:application")
    return program(leaking, log, PYTHONPATH=str(PROGRAMS), LEAK=leak)


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS") or 600)
    if seconds < 3 * FEWEST_WINDOWS * WINDOW_SECONDS:
        sys.exit(f"SOAK_SECONDS: at least {3 * FEWEST_WINDOWS * WINDOW_SECONDS:.0f}")
    port, web_port = free_port(9512), free_port(8000)
    address = f"127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory(prefix="pymalloc-exporter-soak-") as folder,
        demo(port, web_port, Path(folder) / "log") as server,
        Load(web_port),
    ):
        processes.wait_until(lambda: complete(address, server.pid), "all processes", 60)
        grown = growth(watch(server.pid, address, seconds))
    print("\n".join(grown) or "nothing grew", flush=True)
    return 1 if grown else 0


def complete(address: str, master: int) -> bool:
    try:
        found = exposition.fetch(address).pids()
    except OSError:
        return False
    return found == sorted([master, *processes.children(master)]) and len(found) == WORKERS + 1


if __name__ == "__main__":
    sys.exit(main())
