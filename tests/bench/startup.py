"""What the exporter adds to the start of an interpreter, and to its memory."""

from __future__ import annotations

import compileall
import time
from pathlib import Path

from tests.bench.common import (
    BOOTSTRAP,
    Figure,
    Row,
    bare_environment,
    exporter_environment,
    free_port,
    median,
    run,
)

PAIRS = 60
SERVING_PAIRS = 3
START_UP = Row("start-up of an interpreter", "ms more", most=3)
RSS_AT_START = Row("RSS at start", "MB more", most=2.5)
RSS_SERVING = Row("RSS of the process that serves", "MB more", most=2.5)
ROWS = [START_UP, RSS_AT_START, RSS_SERVING]

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
    compileall.compile_dir(BOOTSTRAP.parent, quiet=1)  # as pip does when it installs
    port = free_port()
    bare, loaded = bare_environment(), exporter_environment(port)
    added, bare_times = [], []
    for pair in range(PAIRS):
        # Turn about, so that neither is always the one after the other.
        order = (bare, loaded) if pair % 2 else (loaded, bare)
        times = {id(environment): _timed(environment) for environment in order}
        bare_times.append(times[id(bare)])
        added.append(times[id(loaded)] - times[id(bare)])
    bare_milliseconds = median(bare_times) * 1000
    return [
        START_UP.at(median(added) * 1000, f"bare: {bare_milliseconds:.1f} ms"),
        RSS_AT_START.at(_rss_added(port, 0, 15), digits=2),
        RSS_SERVING.at(_rss_added(port, 2.5, SERVING_PAIRS), digits=2),
    ]
