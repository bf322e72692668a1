"""More processes than there is room for, and lives too short for a look."""

from __future__ import annotations

import os
from collections.abc import Callable

import processes
from fleet import SLEEPER, Fleet
from processes import wait_until
from scale import count

SLOTS = 511
TOO_MANY = 30
SHORT_LIVES = count(400, 10_000)
LIFE_SECONDS = 0.05
MOST_SERIES = 300  # of a process, with the endpoint's own
MOST_ADDED_BYTES = 8_000_000


def test_processes_without_a_slot_are_counted(fleet: Callable[..., Fleet]) -> None:
    group = fleet(interval=1)
    # The master takes part as well.
    master = group.start("crowd.py", str(SLOTS + TOO_MANY - 1), "600")
    name = "pymalloc_exporter_processes_without_slot"
    scrape = group.wait_scrape(
        lambda scrape: scrape.value(name) == TOO_MANY, "those without a slot", timeout=60
    )
    assert len(scrape.pids()) == len(set(scrape.pids())) == SLOTS
    assert scrape.value("pymalloc_exporter_processes") == SLOTS + TOO_MANY
    # Room for one is taken by one that had none.
    victim = next(pid for pid in scrape.pids() if pid != master.pid)
    os.kill(victim, 9)
    after = group.wait_scrape(
        lambda scrape: scrape.value(name) == TOO_MANY - 1 and victim not in scrape.pids(),
        "one fewer without a slot",
    )
    assert len(after.pids()) == SLOTS


def test_short_lives_leave_nothing_behind(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    keeper = group.start(SLEEPER)
    group.wait_for([keeper.pid])
    master = group.start("crowd.py", "8", str(LIFE_SECONDS), str(SHORT_LIVES))
    before = processes.resident_bytes(keeper.pid)
    group.wait_scrape(lambda scrape: master.pid in scrape.pids(), "the master")

    def over() -> bool:
        scrape = group.scrape()
        assert set(scrape.pids()) <= {keeper.pid, master.pid}
        assert len(scrape.series) <= 2 * MOST_SERIES
        return "over" in group.log()

    wait_until(over, "the end of all of them", timeout=600, explain=group.log)
    assert group.wait_for([keeper.pid, master.pid]).by_worker("process_pid").keys() == {"0", "1"}
    assert processes.resident_bytes(keeper.pid) - before < MOST_ADDED_BYTES
    assert group.lines() == []
