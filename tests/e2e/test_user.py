"""gunicorn that root started and that gives its workers to another user."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Callable

import processes
import pytest
from gunicorn_service import Service
from test_kills import wait_answered, worker_serves
from users import interpreter_of

Start = Callable[..., Service]
USER = "www-data"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


def user_id() -> int:
    return pwd.getpwnam(USER).pw_uid


@pytest.fixture
def service(start: Start) -> Service:
    python, environment = interpreter_of(USER)
    return start(f"--user={USER}", python=python, environment=environment)


def test_shows_workers_of_another_user(service: Service) -> None:
    service.wait_complete()
    assert {processes.uid(pid) for pid in service.workers()} == {user_id()}
    assert service.log_lines() == []


def test_their_figures_are_true(service: Service) -> None:
    """A process that changed its user can no longer read all of its own /proc."""
    scrape = service.wait_complete()
    pids = scrape.by_worker("process_pid")
    for worker, ours in scrape.by_worker("process_resident_memory_bytes").items():
        theirs = processes.resident_bytes(int(pids[worker]))
        assert ours == pytest.approx(theirs, rel=0.1, abs=2 << 20)
    rows = scrape.select("pymalloc_exporter_collector_up", collector="pymalloc")
    assert [row.value for row in rows] == [1] * len(pids)


def test_shows_them_after_the_leader_is_killed(service: Service) -> None:
    os.kill(worker_serves(service), signal.SIGKILL)
    wait_answered(service)
    service.wait_complete()
    assert {processes.uid(pid) for pid in service.workers()} == {user_id()}


def test_shows_them_after_a_reload(service: Service) -> None:
    before = set(service.wait_complete().pids())
    service.signal(signal.SIGHUP)
    processes.wait_until(lambda: not before & set(service.workers()), "new workers")
    service.wait_complete()
