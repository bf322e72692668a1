"""Processes under test that share one endpoint, each started by itself."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import exposition
import processes
from exposition import Scrape
from gunicorn_service import clean_environment, exporter_command
from processes import wait_until

PROGRAMS = Path(__file__).resolve().parent / "programs"

# A program that lives until it is killed.
SLEEPER = "import time\nwhile True: time.sleep(0.1)"


def command(python: Path, program: str, *arguments: str) -> list[str]:
    """Runs a file of programs/, or code."""
    body = [str(PROGRAMS / program)] if program.endswith(".py") else ["-c", program]
    return [str(python), *body, *arguments]


class Fleet:
    """close() ends every process, whatever happened."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        *,
        interval: float = 0.1,
        slow_interval: float = 60,
        port: int = 0,
    ) -> None:
        self.python = python
        self.folder = folder
        self.port = port or processes.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.flags = ("--interval", str(interval), "--slow-interval", str(slow_interval))
        self.started: list[subprocess.Popen[bytes]] = []
        self.log_path = folder / f"log-{self.port}"
        self.log_path.touch()

    def start(
        self,
        program: str,
        *arguments: str,
        exporter: bool = True,
        around: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
        python: Path | None = None,
        **rest: object,
    ) -> subprocess.Popen[bytes]:
        """Starts it, inside the command `around`; standard output and error go to the log."""
        python = python or self.python
        before = exporter_command(python, self.port, *self.flags) if exporter else []
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                [*around, *before, *command(python, program, *arguments)],
                env=clean_environment(self.folder, **environment),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **{"stdout": log, "stderr": log, **rest},
            )
        self.started.append(process)
        return process

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def lines(self) -> list[str]:
        """What the exporter said."""
        return [line for line in self.log().splitlines() if line.startswith("pymalloc_exporter")]

    def scrape(self, *only: str) -> Scrape:
        return exposition.fetch(self.address, only=only)

    def try_scrape(self) -> Scrape | None:
        try:
            return self.scrape()
        except (OSError, http.client.HTTPException):
            return None

    def wait_scrape(
        self, holds: Callable[[Scrape], object], what: str, timeout: float = 20
    ) -> Scrape:
        """The first scrape of which that holds."""
        last: list[Scrape] = []

        def look() -> Scrape | None:
            scrape = self.try_scrape()
            last[:] = [scrape] if scrape else []
            return scrape if scrape and holds(scrape) else None

        return wait_until(
            look, what, timeout, explain=lambda: f"{[one.pids() for one in last]} {self.log()}"
        )

    def wait_for(self, pids: Sequence[int], timeout: float = 20) -> Scrape:
        """A scrape that shows these processes and no others."""
        wanted = sorted(pids)
        return self.wait_scrape(
            lambda scrape: scrape.pids() == wanted, f"a scrape of {wanted}", timeout
        )

    def wait_count(self, count: int, timeout: float = 20) -> Scrape:
        return self.wait_scrape(
            lambda scrape: len(scrape.pids()) == count, f"{count} processes", timeout
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """It, and every process that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        processes.kill_session(process.pid)
        process.wait()

    def close(self) -> None:
        for process in self.started:
            self.kill(process)


def serving_pids(scrape: Scrape) -> list[int]:
    """Whoever says of itself that it serves."""
    pids = scrape.by_worker("process_pid")
    serving = scrape.by_worker("pymalloc_exporter_serving")
    return [int(pids[worker]) for worker, value in serving.items() if value == 1]
