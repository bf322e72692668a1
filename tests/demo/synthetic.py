"""Thirty days of made-up figures, for what cannot be shown in minutes.

They carry app="synthetic" and an instance of that name, so that nobody takes them for measured:
the recorded series that the capacity dashboard shows, and what its variables choose from.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import TextIO

DAYS = 30
# Below the five minutes for which Prometheus takes a sample as the present.
STEP_SECONDS = 240
INSTANCE = "synthetic:9512"
WORKERS = 3
MIB = 1 << 20
LIMIT_BYTES = 1024 * MIB
LIVE_SHARE = 0.5
HELD_SHARE = 0.2

_TARGET = {"job": "pymalloc", "instance": INSTANCE}


def _line(name: str, value: float, when: int, **labels: str) -> str:
    inside = ",".join(f'{key}="{text}"' for key, text in {**_TARGET, **labels}.items())
    return f"{name}{{{inside}}} {value:.0f} {when}\n"


def _worker_bytes(day: float, noise: float) -> float:
    """Grows by 2.5 MiB a day, breathes with the hours, and is put back a little each week."""
    wave = 22 * math.sin(2 * math.pi * (day - 0.3))
    return (110 + 2.5 * day - 1.2 * (day % 7) + wave + noise) * MIB


def _moment(when: int, day: float, chance: random.Random) -> Iterator[str]:
    workers = [_worker_bytes(day + 0.02 * w, chance.gauss(0, 3)) for w in range(WORKERS)]
    total = sum(workers)
    yield _line("pymalloc_exporter_processes", WORKERS, when)
    yield _line("instance:cgroup_memory_working_set_bytes:max", total + 50 * MIB, when)
    yield _line("instance:cgroup_memory_limit_bytes:min", LIMIT_BYTES, when)
    for worker, resident in enumerate(workers):
        labels = {"app": "synthetic", "worker": str(worker)}
        yield _line("process_pid", 1000 + worker, when, **labels)
        yield _line("process_resident_memory_peak_bytes", resident * 1.1, when, **labels)
    sums = {
        "process_resident_memory_bytes:sum": total,
        "process_resident_memory_bytes:max": max(workers),
        "pymalloc_live_bytes:sum": total * LIVE_SHARE,
        "pymalloc_held_bytes:sum": total * HELD_SHARE,
    }
    for name, value in sums.items():
        yield _line(f"instance_app:{name}", value, when, app="synthetic")


def write(out: TextIO, end: float) -> None:
    """Writes OpenMetrics text that ends at `end` (Unix time)."""
    chance = random.Random(8)
    moments = range(int(end) - DAYS * 86_400, int(end) + 1, STEP_SECONDS)
    for when in moments:
        out.writelines(_moment(when, (when - moments[0]) / 86_400, chance))
    out.write("# EOF\n")
