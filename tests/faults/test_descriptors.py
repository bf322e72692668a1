"""Whatever a process does with its descriptors, ours and its own stay apart."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from fleet import SLEEPER, Fleet
from processes import wait_until
from traces import Tables

# Leads, forks past every hook, says who the child is, and waits to be killed.
BARE = """
import ctypes, sys, time
time.sleep(1.5)
print("child", getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])(), flush=True)
time.sleep(600)
"""


def the_daemon(group: Fleet) -> tuple[int, str]:
    wait_until(lambda: "daemon" in group.log(), "the daemon", 60, explain=group.log)
    line = next(line for line in group.log().splitlines() if line.startswith("daemon"))
    _, pid, fds = line.split(maxsplit=2)
    return int(pid), fds


def test_a_daemon_is_served_and_finds_its_own_only(fleet: Callable[..., Fleet]) -> None:
    group, bare = fleet(), fleet()
    group.start("tables.py")
    bare.start("tables.py", exporter=False)
    pid, inside = the_daemon(group)
    other, without = the_daemon(bare)
    try:
        assert inside == without
        group.wait_for([pid])
        assert group.lines() == []
    finally:
        for one in (pid, other):
            processes.kill_session(processes.read_process(one).session)


def test_no_foreign_descriptor_is_touched(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """strace sees every call; what a thread of ours uses, it has made itself."""
    group = fleet()
    trace = tmp_path / "trace"
    calls = "trace=desc,network,memfd_create,close_range,clone,clone3,pipe2"
    around = ("strace", "-f", "-qq", "-s", "16", "-e", calls, "-e", "signal=none", "-o", str(trace))
    group.start("tables.py", around=around)
    pid, _ = the_daemon(group)
    group.wait_for([pid])
    group.wait_for([pid])
    processes.kill_session(processes.read_process(pid).session)
    group.close()
    found = Tables().read(trace.read_text(errors="replace").splitlines())
    assert len(found.table) >= 5 and found.uses > 100
    assert found.foreign == []
    print(f"{found.uses} uses by {len(found.table)} threads, none of a foreign descriptor")


@pytest.mark.parametrize("way", ["bare_fork", "bare_clone"])
def test_the_port_outlives_no_leader_in_a_child(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path], way: str
) -> None:
    group = fleet()
    leader = group.start(BARE, str(compiled("bare_fork.so")), way)
    wait_until(lambda: "child" in group.log(), "the child", explain=group.log)
    child = int(re.search(r"child (\d+)", group.log())[1])
    group.wait_for([leader.pid])
    member = group.start(SLEEPER)
    group.wait_for([leader.pid, member.pid])
    leader.kill()
    group.wait_for([member.pid])
    assert processes.alive(child)
    assert group.lines() == []


LOOK = """
import os, resource, time
time.sleep(1.5)
print(sorted(os.listdir("/proc/self/fd")), resource.getrlimit(resource.RLIMIT_NOFILE), flush=True)
"""


def test_numbers_and_limits_are_as_without(fleet: Callable[..., Fleet]) -> None:
    said = []
    for exporter in (True, False):
        group = fleet()
        assert group.start(LOOK, exporter=exporter).wait(30) == 0
        said.append(group.log())
    assert said[0] == said[1]


# What it opens gets the number of the standard error that it does not have.
PIDFD_GETFD = 438
DATA = """
import os, sys, time
try:
    os.close(2)
except OSError:
    pass
data = open(sys.argv[1], sys.argv[3], buffering=0)
print("number", data.fileno(), flush=True)
data.write(b"first ")
while os.path.exists(sys.argv[2]): time.sleep(0.1)
data.write(b"last")
"""


def squat(port: int) -> socket.socket:
    taken = socket.socket()
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


CLOSED = ("/bin/sh", "-c", 'exec "$@" 2>&-', "sh")


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("around, mode", [(CLOSED, "ab"), ((), "wb")])
def test_no_line_is_written_into_another_file(
    fleet: Callable[..., Fleet],
    compiled: Callable[[str], Path],
    tmp_path: Path,
    around: tuple[str, ...],
    mode: str,
    refused: bool,
) -> None:
    """Two that cannot serve: one whose descriptor 2 is a file of its own, and one to tell when.

    Refused: the system call by which another table's descriptor is had.
    """
    if refused:
        around = (str(compiled("filtered")), "refuse", str(PIDFD_GETFD), "--", *around)
    data, flag = tmp_path / "data", tmp_path / "flag"
    flag.touch()
    group, other = fleet(), fleet()
    with squat(group.port), squat(other.port):
        process = group.start(DATA, str(data), str(flag), mode, around=around)
        wait_until(lambda: "number 2" in group.log(), "the file", explain=group.log)
        other.start(SLEEPER)
        wait_until(other.lines, "a line", explain=other.log)
        flag.unlink()
        assert process.wait(20) == 0
    assert data.read_bytes() == b"first last"
