"""Two versions of the exporter, with different layouts, side by side: a rolling upgrade."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from fleet import SLEEPER, Fleet
from interpreters import ROOT
from processes import wait_until

OTHER = ROOT / "build" / "cmake" / "tests" / "other_layout"


def apps(group: Fleet) -> set[str]:
    scrape = group.try_scrape()
    return {row.labels["app"] for row in scrape.select("process_pid")} if scrape else set()


def start_other(group: Fleet) -> subprocess.Popen[bytes]:
    # Its command takes the place of the program's, which it ignores.
    around = ("sh", "-c", f"exec {OTHER} {group.port}", "-")
    return group.start(SLEEPER, exporter=False, around=around)


def says_that_it_waits(group: Fleet) -> bool:
    return any("cannot serve" in line and "until it is free" in line for line in group.lines())


@pytest.mark.parametrize("first", ["this", "other"])
def test_the_one_waits_and_says_so(fleet: Callable[..., Fleet], first: str) -> None:
    group = fleet()
    starts = {"this": lambda: group.start(SLEEPER), "other": lambda: start_other(group)}
    names = {"this": "e2e", "other": "other"}
    second = "other" if first == "this" else "this"
    leader = starts[first]()
    wait_until(lambda: apps(group) == {names[first]}, "the first", explain=group.log)
    waiting = [starts[second](), starts[second]()]
    wait_until(lambda: says_that_it_waits(group), "a line", explain=group.log)
    assert apps(group) == {names[first]}
    assert len(group.lines()) == 1  # of the one that leads the others
    leader.kill()
    wait_until(lambda: apps(group) == {names[second]}, "the others' turn", explain=group.log)
    assert len(group.wait_count(2).pids()) == 2
    assert all(one.poll() is None for one in waiting)
