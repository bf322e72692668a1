"""What /proc says of processes, and waiting for what is to come."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

Found = TypeVar("Found")

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    pid: int
    state: str
    parent: int
    session: int


def wait_until(
    look: Callable[[], Found],
    what: str,
    timeout: float = 20.0,
    pause: float = 0.02,
    explain: Callable[[], str] = str,
) -> Found:
    """The first true answer of `look`; AssertionError that says `what` after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{explain()}"
        time.sleep(pause)


def read_process(pid: int) -> Process | None:
    """None for a process that is no more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything.
    fields = text[text.rindex(")") + 2 :].split()
    return Process(pid, fields[0], int(fields[1]), int(fields[3]))


def all_processes() -> list[Process]:
    """Those that run; the dead that wait for their parent are left out."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [read_process(pid) for pid in pids]
    return [one for one in found if one is not None and one.state not in "ZX"]


def alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and process.state not in "ZX"


def children(pid: int) -> list[int]:
    return sorted(one.pid for one in all_processes() if one.parent == pid)


def of_session(session: int) -> list[int]:
    return sorted(one.pid for one in all_processes() if one.session == session)


def kill_session(session: int) -> None:
    """Kills every process that was started in that session, each by its pid."""
    for pid in of_session(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def private_bytes(pid: int) -> int:
    """Memory that no other process shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    rows = [line.split() for line in lines if line.startswith("Private_")]
    return sum(int(row[1]) * 1024 for row in rows)


def uid(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid


def free_port() -> int:
    """A port of 127.0.0.1 that no outgoing connection takes meanwhile."""
    while True:
        # Below the range from which Linux takes the ports of outgoing connections.
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
