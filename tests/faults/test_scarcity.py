"""No descriptors, no memory, no threads, nothing to write to: the application goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet import SLEEPER, Fleet
from processes import wait_until
from scale import LONG
from users import interpreter_of

STRANGERS = 4242

# Takes what it was told to, then forks and works, and says that it got there.
POOR = """
import os, resource, sys, time
kind, left = sys.argv[1], int(sys.argv[2])
time.sleep(float(sys.argv[3]))
if kind == "nofile":
    resource.setrlimit(resource.RLIMIT_NOFILE, (left, left))
if kind == "as":
    size = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (size + left, size + left))
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    time.sleep(0.2)
print("went on", flush=True)
while True: time.sleep(0.1)
"""


def goes_on(group: Fleet, kind: str, left: int, after: float, **rest: object) -> None:
    process = group.start(POOR, kind, str(left), str(after), **rest)
    wait_until(lambda: "went on" in group.log(), "its own work", explain=group.log)
    assert process.poll() is None
    assert len(set(group.lines())) <= 3 and "Traceback" not in group.log(), group.log()


# Below three there is no room for what the program itself opens in a moment.
@pytest.mark.parametrize("left", range(3, 16) if LONG else (3, 5, 8))
@pytest.mark.parametrize("after", [0.0, 1.6])
def test_no_descriptors(fleet: Callable[..., Fleet], left: int, after: float) -> None:
    """From the start, and taken from a process that serves already."""
    goes_on(fleet(), "nofile", left, after)


MEGABYTE = 1_000_000
STEPS = (0, 1, 4, 8, 9, 10, 12, 16, 32, 64, 130, 260, 520)


@pytest.mark.parametrize("left", STEPS if LONG else (0, 8, 64))
@pytest.mark.parametrize("after", [0.0, 1.6])
def test_no_memory(fleet: Callable[..., Fleet], left: int, after: float) -> None:
    # A little, for the program itself.
    goes_on(fleet(), "as", left * MEGABYTE + 2 * MEGABYTE, after)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_no_threads(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    python, environment = interpreter_of(STRANGERS)
    poor = ("setpriv", f"--reuid={STRANGERS}", "--clear-groups", "prlimit", "--nproc=1")
    around = (*poor, "--")
    process = group.start(SLEEPER, around=around, python=python, environment=environment)
    wait_until(group.lines, "a line", explain=group.log)
    (line,) = group.lines()
    assert "no thread could be started" in line
    assert process.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_read_only_file_system(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    frozen = 'mount -o remount,bind,ro / && for m in $(cut -d" " -f2 /proc/self/mounts); do '
    frozen += 'mount -o remount,bind,ro "$m" 2>/dev/null; done; ! touch "$HOME/x" && exec "$@"'
    around = ("unshare", "--mount", "--", "sh", "-c", frozen, "-")
    process = group.start(SLEEPER, around=around)
    group.wait_for([process.pid])
    assert group.lines() == []


# The root of the memory controller, and what it calls usage and limit: version 1, else 2.
MOUNT = Path("/sys/fs/cgroup")
VERSION_1 = (MOUNT / "memory").is_dir()
MEMORY = MOUNT / "memory" if VERSION_1 else MOUNT
USAGE, MAXIMUM = (
    ("memory.usage_in_bytes", "memory.limit_in_bytes")
    if VERSION_1
    else ("memory.current", "memory.max")
)
LIMIT = 64 * 1024 * 1024

# Fills its group to the brim, and says so.
FULL = """
import mmap, sys, time
usage, limit, spare = sys.argv[1], int(sys.argv[2]), 1_500_000
def left():
    return limit - int(open(usage).read())
kept = []
while left() > spare:
    kept.append(bytearray(200_000))
print("full", flush=True)
for _ in range(50):
    kept.append(str(len(kept)))
    time.sleep(0.1)
print("went on", flush=True)
while True: time.sleep(0.1)
"""


@pytest.fixture
def memory_group() -> Iterator[Path]:
    folder = MEMORY / f"pymalloc_exporter_{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no control groups that can be written to")
    if not (folder / MAXIMUM).exists():
        folder.rmdir()
        pytest.skip("no memory controller")
    (folder / MAXIMUM).write_text(str(LIMIT))
    yield folder
    for one in (*folder.glob("inner"), folder):
        wait_until(lambda one=one: not (one / "cgroup.procs").read_text(), "its last process")
        one.rmdir()


def test_control_group_at_its_limit(fleet: Callable[..., Fleet], memory_group: Path) -> None:
    """With the little that is left, and less than the region would take."""
    group = fleet()
    # The limit that binds is that of the group around it.
    inner = memory_group / "inner"
    inner.mkdir()
    enter = f'echo $$ >{inner}/cgroup.procs && exec "$@"'
    arguments = (str(memory_group / USAGE), str(LIMIT))
    process = group.start(FULL, *arguments, around=("sh", "-c", enter, "-"))
    wait_until(lambda: "went on" in group.log(), "its own work", 60, explain=group.log)
    scrape = group.wait_for([process.pid])
    assert scrape.value("cgroup_memory_limit_bytes") == LIMIT
    assert group.lines() == []
    group.close()
