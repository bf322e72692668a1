"""How long the port is gone after a kill -9 of the process that holds it, among 64."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.bench.common import SLEEPER, Figure, Row, exporter_environment, free_port, percentile

PROCESSES = 64
KILLS = 50
GAP = Row(
    f"gap of the port after `kill -9` of the leader of {PROCESSES} processes, p99", "ms", most=20
)
ROWS = [GAP]
REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


def _healthy(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as link:
        link.sendall(REQUEST)
        return link.recv(64).startswith(b"HTTP/1.1 200")
    return False


def _gap(victim: subprocess.Popen[bytes], port: int) -> float:
    """Seconds from the kill to the first answer of another process."""
    start = time.perf_counter()
    victim.kill()
    victim.wait()  # what answers from now on is not the victim on its way out
    while not _healthy(port):
        if time.perf_counter() - start > 20:
            raise TimeoutError(f"nobody serves port {port}")
        time.sleep(0.0005)
    return time.perf_counter() - start


def _scrape(port: int) -> tuple[int, int]:
    """How many take part, and the pid that serves."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    rows = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    serving = [name for name, value in rows.items() if "serving{" in name and value == "1"]
    pid = rows[serving[-1].replace("pymalloc_exporter_serving", "process_pid")] if serving else 0
    return int(float(rows["pymalloc_exporter_processes"])), int(pid)


def _await_all(port: int, alive: set[int]) -> int:
    """The pid that serves, once every process takes part."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            taking_part, serving = _scrape(port)
            if taking_part >= len(alive) and serving in alive:
                return serving
        time.sleep(0.05)
    raise TimeoutError("not every process came back")


def measure(_: Path) -> list[Figure]:
    port = free_port()
    command = [sys.executable, "-c", SLEEPER]
    environment = exporter_environment(port)
    processes: dict[int, subprocess.Popen[bytes]] = {}
    gaps = []
    try:
        for _kill in range(KILLS):
            while len(processes) < PROCESSES:
                process = subprocess.Popen(command, env=environment)
                processes[process.pid] = process
            victim = _await_all(port, set(processes))
            gaps.append(_gap(processes.pop(victim), port) * 1000)
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()
    p50, p99 = percentile(gaps, 0.5), percentile(gaps, 0.99)
    return [GAP.at(p99, f"p50 {p50:.1f}, worst {max(gaps):.1f}; {KILLS} kills")]
