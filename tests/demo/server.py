"""Starts and ends the demo's gunicorn."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKERS = 4
END_PATIENCE_SECONDS = 5.0


def free_port(wanted: int, but: int = 0) -> int:
    """`wanted` if nobody listens there, else some other port."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found = probe.getsockname()[1]
            if found != but:
                return found
    raise OSError("no free port")


def command(
    metrics_port: int,
    web_port: int,
    flags: tuple[str, ...] = (),
    application: str = "service:application",
) -> list[str]:
    listen = f"127.0.0.1:{metrics_port}"
    exporter = ["run", "--listen", listen, "--app", "demo", "--interval", "1", *flags, "--"]
    gunicorn = ["--workers", str(WORKERS), "--bind", f"127.0.0.1:{web_port}"]
    settings = ["--config", str(HERE / "gunicorn_settings.py"), "--chdir", str(HERE)]
    return [
        *[sys.executable, "-B", "-m", "pymalloc_exporter", *exporter],
        *[sys.executable, "-B", "-m", "gunicorn", *gunicorn, *settings, application],
    ]


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ends gunicorn and every process of its session."""
    with contextlib.suppress(ProcessLookupError):
        server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(END_PATIENCE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextlib.contextmanager
def program(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` with its output in `log`; in the end no process of it is left."""
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the demo, which then ends the server.
        server = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        stop(server)


def running(
    metrics_port: int, web_port: int, log: Path
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """The demo's gunicorn."""
    return program(command(metrics_port, web_port), log)
