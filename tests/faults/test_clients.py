"""Hundreds of clients that send a byte a second."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import processes
from fleet import SLEEPER, Fleet
from scale import count

CLIENTS = 500
SECONDS = count(12, 300)
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 100_000

# Far more than one that sends its request at once needs, far less than what they do.
PATIENCE_SECONDS = 10.0
MOST_ADDED_BYTES = 30_000_000


class Drips(threading.Thread):
    """Keeps so many clients; those that were hung up on come back at once."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.over = threading.Event()
        self.refused = 0

    def connect(self) -> socket.socket:
        link = socket.socket()
        link.setblocking(False)
        link.connect_ex(("127.0.0.1", self.port))
        return link

    def run(self) -> None:
        clients = [(self.connect(), 0) for _ in range(CLIENTS)]
        while not self.over.wait(1):
            clients = [self.drip(link, sent) for link, sent in clients]
        for link, _ in clients:
            link.close()

    def drip(self, link: socket.socket, sent: int) -> tuple[socket.socket, int]:
        with contextlib.suppress(BlockingIOError):
            try:
                link.send(REQUEST[sent : sent + 1])
                if link.recv(4096):
                    return link, sent + 1
            except BlockingIOError:
                return link, sent + 1
            except OSError:
                pass
        self.refused += 1
        link.close()
        return self.connect(), 0


def test_scrapes_are_answered_all_the_same(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    process = group.start(SLEEPER)
    group.wait_for([process.pid])
    before = processes.resident_bytes(process.pid)
    drips = Drips(group.port)
    drips.start()
    slowest, answered, end = 0.0, 0, time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            start = time.monotonic()
            assert group.scrape().pids() == [process.pid]
            slowest = max(slowest, time.monotonic() - start)
            answered += 1
            time.sleep(0.5)
    finally:
        drips.over.set()
        drips.join()
    added = processes.resident_bytes(process.pid) - before
    print(f"{answered} scrapes, slowest {slowest:.2f} s; {drips.refused} hung up on; {added} bytes")
    assert drips.refused > CLIENTS  # they did take its time
    assert slowest < PATIENCE_SECONDS
    assert added < MOST_ADDED_BYTES
