"""What the figures share: environments, processes, medians."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pymalloc_exporter

BOOTSTRAP = Path(pymalloc_exporter.__file__).parent / "bootstrap"


@dataclass
class Figure:
    """One row of the table. `met` is None where there is no goal."""

    name: str
    measured: str
    goal: str
    met: bool | None


def bare_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYMALLOC_EXPORTER"))
    }


def exporter_environment(port: int, interval: float = 5.0) -> dict[str, str]:
    return {
        **bare_environment(),
        "PYTHONPATH": str(BOOTSTRAP),
        "PYMALLOC_EXPORTER_LISTEN": f"127.0.0.1:{port}",
        "PYMALLOC_EXPORTER_INTERVAL": str(interval),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(program: str, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done.stdout


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


median = statistics.median
