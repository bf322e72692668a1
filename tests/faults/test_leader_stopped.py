"""A leader under SIGSTOP: nobody else suffers, and whoever waits for it says why."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from fleet import SLEEPER, Fleet
from processes import wait_until
from scale import count

# How long it is stopped, in seconds.
SECONDS = count(4, 60)

# Says how often it went round.
BUSY = """
import sys, time
while True:
    kept = [str(number) for number in range(3000)]
    time.sleep(0.01)
"""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_in_turn(group: Fleet, programs: list[str]) -> list[subprocess.Popen[bytes]]:
    """The first of them leads."""
    started: list[subprocess.Popen[bytes]] = []
    for program in programs:
        started.append(group.start(program))
        group.wait_for([one.pid for one in started])
    return started


def test_members_write_on_and_a_newcomer_says_who_is_stopped(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    leader, member = start_in_turn(group, [SLEEPER, BUSY])
    os.kill(leader.pid, signal.SIGSTOP)
    stopped = time.time()
    newcomer = group.start(SLEEPER)
    wait_until(group.lines, "a line of the newcomer's", 10)
    used = cpu_seconds(newcomer.pid)
    time.sleep(SECONDS)
    # Bounded: it asks now and then. A start-up costs far more.
    assert cpu_seconds(newcomer.pid) - used < 0.02 * SECONDS
    # What it wrote last, it wrote while nobody read.
    os.kill(member.pid, signal.SIGSTOP)
    last = time.time()
    os.kill(leader.pid, signal.SIGCONT)
    scrape = group.wait_scrape(lambda scrape: member.pid in scrape.pids(), "the member")
    pids = scrape.by_worker("process_pid")
    (worker,) = (worker for worker, pid in pids.items() if pid == member.pid)
    stamp = scrape.value("pymalloc_exporter_sample_timestamp_seconds", worker=worker)
    assert stopped + SECONDS / 2 < stamp < last + 0.1
    os.kill(member.pid, signal.SIGCONT)
    group.wait_for([leader.pid, member.pid, newcomer.pid], timeout=30)
    (line,) = group.lines()
    assert f"process {leader.pid}" in line and "stopped" in line


def test_killed_while_stopped_it_is_followed(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    leader, member = start_in_turn(group, [SLEEPER, BUSY])
    os.kill(leader.pid, signal.SIGSTOP)
    newcomer = group.start(SLEEPER)
    wait_until(group.lines, "a line of the newcomer's", 10)
    leader.kill()
    group.wait_for([member.pid, newcomer.pid], timeout=30)
