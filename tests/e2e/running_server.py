"""A server under test, with the exporter inside or without it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import exposition
import processes

# What is in the environment of whoever runs the tests must not matter.
_FOREIGN = ("PYMALLOC_EXPORTER_", "PYTHON", "GUNICORN_", "WEB_CONCURRENCY")


def clean_environment(folder: Path, **extra: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
    homes = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    return {**kept, **homes, "PYTHONDONTWRITEBYTECODE": "1", **extra}


def exporter_command(python: Path, port: int, *flags: str, app: str = "e2e") -> list[str]:
    listen = ["run", "--listen", f"127.0.0.1:{port}", "--app", app, *flags]
    return [str(python), "-m", "pymalloc_exporter", *listen, "--"]


def get(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return answer.read().decode()


class Server:
    """Starts at once, in a session of its own; close() ends every process of it."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        port: int,
        web_port: int,
        environment: Mapping[str, str],
    ) -> None:
        self.port = port
        self.web_port = web_port
        self.address = f"127.0.0.1:{port}"
        self.log_path = folder / f"log-{web_port}"
        with self.log_path.open("wb") as output:
            self.server = subprocess.Popen(
                command,
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

    def get(self, path: str = "/") -> str:
        return get(f"http://127.0.0.1:{self.web_port}{path}")

    def serves_itself(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(self.get())
        return False

    def scrape(self) -> exposition.Scrape:
        return exposition.fetch(self.address)

    def try_scrape(self) -> exposition.Scrape | None:
        try:
            return self.scrape()
        except (OSError, http.client.HTTPException):
            return None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.master, number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.server.wait(5)
        processes.kill_session(self.master)
        self.server.wait()
