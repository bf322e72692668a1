#!/usr/bin/env python3
"""Runs the demo for SOAK_SECONDS and fails on growth of memory, descriptors or threads.

The load goes round and what a worker keeps is bounded, so the highest value of each round
must not rise: the highest of the last third of the time is compared with that of the third
before. The process that serves is among those that are watched. Exit code: 0, or 1.
"""
# ruff: noqa: E402

from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import exposition
import processes
from load import PHASES, Load
from server import WORKERS, free_port, running

ROUND_SECONDS = sum(seconds for _, _, seconds in PHASES)
SCRAPE_SECONDS = 1.0


def count_in(folder: str) -> Callable[[int], int]:
    return lambda pid: len(os.listdir(f"/proc/{pid}/{folder}"))


# What is watched, and by how much of itself and beside that it may differ between thirds.
WATCHED: dict[str, tuple[Callable[[int], int], float, float]] = {
    "RSS in bytes": (processes.resident_bytes, 0.05, 2_000_000),
    "descriptors": (count_in("fd"), 0.0, 1),
    # A process that comes to serve has the server's threads.
    "threads": (count_in("task"), 0.0, 4),
}


def measure(pids: list[int]) -> dict[str, int]:
    """The most that any of the processes has."""
    return {name: max(map(look, pids)) for name, (look, _, _) in WATCHED.items()}


def watch(master: int, address: str, seconds: float) -> list[dict[str, int]]:
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(SCRAPE_SECONDS)
        scrape = exposition.fetch(address)
        pids = [master, *processes.children(master)]
        if len(pids) != WORKERS + 1 or not set(pids) <= set(scrape.pids()):
            sys.exit(f"expected {WORKERS + 1} processes in the scrape: {scrape.pids()}, {pids}")
        found.append(measure(pids))
    return found


def growth(found: list[dict[str, int]]) -> list[str]:
    """What grew, in words."""
    third = len(found) // 3
    grown = []
    for name, (_, share, beside) in WATCHED.items():
        before = max(one[name] for one in found[third : 2 * third])
        after = max(one[name] for one in found[2 * third :])
        print(f"{name}: {before} in the second third, {after} in the last", flush=True)
        if after > before * (1 + share) + beside:
            grown.append(f"{name} grew from {before} to {after}")
    return grown


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS") or 600)
    if seconds < 6 * ROUND_SECONDS:
        sys.exit(f"SOAK_SECONDS: at least {6 * ROUND_SECONDS:.0f}, two rounds a third")
    port, web_port = free_port(9512), free_port(8000)
    address = f"127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory(prefix="pymalloc-exporter-soak-") as folder,
        running(port, web_port, Path(folder) / "log") as server,
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
