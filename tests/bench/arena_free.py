"""The application's frees of arenas beside a sampler at 1 kHz."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.bench.common import (
    Figure,
    bare_environment,
    exporter_environment,
    free_port,
    median,
    run,
)

PAIRS = 5
DROPS = 4000

# Blocks of 512 bytes, 1984 of them to an arena: each drop empties one arena or two. The
# pause outlasts the first second of a process, in which it is not sampled.
PROGRAM = """
import sys, time, urllib.request
drops, port = map(int, sys.argv[1:])
standing = [bytes(479) for _ in range(600_000)]
time.sleep(1.5)
times = []
for _ in range(drops):
    batch = [bytes(479) for _ in range(4200)]
    start = time.perf_counter_ns()
    del batch
    times.append(time.perf_counter_ns() - start)
freed = drops
if port:
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    rows = [line for line in text.splitlines() if line.startswith("pymalloc_arenas_freed_total")]
    freed = float(rows[0].split()[-1])
print(sorted(times)[drops - drops // 1000] / 1000, freed)
"""


def _percentile_999(environment: dict[str, str], port: int) -> float:
    microseconds, freed = map(float, run(PROGRAM, environment, str(DROPS), str(port)).split())
    if freed < DROPS:
        raise RuntimeError(f"only {freed:.0f} arenas were freed in {DROPS} drops")
    return microseconds


def _application() -> Figure:
    port = free_port()
    bare, loaded = bare_environment(), exporter_environment(port, 0.001)
    pairs = [(_percentile_999(bare, 0), _percentile_999(loaded, port)) for _ in range(PAIRS)]
    differences = sorted(beside - alone for alone, beside in pairs)
    added = median(differences)
    alone, beside = (median(column) for column in zip(*pairs))
    measured = (
        f"{added:+.0f} µs (pairs {differences[0]:+.0f} to {differences[-1]:+.0f}; "
        f"{alone:.0f} without, {beside:.0f} with)"
    )
    name = "arena free, p99.9, sampler at 1 kHz"
    return Figure(name, measured, "at most 200 µs more", added <= 200)


def _hook(programs: Path) -> Figure:
    output = subprocess.check_output([programs / "arena_free_bench"], text=True, timeout=120)
    bare, hook, beside = (float(word) for word in output.split())
    measured = f"munmap {bare:.1f}, our hook {hook:.1f}, beside a walk {beside:.1f} µs"
    return Figure("of that, the hook alone, p99.9", measured, "", None)


def measure(programs: Path) -> list[Figure]:
    return [_application(), _hook(programs)]
