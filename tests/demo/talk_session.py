"""Runs the talk's program with the exporter inside, and asks the exporter what it sees.

Standard library only. Every figure of a State but the size of the strings comes from the
exporter, as anybody can have it from outside.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import exposition
from server import free_port

PROGRAM = Path(__file__).resolve().parent / "talk_program.py"
PATIENCE_SECONDS = 90.0
SLOW_INTERVAL = 0.2

UP = "pymalloc_exporter_collector_up"
ENDED = "pymalloc_exporter_collector_timestamp_seconds"
TOOK = "pymalloc_exporter_collector_duration_seconds"


class State(NamedTuple):
    """What there is after a step; bytes."""

    strings: int  # of the program's own, by sys.getsizeof()
    resident: int
    arenas: int
    arena_bytes: int
    arena_live: int
    # Of the C library's heap; None where the exporter does not read it.
    heap_in_use: int | None
    heap_free: int | None
    trim_would_give: int | None
    relief: dict  # of the remedy, where this step was one


class Session:
    def __init__(self, program: subprocess.Popen[str], port: int) -> None:
        self._program = program
        self._port = port

    def step(self, name: str) -> State:
        """Does a step of the program, or the remedy "trim"; the state afterwards."""
        relief = self._ask("trim", "POST") if name == "trim" else {}
        self._program.stdin.write(name + "\n")
        self._program.stdin.flush()
        strings = int(self._program.stdout.readline())
        return self._look(strings, relief)

    def wait(self) -> None:
        """Until the exporter serves and has looked at the program."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with contextlib.suppress(OSError, HTTPException):
                if exposition.fetch(f"127.0.0.1:{self._port}").select("pymalloc_arenas"):
                    return
            if time.monotonic() > deadline or self._program.poll() is not None:
                raise TimeoutError("the exporter does not answer")
            time.sleep(0.05)

    def _ask(self, what: str, method: str = "GET") -> dict:
        url = f"http://127.0.0.1:{self._port}/api/v1/workers/0/{what}"
        headers = {"X-Pymalloc-Exporter": "1"}
        request = urllib.request.Request(url, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)

    def _look(self, strings: int, relief: dict) -> State:
        heap = self._heap()
        sample = self._ask("sample")
        pymalloc = sample["pymalloc"]
        return State(
            strings,
            sample["process"]["resident_bytes"],
            pymalloc["arenas"],
            pymalloc["arenas"] * pymalloc["arena_size_bytes"],
            pymalloc["live_bytes"],
            *heap,
            relief,
        )

    def _heap(self) -> tuple[int | None, int | None, int | None]:
        """Once a walk through the C heap that began after now is published."""
        begun = time.time()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            scrape = exposition.fetch(f"127.0.0.1:{self._port}")
            if not any(one.value for one in scrape.select(UP, collector="malloc")):
                break
            if scrape.value(ENDED, collector="malloc") > begun + scrape.value(
                TOOK, collector="malloc"
            ):
                return heap_figures(scrape)
            time.sleep(SLOW_INTERVAL)
        return None, None, None


def heap_figures(scrape: exposition.Scrape) -> tuple[int, int, int]:
    """In use, free, and what a trim would give back."""
    rows = {
        state: int(scrape.value("malloc_bytes", state=state))
        for state in ("in_use", "mmapped", "free", "top")
    }
    gives = scrape.value("python_memory_reclaimable_bytes", by="trim")
    return rows["in_use"] + rows["mmapped"], rows["free"] + rows["top"], int(gives)


@contextlib.contextmanager
def running(count: int) -> Iterator[Session]:
    port = free_port(0)
    exporter = ["run", "--listen", f"127.0.0.1:{port}", "--app", "talk", "--enable-admin-api"]
    pace = ["--interval", "0.2", "--slow-interval", str(SLOW_INTERVAL)]
    command = [sys.executable, "-B", "-m", "pymalloc_exporter", *exporter, *pace, "--"]
    program = subprocess.Popen(
        [*command, sys.executable, "-B", str(PROGRAM), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        session = Session(program, port)
        session.wait()
        yield session
    finally:
        program.kill()
        program.communicate()
