"""Containers, made of namespaces: own process ids, the network shared or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet import SLEEPER, Fleet
from processes import wait_until
from users import interpreter_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces")

STRANGERS = 4242
OWN_PIDS = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
OWN_NETWORK = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "-")

# Prints what the endpoint of its own network answers, again and again.
WATCH = """
import os, sys, time, urllib.request
while True:
    time.sleep(0.1)
    try:
        with urllib.request.urlopen(f"http://{sys.argv[1]}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        continue
    rows = [line.split()[1] for line in text.splitlines() if line.startswith("process_pid{")]
    print("watched:", *rows, flush=True)
"""


def test_shared_network_is_one_endpoint(fleet: Callable[..., Fleet]) -> None:
    """Both are process 1, started in the same moment; nothing of theirs may be merged."""
    group = fleet()
    for _ in range(2):
        group.start(SLEEPER, around=OWN_PIDS)
    scrape = group.wait_count(2)
    assert scrape.pids() == [1, 1]
    assert scrape.value("pymalloc_exporter_processes") == 2
    outside = group.start(SLEEPER)
    group.wait_for([1, 1, outside.pid])
    assert len(group.wait_count(3).by_worker("process_start_time_seconds")) == 3
    assert group.lines() == []


def test_equal_start_times_too(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path]
) -> None:
    group = fleet()
    for _ in range(5):
        twins = group.start(SLEEPER, around=(str(compiled("twins")),))
        scrape = group.wait_count(2)
        assert scrape.pids() == [1, 1]
        starts = scrape.by_worker("process_start_time_seconds").values()
        # The kernel counts in ticks of 10 ms.
        if max(starts) - min(starts) < 0.005:
            break
        twins.kill()
        wait_until(lambda: group.try_scrape() is None, "their end")
    else:
        pytest.fail("five times two processes, and never in the same tick")
    assert len(scrape.by_worker("process_pid")) == 2
    assert group.lines() == []


def test_both_are_followed_when_the_leader_goes(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    first = group.start(SLEEPER, around=OWN_PIDS)
    group.wait_count(1)
    for _ in range(2):
        group.start(SLEEPER, around=OWN_PIDS)
    group.wait_count(3)
    first.kill()
    assert group.wait_count(2).pids() == [1, 1]


def test_own_network_is_an_endpoint_of_its_own(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    inside = group.start(SLEEPER, around=OWN_NETWORK)
    outside = group.start(SLEEPER)
    own = f"/proc/{inside.pid}/ns/net"
    wait_until(lambda: os.readlink(own) != os.readlink("/proc/self/ns/net"), "its namespace")
    enter = ("nsenter", f"--net={own}", "--")
    group.start(WATCH, group.address, exporter=False, around=enter)
    group.wait_for([outside.pid])
    wait_until(lambda: f"watched: {inside.pid}\n" in group.log(), "its own", explain=group.log)
    assert f"{outside.pid}" not in group.log()
    assert group.wait_for([outside.pid])
    assert group.lines() == []


def test_other_users_namespace_is_no_member_by_its_number(fleet: Callable[..., Fleet]) -> None:
    """root of a user namespace is somebody else outside; it stands alone, and says so."""
    group = fleet()
    mine = group.start(SLEEPER)
    group.wait_for([mine.pid])
    python, environment = interpreter_of(STRANGERS)
    others = ("setpriv", f"--reuid={STRANGERS}", "--clear-groups", "unshare", "--user")
    stranger = group.start(
        SLEEPER, around=(*others, "--map-root-user"), python=python, environment=environment
    )
    wait_until(group.lines, "a line of the stranger's", explain=group.log)
    assert stranger.poll() is None
    assert group.wait_for([mine.pid])
