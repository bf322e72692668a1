"""CPU of a scrape of 64 workers, against prometheus_client in multiprocess mode."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.common import Figure, Row, bare_environment, run, run_bench

PROCESSES = 64
SCRAPE = Row(
    "CPU of a scrape of 64 workers, against prometheus_client's multiprocess mode",
    "times less",
    least=20,
)
TEXT = Row("CPU of that scrape's text, against prometheus-cpp's serializer", "times less")
ROWS = [SCRAPE, TEXT]

# One process' share of the series, as an application would keep them.
WRITER = """
import sys
from prometheus_client import Gauge
process, series = map(int, sys.argv[1:])
for family in range(5):
    gauge = Gauge(f"bench_{family}", "help", ["app", "state"])
    for one in range(series // 5):
        gauge.labels("shop", f"state{one}").set(process * 1000 + one)
"""

READER = """
import time
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
times = []
for _ in range(7):
    start = time.process_time()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    text = generate_latest(registry)
    times.append(time.process_time() - start)
lines = sum(1 for line in text.decode().splitlines() if not line.startswith("#"))
print(lines, sorted(times)[3] * 1e6)
"""


def _prometheus_client(series: int) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**bare_environment(), "PROMETHEUS_MULTIPROC_DIR": folder}
        share = str(series // PROCESSES)
        for process in range(PROCESSES):
            command = [sys.executable, "-c", WRITER, str(process), share]
            subprocess.run(command, env=environment, check=True, timeout=60)
        assert len(os.listdir(folder)) == PROCESSES
        lines, microseconds = run(READER, environment).split()
    return int(lines), float(microseconds)


def measure(programs: Path) -> list[Figure]:
    series, ours, text, their_text = run_bench(programs, "scrape_bench")
    lines, theirs = _prometheus_client(int(series))
    sizes = f"{ours / 1000:.2f} ms for {series:.0f} series, {theirs / 1000:.1f} ms for {lines}"
    ratio = (theirs / lines) / (ours / series)
    return [SCRAPE.at(ratio, sizes, digits=0), TEXT.at(their_text / text)]
