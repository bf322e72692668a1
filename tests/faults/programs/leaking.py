"""The demo's application, with a leak of $LEAK at each request: memory, descriptors, threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable

import service

MEMORY_BYTES = 100_000

kept: list[bytes] = []
LEAKS: dict[str, Callable[[], object]] = {
    "memory": lambda: kept.append(os.urandom(MEMORY_BYTES)),
    "descriptors": lambda: os.dup(0),
    "threads": lambda: threading.Thread(target=threading.Event().wait, daemon=True).start(),
}
leak = LEAKS[os.environ["LEAK"]]


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    leak()
    return service.application(environ, start_response)
