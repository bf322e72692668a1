"""Thousands of forks from a process with a large heap, while every collector is at work."""

from __future__ import annotations

import os
from collections.abc import Callable

import processes
from fleet import Fleet
from processes import wait_until
from scale import count

FORKS = count(60, 10_000)
MEGABYTES = count(200, 2000)


def test_no_deadlock_and_no_zombie(fleet: Callable[..., Fleet]) -> None:
    group = fleet(interval=0.01, slow_interval=0.01)
    process = group.start("storm.py", str(FORKS), str(MEGABYTES))
    wait_until(lambda: "over" in group.log(), "the last fork", timeout=3000, explain=group.log)
    # It forked just now, so it takes the port a second later.
    group.wait_for([process.pid], timeout=60)
    assert process.poll() is None
    assert processes.children(process.pid) == []
    # A child that hangs would be a process of this session.
    assert processes.of_session(process.pid) == [process.pid]
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    zombies = [
        one for one in map(processes.read_process, pids) if one and one.parent == process.pid
    ]
    assert zombies == []
