"""A gunicorn under test, with the exporter inside or without it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import exposition
import processes
from processes import wait_until

HERE = Path(__file__).resolve().parent

# What is in the environment of whoever runs the tests must not matter.
_FOREIGN = ("PYMALLOC_EXPORTER_", "PYTHON", "GUNICORN_", "WEB_CONCURRENCY")


def clean_environment(folder: Path, **extra: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
    homes = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    return {**kept, **homes, "PYTHONDONTWRITEBYTECODE": "1", **extra}


def exporter_command(python: Path, port: int, *flags: str, app: str = "e2e") -> list[str]:
    listen = ["run", "--listen", f"127.0.0.1:{port}", "--app", app, *flags]
    return [str(python), "-m", "pymalloc_exporter", *listen, "--"]


class Service:
    """Starts at once; close() ends every process of it, whatever happened."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        *options: str,
        application: str = "hello:application",
        workers: int = 4,
        exporter: bool = True,
        port: int = 0,
        interval: float = 0.2,
        app: str = "e2e",
        python_flags: tuple[str, ...] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.port = port or processes.free_port()
        self.web_port = processes.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.expected_workers = workers
        self.log_path = folder / f"log-{self.web_port}"
        flags = ("--interval", str(interval))
        before = exporter_command(python, self.port, *flags, app=app) if exporter else []
        gunicorn = [str(python), *python_flags, "-m", "gunicorn", application]
        settings = [f"--workers={workers}", f"--bind=127.0.0.1:{self.web_port}"]
        files = [f"--chdir={HERE / 'apps'}", f"--config={HERE / 'gunicorn_settings.py'}"]
        with self.log_path.open("wb") as output:
            self.server = subprocess.Popen(
                [*before, *gunicorn, *settings, *files, *options],
                env=clean_environment(folder, **environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.master = self.server.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log_lines(self, of: str = "pymalloc_exporter: ") -> list[str]:
        return [line for line in self.log().splitlines() if of in line]

    def workers(self) -> list[int]:
        return processes.children(self.master)

    def processes(self) -> list[int]:
        return sorted([self.master, *self.workers()])

    def get(self, path: str = "/") -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.web_port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def scrape(self) -> exposition.Scrape:
        return exposition.fetch(self.address)

    def try_scrape(self) -> exposition.Scrape | None:
        try:
            return self.scrape()
        except (OSError, http.client.HTTPException):
            return None

    def serves_itself(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(self.get())
        return False

    def complete_scrape(self) -> exposition.Scrape | None:
        """A scrape that shows this service's processes, all of them and no others."""
        scrape = self.try_scrape()
        workers = self.workers()
        if scrape is None or len(workers) != self.expected_workers:
            return None
        # Rows come with the first sample; roles with the parent's.
        walked = len(scrape.select("pymalloc_arenas")) == len(workers) + 1
        roles = sorted(scrape.roles().values())
        complete = scrape.pids() == sorted([self.master, *workers]) and walked
        return scrape if complete and roles == ["master"] + ["worker"] * len(workers) else None

    def wait_complete(self, timeout: float = 20.0) -> exposition.Scrape:
        def look() -> exposition.Scrape | None:
            assert self.server.poll() is None, self.log()
            return self.complete_scrape()

        what = "all of the service's processes in a scrape"
        return wait_until(look, what, timeout, explain=self.log)

    def wait_serving(self) -> None:
        wait_until(self.serves_itself, "an answer of the application", explain=self.log)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.master, number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.server.wait(5)
        processes.kill_session(self.master)
        self.server.wait()
