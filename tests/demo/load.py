"""The demo's load: bounded, from one thread, to this machine only.

It goes round four phases, so that the table shows what each of them looks like.
"""

from __future__ import annotations

import threading
import urllib.request
from http.client import HTTPException

PHASES = (
    ("leaking", "/leak", 8.0),
    ("fragmenting", "/fragment", 6.0),
    ("freeing", "/free", 3.0),
    ("clearing", "/clear", 3.0),
)
PAUSE_SECONDS = 0.1


class Load:
    """Sends requests to 127.0.0.1:`port` for as long as its context is open."""

    def __init__(self, port: int) -> None:
        self._phase = PHASES[0][0]
        self._answered = 0
        self._failed = 0
        self._base = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def status(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"Now {self._phase}; {self._answered} requests answered{failed}."

    def _run(self) -> None:
        while not self._stopped.is_set():
            for name, path, seconds in PHASES:
                self._phase = name
                self._send(path, seconds)

    def _send(self, path: str, seconds: float) -> None:
        for _ in range(round(seconds / PAUSE_SECONDS)):
            if self._stopped.wait(PAUSE_SECONDS):
                return
            try:
                self._opener.open(self._base + path, timeout=5).close()
                self._answered += 1
            except (OSError, HTTPException):
                self._failed += 1
