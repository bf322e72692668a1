"""The header walk against a bare loop over the same headers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.bench.common import Figure


def measure(programs: Path) -> list[Figure]:
    output = subprocess.check_output([programs / "walk_bench"], text=True, timeout=120)
    walk, loop, ratio = (float(word) for word in output.split())
    measured = f"{ratio:.2f} times ({walk:.1f} and {loop:.1f} ns a pool, 1 GiB of arenas)"
    name = "header walk / bare prefetched loop"
    return [Figure(name, measured, "at most 1.2 times", ratio <= 1.2)]
