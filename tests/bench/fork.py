"""What a fork waits for: the sampler's thread, and the server where the process leads."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.bench.common import (
    Figure,
    Row,
    bare_environment,
    exporter_environment,
    free_port,
    median,
    percentile,
    run,
)
from tests.bench.hooks import FORKER, HAS_HOOKS, fork
from tests.bench.passes import Watched

MEMBER = Row("a fork of a process that does not hold the port", "µs more", most=300)
BUSY = Row("what a fork waits for us in 2 GB amid the slow collectors, p50", "µs", most=300)
LEADER = Row("the first fork of the process that holds the port, worst", "ms more", most=250)
ROWS = [MEMBER, BUSY, LEADER]

PAIRS = 5
FORKS = 150
FIRST_FORKS = 12
BUSY_FORKS = 100
BUSY_MEGABYTES = "2000"
# Seconds between them: what a fork cuts short is made anew, and a pass takes some 1.5 s.
BUSY_PAUSES = ("0.03", "2")

# Seconds between forks: one after the other, as servers start workers; and so long that the thread
# takes part again before each.
BURST, SELDOM = "0.002", "0.03"

# Prints the microseconds that each fork took the parent.
PROGRAM = """
import os, sys, time
time.sleep(float(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    start = time.perf_counter_ns()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    print((time.perf_counter_ns() - start) / 1000)
    os.waitpid(pid, 0)
    time.sleep(float(sys.argv[3]))
"""
SLEEPER = "import time; time.sleep(600)"
# A process takes part when it is a second old.
UNTIL_IT_TAKES_PART = "1.7"


def _forks(environment: dict[str, str], count: int, pause: str = BURST) -> list[float]:
    printed = run(PROGRAM, environment, UNTIL_IT_TAKES_PART, str(count), pause)
    return [float(word) for word in printed.split()]


def _pairs(
    bare: dict[str, str], loaded: dict[str, str], pause: str
) -> list[tuple[list[float], list[float]]]:
    return [(_forks(bare, FORKS, pause), _forks(loaded, FORKS, pause)) for _ in range(PAIRS)]


def _added(pairs: list[tuple[list[float], list[float]]]) -> float:
    return median([median(beside) - median(alone) for alone, beside in pairs])


def _wait_serving(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody serves port {port}")


def _member() -> Figure:
    port = free_port()
    bare, loaded = bare_environment(), exporter_environment(port)
    holder = subprocess.Popen([sys.executable, "-c", SLEEPER], env=loaded)
    try:
        _wait_serving(port)
        pairs = _pairs(bare, loaded, BURST)
        seldom = _added(_pairs(bare, loaded, SELDOM))
    finally:
        holder.kill()
        holder.wait()
    alone = sorted(time for one, _ in pairs for time in one)
    beside = sorted(time for _, one in pairs for time in one)
    detail = f"p50 {median(alone):.0f} without, {median(beside):.0f} with; "
    detail += f"p99 {percentile(alone, 0.99):.0f} and {percentile(beside, 0.99):.0f}; "
    detail += f"every 30 ms {seldom:.0f} more"
    return MEMBER.at(_added(pairs), detail, digits=0)


def _busy() -> Figure:
    watched = Watched(FORKER, BUSY_MEGABYTES, *BUSY_PAUSES, interval=0.01)
    try:
        time.sleep(float(UNTIL_IT_TAKES_PART))
        waits = fork(watched.program, BUSY_FORKS).wall
    finally:
        watched.close()
    detail = f"p10 {percentile(waits, 0.1):.0f}, p90 {percentile(waits, 0.9):.0f}, "
    detail += f"worst {max(waits):.0f}; {BUSY_FORKS} forks"
    return BUSY.at(median(waits), detail, digits=0)


def _leader() -> Figure:
    alone = median(_forks(bare_environment(), FORKS)) / 1000
    times = [_forks(exporter_environment(free_port()), 1)[0] / 1000 for _ in range(FIRST_FORKS)]
    detail = f"p50 {median(times) - alone:.1f}; {FIRST_FORKS} processes"
    return LEADER.at(max(times) - alone, detail)


def measure(_: Path) -> list[Figure]:
    return [_member(), *([_busy()] if HAS_HOOKS else []), _leader()]
