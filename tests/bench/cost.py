"""What all collectors cost a large process, and how old the figures of the slow ones get.

COST_GIGABYTES ("1 4") are the sizes.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench.common import Figure, Row, median
from tests.bench.passes import FILL, SLOW, Watched

GIGABYTES = [int(word) for word in os.environ.get("COST_GIGABYTES", "1 4").split()]
ROWS = [Row(f"all collectors of a process of {size} GB", "% of a core", 0.5) for size in GIGABYTES]

# The defaults, by which the beats follow from what the passes take.
INTERVAL = 5.0
SLOW_INTERVAL = 60.0
SLOW_SHARE = 0.005
SECONDS = 11.0
PASSES = 3

# What is idle is not looked at.
WORK = """
import time
while True:
    sum(range(3000))
    time.sleep(0.001)
"""


def _figure(row: Row, gigabytes: int) -> Figure:
    watched = Watched(FILL + WORK, str(gigabytes * 1000), interval=INTERVAL)
    try:
        passes, trace, fast = watched.watch(SECONDS, PASSES)
    finally:
        watched.close()
    slow = {name: median(trace.between(*one.runs[name]) for one in passes) for name in SLOW}
    fast_share = sum(fast.values()) / INTERVAL
    stretched = sum(slow.values()) / max(SLOW_SHARE - fast_share, SLOW_SHARE / 2)
    beat = max(SLOW_INTERVAL, stretched)
    took = median(one.end - one.start for one in passes)
    shares = {name: 100 * seconds / beat for name, seconds in slow.items()}
    shares["those of each 5 s"] = 100 * fast_share
    each = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    ages = f"a slow beat each {beat:.0f} s, {took:.1f} s long"
    return row.at(sum(shares.values()), f"{each}; {ages}", digits=2)


def measure(_: Path) -> list[Figure]:
    return [_figure(row, size) for row, size in zip(ROWS, GIGABYTES)]
