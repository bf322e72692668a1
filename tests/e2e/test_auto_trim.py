"""With --auto-trim a worker gives back by itself what a burst left free, and not too often."""

from __future__ import annotations

from collections.abc import Callable

from gunicorn_service import Service
from processes import resident_bytes, wait_until

BURST_BYTES = 100_000_000
OFTEN = {"PYMALLOC_EXPORTER_SLOW_INTERVAL": "0.3", "PYMALLOC_EXPORTER_SLOW_CPU": "50"}


def of_worker(service: Service, pid: int, name: str, **labels: str) -> float:
    """A figure of one process; 0 where there is none yet."""
    scrape = service.scrape()
    slots = {one: slot for slot, one in scrape.by_worker("process_pid").items()}
    return scrape.by_worker(name, **labels).get(slots[pid], 0)


def reclaimable(service: Service, pid: int) -> float:
    return of_worker(service, pid, "python_memory_reclaimable_bytes", by="trim")


def last_walk(service: Service, pid: int) -> float:
    name = "pymalloc_exporter_collector_timestamp_seconds"
    return of_worker(service, pid, name, collector="malloc")


def test_gives_back_by_itself_but_not_again_at_once(start: Callable[..., Service]) -> None:
    environment = {**OFTEN, "PYMALLOC_EXPORTER_AUTO_TRIM": "64MiB"}
    service = start(application="bursts:application", workers=1, environment=environment)
    service.wait_complete()
    service.wait_serving()
    (pid,) = service.workers()
    begun = resident_bytes(pid)
    assert int(service.get("/burst")) == pid
    wait_until(lambda: service.log_lines("trimmed the C heap"), "a trim", explain=service.log)
    assert resident_bytes(pid) - begun < BURST_BYTES / 4
    (line,) = service.log_lines("trimmed the C heap")
    before, after = (float(part.split()[-1]) for part in line.split(" MiB")[:2])
    assert before - after > 0.7 * BURST_BYTES / (1 << 20)

    wait_until(lambda: reclaimable(service, pid) < BURST_BYTES / 4, "a look after the trim")
    service.get("/burst")
    wait_until(lambda: reclaimable(service, pid) > 0.7 * BURST_BYTES, "a look after the burst")
    # That look has let it be; so do those that follow.
    for _ in range(3):
        looked = last_walk(service, pid)
        service.get()
        wait_until(lambda looked=looked: last_walk(service, pid) > looked, "another look")
    assert len(service.log_lines("trimmed the C heap")) == 1
    assert resident_bytes(pid) - begun > 0.7 * BURST_BYTES


def test_trims_nothing_unless_asked(start: Callable[..., Service]) -> None:
    service = start(application="bursts:application", workers=1, environment=OFTEN)
    service.wait_complete()
    service.wait_serving()
    (pid,) = service.workers()
    service.get("/burst")
    wait_until(lambda: reclaimable(service, pid) > 0.7 * BURST_BYTES, "a look after the burst")
    assert not service.log_lines("trimmed the C heap")
