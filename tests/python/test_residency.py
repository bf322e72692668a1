"""What of a process is in memory, as the kernel's own accounts have it."""

import os
import time

import pytest
from running import Program

MEGABYTE = 1 << 20

QUIET = "import sys; kept = [bytes(100) for _ in range(200_000)]; sys.stdin.readline()"

# The child reads its copy of what it inherited, and so writes reference counts.
FORKED = """
import os, sys, time
kept = [bytes(100) for _ in range(200_000)]
if os.fork() == 0:
    for one in kept: last = one
    time.sleep(60)
sys.stdin.readline()
"""

WITHOUT_RIGHTS = "import os; os.setuid(4242)\n" + QUIET

SLOW = {"PYMALLOC_EXPORTER_SLOW_INTERVAL": "0.2"}


def wait_for(program, look):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = look(program.scrape())
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError("not within 30 s")


def of_pid(rows, pid, name):
    """The value of `name` for the process `pid`; None if it has none yet."""
    for row, value in rows.items():
        if row.startswith("process_pid{") and float(value) == pid:
            labels = row[len("process_pid") :]
            return float(rows[name + labels]) if name + labels in rows else None
    return None


def private_anonymous_bytes(pid):
    """From /proc/PID/smaps: private pages of what is no file's, or was written."""
    total = 0
    with open(f"/proc/{pid}/smaps") as lines:
        rows = {}
        for line in lines:
            key, _, rest = line.partition(":")
            if key in ("Private_Clean", "Private_Dirty", "Anonymous", "Rss"):
                rows[key] = int(rest.split()[0]) * 1024
            elif key == "VmFlags":
                private = rows["Private_Clean"] + rows["Private_Dirty"]
                total += min(private, rows["Anonymous"])
    return total


def test_unique_memory_is_what_smaps_says(free_port):
    with Program(QUIET, free_port, **SLOW) as program:
        pid = program.process.pid
        found = wait_for(program, lambda rows: of_pid(rows, pid, "process_unique_memory_bytes"))
        assert program.reason("residency") is None
        assert abs(found - private_anonymous_bytes(pid)) < MEGABYTE


def test_a_forked_child_has_its_own_pages_only(free_port):
    with Program(FORKED, free_port, **SLOW) as program:
        parent = program.process.pid

        def both(rows):
            pids = [int(float(rows[row])) for row in rows if row.startswith("process_pid{")]
            figures = {pid: of_pid(rows, pid, "process_unique_memory_bytes") for pid in pids}
            if len(pids) < 2 or None in figures.values():
                return None
            # Until the child has read all.
            apart = [abs(found - private_anonymous_bytes(pid)) for pid, found in figures.items()]
            return figures if max(apart) < 2 * MEGABYTE else None

        figures = wait_for(program, both)
        try:
            (child,) = set(figures) - {parent}
            assert figures[child] < 35 * MEGABYTE
        finally:
            os.kill(child, 9)


@pytest.mark.skipif(os.getuid() != 0, reason="changes its user")
def test_without_the_page_map_nothing_is_said_of_sharing(free_port):
    with Program(WITHOUT_RIGHTS, free_port, **SLOW) as program:
        assert program.reason_once_tried("residency") is None
        assert not [row for row in program.scrape() if row.startswith("process_unique_memory")]
