"""A clock that is set by an hour, and a process that stands still for a while."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from exposition import Scrape
from fleet import SLEEPER, Fleet
from scale import count

STAMPS = ("pymalloc_exporter_sample_timestamp_seconds",)
STAMPS += ("pymalloc_exporter_collector_timestamp_seconds",)
INTERVAL = 3.0
SECONDS = count(3, 30)


def ages(scrape: Scrape, now: float) -> list[float]:
    rows = [row for name in STAMPS for row in scrape.select(name)]
    return [now - row.value for row in rows if row.value > 0]


@pytest.mark.parametrize("step", [3600, -3600])
def test_ages_stand_when_the_clock_is_set(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path], tmp_path: Path, step: int
) -> None:
    group = fleet(interval=INTERVAL, slow_interval=INTERVAL)
    clock = tmp_path / "step"
    clock.write_text("0")
    environment = {"LD_PRELOAD": str(compiled("clock.so")), "CLOCK_STEP": str(clock)}
    process = group.start(SLEEPER, environment=environment)
    group.wait_for([process.pid])
    clock.write_text(str(step))
    # At once, and when it has looked again.
    for _ in range(2):
        found = ages(group.wait_for([process.pid]), time.time() + step)
        assert found and min(found) > -0.1 and max(found) < 3 * INTERVAL, found
        time.sleep(1.5 * INTERVAL)


def counters(scrape: Scrape, worker: str) -> dict[tuple[str, ...], float]:
    return {
        (one.name, *sorted(one.labels.values())): one.value
        for one in scrape.series
        if scrape.types.get(one.name) == "counter" and one.labels.get("worker") == worker
    }


def test_nothing_goes_back_when_a_process_goes_on(fleet: Callable[..., Fleet]) -> None:
    group = fleet()
    leader = group.start(SLEEPER)
    group.wait_for([leader.pid])
    member = group.start(SLEEPER)
    before = group.wait_for([leader.pid, member.pid])
    os.kill(member.pid, signal.SIGSTOP)
    time.sleep(SECONDS)
    pids = before.by_worker("process_pid")
    (worker,) = (worker for worker, pid in pids.items() if pid == member.pid)
    still = group.wait_for([leader.pid, member.pid])
    stamps = still.by_worker(STAMPS[0])
    assert time.time() - stamps[worker] > SECONDS * 0.8
    os.kill(member.pid, signal.SIGCONT)
    fresh = group.wait_scrape(
        lambda scrape: time.time() - scrape.by_worker(STAMPS[0])[worker] < 1, "a fresh sample"
    )
    first, last = counters(before, worker), counters(fresh, worker)
    assert first.keys() <= last.keys()
    assert all(last[name] >= value for name, value in first.items())
    assert fresh.by_worker("process_pid") == pids
