"""A worker that writes noise into the region: nobody crashes, nobody hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from fleet import SLEEPER, Fleet
from processes import wait_until
from scale import count

SEEDS = count(2, 20)
SECONDS = count(4, 20)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_crashes_and_scrapes_stay_valid(fleet: Callable[..., Fleet], seed: int) -> None:
    group = fleet(interval=0.02)
    keepers = [group.start(SLEEPER) for _ in range(3)]
    group.wait_for([keeper.pid for keeper in keepers])
    wild = group.start("gone_wild.py", str(seed))
    answered, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        # One that cannot be parsed raises; one that hangs is an error after five seconds.
        answered += group.try_scrape() is not None
        assert all(keeper.poll() is None for keeper in keepers), group.log()
    assert answered > 0
    # It and its child are gone: a process that comes then has its place.
    group.kill(wild)
    for keeper in keepers:
        group.kill(keeper)
    newcomer = group.start(SLEEPER)
    wait_until(lambda: (s := group.try_scrape()) and newcomer.pid in s.pids(), "a newcomer")


def test_bad_slots_are_counted(fleet: Callable[..., Fleet]) -> None:
    group = fleet(interval=0.02)
    keeper = group.start(SLEEPER)
    group.wait_for([keeper.pid])
    group.start("gone_wild.py", "1")
    name = "pymalloc_exporter_slots_rejected_total"
    group.wait_scrape(lambda scrape: scrape.value(name) > 0, "a rejected slot")
