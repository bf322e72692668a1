"""What the figures share: rows of the table, environments, processes, medians."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymalloc_exporter

BOOTSTRAP = Path(pymalloc_exporter.__file__).parent / "bootstrap"
SLEEPER = "import time; time.sleep(600)"
# Seconds: a process takes part when it is a second old.
UNTIL_IT_TAKES_PART = 1.7


@dataclass(frozen=True)
class Row:
    """A row of the table: its name, as the README has it, and its goal, if there is one."""

    name: str
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def goal(self) -> str:
        if self.most is not None:
            return f"at most {self.most:g} {self.unit}"
        return "" if self.least is None else f"at least {self.least:g} {self.unit}"

    def at(self, value: float, detail: str = "", digits: int = 1) -> Figure:
        text = f"{value:.{digits}f} {self.unit}" + (f" ({detail})" if detail else "")
        return Figure(self, value, text)


@dataclass(frozen=True)
class Figure:
    """A row as it was measured: a ratio or a difference of things measured in one run."""

    row: Row
    value: float
    text: str

    @property
    def met(self) -> bool:
        low, high = self.row.least, self.row.most
        return (low is None or self.value >= low) and (high is None or self.value <= high)


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


@contextmanager
def held_port(environment: dict[str, str]) -> Iterator[None]:
    """Until the end of the block another process holds the port of an exporter's environment."""
    holder = subprocess.Popen([sys.executable, "-c", SLEEPER], env=environment)
    try:
        _wait_until_ready(environment["PYMALLOC_EXPORTER_LISTEN"])
        yield
    finally:
        holder.kill()
        holder.wait()


def _wait_until_ready(address: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody serves {address}")


def run(program: str, environment: dict[str, str], *arguments: str) -> str:
    """What a Python program prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done.stdout


def run_bench(programs: Path, name: str) -> list[float]:
    """The numbers that a compiled benchmark prints."""
    output = subprocess.check_output([programs / name], text=True, timeout=180)
    return [float(word) for word in output.split()]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


median = statistics.median


def added(row: Row, pairs: list[tuple[float, float]], digits: int) -> Figure:
    """What a figure of the application has more, from pairs of it without us and beside us."""
    differences = sorted(beside - alone for alone, beside in pairs)
    low, high = (f"{difference:+.{digits}f}" for difference in (differences[0], differences[-1]))
    without = median(alone for alone, _ in pairs)
    detail = f"pairs {low} to {high}; {without:.{digits}f} without"
    return row.at(median(differences), detail, digits)
