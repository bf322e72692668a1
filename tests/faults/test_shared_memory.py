"""Workers forked from a large master go on sharing its memory while every collector reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fleet import Fleet
from processes import children, wait_until
from scale import count

WORKERS = 8
MEGABYTES = count(150, 300)
RUN_SECONDS = count(4, 20)
MOST_ADDED_BYTES = 4_000_000


class Memory(NamedTuple):
    private: int
    pss: int


def memory(pid: int) -> Memory:
    rows = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    found = {row[0]: int(row[1]) * 1024 for row in rows[1:]}
    return Memory(found["Private_Clean:"] + found["Private_Dirty:"], found["Pss:"])


def most_of_workers(group: Fleet, exporter: bool) -> Memory:
    master = group.start("herd.py", str(WORKERS), str(MEGABYTES), exporter=exporter)
    if exporter:
        scrape = group.wait_count(WORKERS + 1, timeout=60)
        live = scrape.by_worker("pymalloc_bytes", state="live")
        assert min(live.values()) > 0.8e6 * MEGABYTES
    wait_until(lambda: len(children(master.pid)) == WORKERS, "all workers", timeout=60)
    time.sleep(RUN_SECONDS)
    if exporter:
        slow = group.scrape().select("pymalloc_exporter_collector_timestamp_seconds")
        assert slow and all(one.value > 0 for one in slow if one.labels["collector"] != "cgroup")
    found = [memory(pid) for pid in children(master.pid)]
    group.close()
    return Memory(max(one.private for one in found), max(one.pss for one in found))


def test_private_and_proportional_share_as_without_us(fleet: Callable[..., Fleet]) -> None:
    without = most_of_workers(fleet(), exporter=False)
    inside = most_of_workers(fleet(interval=0.05, slow_interval=0.2), exporter=True)
    print(f"{WORKERS} workers of {MEGABYTES} MB: {inside} with us, {without} without")
    assert inside.private - without.private < MOST_ADDED_BYTES
    assert inside.pss - without.pss < MOST_ADDED_BYTES
