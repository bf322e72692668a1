"""kill -9 of a worker, of whoever serves, of the master."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import processes
from exposition import Scrape
from gunicorn_service import Service
from processes import wait_until

Start = Callable[..., Service]


def serving_pid(scrape: Scrape) -> int:
    serving = scrape.by_worker("pymalloc_exporter_serving")
    pids = scrape.by_worker("process_pid")
    (worker,) = (worker for worker, value in serving.items() if value == 1)
    return int(pids[worker])


def worker_serves(service: Service) -> int:
    """Sees to it that a worker serves, not the master; its pid."""

    def look() -> int:
        scrape = service.complete_scrape()
        pid = serving_pid(scrape) if scrape else service.master
        return pid if pid != service.master else 0

    service.wait_complete()
    if serving_pid(service.scrape()) == service.master:
        # A fork ends the server of the process that forks, and another one takes over.
        os.kill(service.workers()[0], signal.SIGKILL)
    return wait_until(look, "a worker that serves")


def wait_answered(service: Service) -> None:
    def connects() -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", service.port)) == 0

    wait_until(connects, "an answer of the port")


def test_killed_worker_leaves_the_scrape(start: Start) -> None:
    service = start()
    server = worker_serves(service)
    victim = next(pid for pid in service.workers() if pid != server)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: (s := service.try_scrape()) and victim not in s.pids(), "its absence")
    assert victim not in service.wait_complete().pids()


def test_killed_leader_is_followed(start: Start) -> None:
    service = start()
    leader = worker_serves(service)
    before = service.scrape().by_worker("process_pid")
    changes = service.scrape().value("pymalloc_exporter_leader_changes_total")
    os.kill(leader, signal.SIGKILL)
    wait_answered(service)
    scrape = service.wait_complete()
    assert scrape.value("pymalloc_exporter_leader_changes_total") > changes
    survivors = {slot: pid for slot, pid in before.items() if pid != leader}
    assert survivors.items() <= scrape.by_worker("process_pid").items()


def test_leaders_that_die_in_turn_are_each_followed(start: Start) -> None:
    """How long the port is gone is measured in bench/takeover.py."""
    service = start()
    leaders = []
    for _ in range(5):
        leaders.append(worker_serves(service))
        os.kill(leaders[-1], signal.SIGKILL)
        wait_answered(service)
    assert len(set(leaders)) == 5
    scrape = service.wait_complete()
    assert not set(leaders) & set(scrape.pids())


def test_killed_master_takes_the_endpoint_along(start: Start) -> None:
    # The time-out is how often a worker looks whether its master lives.
    service = start("--timeout=2")
    service.wait_complete()
    os.kill(service.master, signal.SIGKILL)
    wait_until(lambda: not processes.of_session(service.master), "the end of all processes")
    # The first thread of a process may be gone before another that holds the port.
    for port in (service.port, service.web_port):
        wait_until(lambda port=port: processes.port_is_free(port), f"the end of port {port}")


def test_orphans_are_served_until_they_end(start: Start) -> None:
    service = start("--timeout=10")
    service.wait_complete()
    orphans = service.workers()
    os.kill(service.master, signal.SIGKILL)
    wait_answered(service)
    scrape = wait_until(
        lambda: (s := service.try_scrape()) and service.master not in s.pids() and s,
        "a scrape without the master",
    )
    assert scrape.pids() == orphans
