"""The walk through the C heap against mallinfo2(), and what allocations wait for beside it."""

from __future__ import annotations

from pathlib import Path

from tests.bench.common import Figure, Row, run_bench

WALK = Row("a walk through a C heap of a million chunks, CPU against mallinfo2's", "times")
STALL = Row(
    "the longest malloc or free beside such walks, waits for a core apart", "ms more", most=0.2
)
ROWS = [WALK, STALL]


def measure(programs: Path) -> list[Figure]:
    chunks, walk, ask, alone, beside, asked = run_bench(programs, "heap_bench")
    each = f"{walk:.0f} and {ask:.0f} ns a chunk, {chunks / 1e6:.2f} million of them"
    stalls = f"{alone:.2f} alone; {asked - alone:+.0f} beside calls of mallinfo2"
    return [WALK.at(walk / ask, each), STALL.at(beside - alone, stalls, digits=2)]
