"""When something that runs for people has to end."""

from __future__ import annotations

import os
import signal
import sys
import time


class Clock:
    """Says when the demo has to end: at a signal, or some seconds after start()."""

    def __init__(self) -> None:
        self._deadline = float("inf")
        self._signalled = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)

    # An exception from here could come between the start of the server and the note of it.
    def _end(self, *_: object) -> None:
        self._signalled = True

    def start(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def over(self) -> bool:
        return self._signalled or time.monotonic() >= self._deadline

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.over() and time.monotonic() < until:
            time.sleep(0.1)


def demo_seconds() -> float:
    """How long DEMO_SECONDS lets it run; for ever if that is not given."""
    text = os.environ.get("DEMO_SECONDS", "")
    try:
        return float(text) if text else float("inf")
    except ValueError:
        sys.exit(f"DEMO_SECONDS: {text!r} is no number of seconds")
