"""The application's frees of arenas beside a sampler at 1 kHz."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.bench.common import Figure


def measure(programs: Path) -> list[Figure]:
    output = subprocess.check_output([programs / "arena_free_bench"], text=True, timeout=120)
    bare, hook, beside = (float(word) for word in output.split())
    added = beside - bare
    measured = f"{added:+.1f} µs (munmap {bare:.1f}, our hook {hook:.1f}, sampled {beside:.1f} µs)"
    name = "arena free, p99.9, sampler at 1 kHz"
    return [Figure(name, measured, "at most 200 µs more", added <= 200)]
