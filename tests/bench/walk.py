"""The header walk against a bare loop over the same headers."""

from __future__ import annotations

from pathlib import Path

from tests.bench.common import Figure, Row, run_bench

NAME = "reading 1 GiB of arenas, against a bare prefetched loop over the same headers"
ROWS = [Row(NAME, "times", most=1.2)]


def measure(programs: Path) -> list[Figure]:
    walk, loop, ratio = run_bench(programs, "walk_bench")
    return [ROWS[0].at(ratio, f"{walk:.1f} and {loop:.1f} ns a pool", digits=2)]
