"""What the exporter adds to the start of an interpreter, and to its memory."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench.common import (
    Figure,
    bare_environment,
    exporter_environment,
    free_port,
    median,
    run,
)

PAIRS = 60
SERVING_PAIRS = 3

RSS = """
import sys, time
time.sleep(float(sys.argv[1]))
print(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])
"""


def _timed(environment: dict[str, str]) -> float:
    start = time.perf_counter()
    run("pass", environment)
    return time.perf_counter() - start


def _rss_added(port: int, seconds: float, pairs: int) -> float:
    bare, loaded = bare_environment(), exporter_environment(port)
    differences = []
    for _ in range(pairs):
        before = int(run(RSS, bare, str(seconds)))
        differences.append(int(run(RSS, loaded, str(seconds))) - before)
    return median(differences) * 1024 / 1e6


def measure(_: Path) -> list[Figure]:
    port = free_port()
    bare, loaded = bare_environment(), exporter_environment(port)
    added = []
    for pair in range(PAIRS):
        # Turn about, so that neither is always the one after the other.
        order = (bare, loaded) if pair % 2 else (loaded, bare)
        times = {id(environment): _timed(environment) for environment in order}
        added.append(times[id(loaded)] - times[id(bare)])
    milliseconds = median(added) * 1000
    at_start = _rss_added(port, 0, 15)
    serving = _rss_added(port, 2.5, SERVING_PAIRS)
    return [
        Figure("start-up added", f"{milliseconds:.1f} ms", "at most 3 ms", milliseconds <= 3),
        Figure("RSS added at start", f"{at_start:.2f} MB", "at most 2.5 MB", at_start <= 2.5),
        Figure("RSS added, serving", f"{serving:.2f} MB", "at most 2.5 MB", serving <= 2.5),
    ]
