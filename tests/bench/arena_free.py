"""The application's frees of arenas beside a sampler at 1 kHz."""

from __future__ import annotations

from pathlib import Path

from tests.bench.common import (
    Figure,
    Row,
    added,
    bare_environment,
    exporter_environment,
    free_port,
    run,
    run_bench,
)

PAIRS = 5
DROPS = 4000
BESIDE = Row("the application's arena frees beside a sampler at 1 kHz, p99.9", "µs more", most=200)
HOOK = Row("an arena's free by our hook, against a bare munmap, p99.9", "µs more")
ROWS = [BESIDE, HOOK]

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
    return added(BESIDE, pairs, digits=0)


def _hook(programs: Path) -> Figure:
    bare, hook, beside = run_bench(programs, "arena_free_bench")
    walk = f"{bare:.1f} by munmap; {beside - bare:+.1f} beside a walk"
    return HOOK.at(hook - bare, walk)


def measure(programs: Path) -> list[Figure]:
    return [_application(), _hook(programs)]
