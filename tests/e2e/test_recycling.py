"""Workers that come and go: each is seen while it lives, and the series stay bounded."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable

from exposition import Scrape
from gunicorn_service import Service
from processes import wait_until

Start = Callable[..., Service]


def assert_no_duplicates(scrape: Scrape) -> None:
    names = Counter((one.name, *sorted(one.labels.items())) for one in scrape.series)
    assert max(names.values()) == 1
    assert max(Counter(scrape.pids()).values()) == 1


def slots(scrape: Scrape) -> set[int]:
    return {int(worker) for worker in scrape.by_worker("process_pid")}


def test_recycled_workers_reuse_slots(start: Start) -> None:
    service = start("--max-requests=5")
    service.wait_complete()
    seen: set[int] = set(service.workers())
    for _ in range(60):
        service.wait_serving()
        scrape = service.try_scrape()
        if scrape:
            assert_no_duplicates(scrape)
        seen.update(service.workers())
    scrape = service.wait_complete()
    assert len(seen) >= 10
    # Slots of the dead are kept for less than a second, so twice as many can be in use.
    assert max(slots(scrape)) < 2 * 5


def ended(scrape: Scrape | None) -> float:
    rows = scrape.select("pymalloc_exporter_processes_ended_total") if scrape else []
    return sum(one.value for one in rows)


def test_counts_ended_workers(start: Start) -> None:
    service = start()
    service.wait_complete()
    service.signal(signal.SIGHUP)
    wait_until(lambda: ended(service.try_scrape()) == 4, "four ended processes")


def test_hang_up_replaces_all_workers(start: Start) -> None:
    service = start()
    before = set(service.wait_complete().pids())
    service.signal(signal.SIGHUP)
    wait_until(lambda: not before & set(service.workers()), "new workers")
    after = set(service.wait_complete().pids())
    assert before & after == {service.master}


def test_more_and_fewer_workers(start: Start) -> None:
    service = start(workers=2)
    service.wait_complete()
    service.expected_workers = 3
    service.signal(signal.SIGTTIN)
    assert len(service.wait_complete().pids()) == 4
    service.expected_workers = 2
    service.signal(signal.SIGTTOU)
    assert len(service.wait_complete().pids()) == 3


def test_survivors_keep_their_slots_through_a_reload(start: Start) -> None:
    service = start()
    before = service.wait_complete().by_worker("process_pid")
    (master,) = (worker for worker, pid in before.items() if pid == service.master)
    service.signal(signal.SIGHUP)
    wait_until(lambda: not set(before.values()) & set(service.workers()), "new workers")
    after = service.wait_complete().by_worker("process_pid")
    assert after[master] == service.master


def test_samples_are_fresh(start: Start) -> None:
    service = start(interval=0.2)
    service.wait_complete()
    scrape = service.scrape()
    stamps = scrape.by_worker("pymalloc_exporter_sample_timestamp_seconds").values()
    assert time.time() - min(stamps) < 5
