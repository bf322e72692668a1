"""kill -9 of a random worker while all of them write as fast as they can."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet import Fleet
from processes import children, wait_until
from scale import count

KILLS = count(80, 10_000)
PROCESSES = 40
AT_ONCE = 8


def test_slots_of_the_others_stay_intact(fleet: Callable[..., Fleet]) -> None:
    """At any time: hardly ever amid a write, which takes a microsecond."""
    chance = random.Random(1)

    def kill(pid: int) -> bool:
        threading.Event().wait(chance.random() / 1000)
        os.kill(pid, signal.SIGKILL)
        return True

    kill_many(fleet(interval=0.01), kill, chance)


def test_slots_of_the_others_stay_intact_after_a_kill_amid_a_write(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path]
) -> None:
    """Between the two changes of the slot's sequence, after any word of the sample."""
    helper, chance = compiled("kill_amid_write"), random.Random(1)

    def kill(pid: int) -> bool:
        code = subprocess.run([helper, str(pid), str(chance.random())]).returncode
        if code == 3:
            pytest.skip("no leave to trace a process, or no debug registers")
        return code == 0

    missed = kill_many(fleet(interval=0.01), kill, chance)
    # One whose region is replaced at that moment writes elsewhere.
    assert missed <= KILLS // 10


def kill_many(group: Fleet, kill: Callable[[int], bool], chance: random.Random) -> int:
    """Until `kill` says of KILLS that it hit; how often it did not."""
    master = group.start("herd.py", str(PROCESSES))
    group.wait_count(PROCESSES + 1)
    wrong: list[str] = []
    hit = missed = scrapes = 0
    while hit < KILLS and missed < KILLS:
        # One that is no valid exposition raises.
        scrape = wait_until(group.try_scrape, "an answer", explain=group.log)
        scrapes += 1
        seen = scrape.by_worker("process_pid")
        for worker in seen:
            rows = [one for one in scrape.series if one.labels.get("worker") == worker]
            names = {one.name for one in rows}
            if "pymalloc_arenas" not in names or scrape.value("process_threads", worker=worker) < 1:
                wrong.append(f"an incomplete worker: {sorted(names)}")
        alive = set(children(master.pid))
        victims = [int(pid) for pid in seen.values() if pid in alive]
        survivors = {worker: pid for worker, pid in seen.items() if pid in alive}
        chosen = chance.sample(victims, min(AT_ONCE, len(victims)))
        for pid in chosen:
            if kill(pid):
                hit += 1
            else:
                missed += 1
        after = wait_until(group.try_scrape, "an answer", explain=group.log)
        moved = {
            worker: pid
            for worker, pid in survivors.items()
            if pid not in chosen and after.by_worker("process_pid").get(worker) != pid
        }
        if moved:
            wrong.append(f"lost or moved: {moved}")
    assert wrong == []
    group.wait_scrape(
        lambda scrape: scrape.pids() == sorted([master.pid, *children(master.pid)]),
        "everybody who lives",
    )
    print(f"{hit} workers killed as meant, {missed} not; {scrapes} scrapes, all valid and complete")
    return missed
