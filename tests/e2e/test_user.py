"""gunicorn that root started and that gives its workers to another user."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from gunicorn_service import Service
from interpreters import INTERPRETERS
from test_kills import seconds_until_answered, worker_serves

Start = Callable[..., Service]
USER = "www-data"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


def user_id() -> int:
    return pwd.getpwnam(USER).pw_uid


def runs_for_the_user(python: Path) -> bool:
    """Whether that user can reach the interpreter and what it imports."""
    asked = [python, "-c", "import gunicorn.app.wsgiapp, gunicorn.workers.sync"]
    try:
        return subprocess.run(asked, user=USER, capture_output=True, cwd="/").returncode == 0
    except PermissionError:
        return False


@pytest.fixture
def service(start: Start) -> Service:
    usable = [python for python in INTERPRETERS.values() if runs_for_the_user(python)]
    # Where the user cannot read the interpreter's files, what is needed is loaded before.
    python = usable[-1] if usable else list(INTERPRETERS.values())[-1]
    return start(f"--user={USER}", *([] if usable else ["--preload"]), python=python)


def test_shows_workers_of_another_user(service: Service) -> None:
    service.wait_complete()
    assert {processes.uid(pid) for pid in service.workers()} == {user_id()}
    assert service.log_lines() == []


def test_shows_them_after_the_leader_is_killed(service: Service) -> None:
    os.kill(worker_serves(service), signal.SIGKILL)
    assert seconds_until_answered(service) < 1
    service.wait_complete()
    assert {processes.uid(pid) for pid in service.workers()} == {user_id()}


def test_shows_them_after_a_reload(service: Service) -> None:
    before = set(service.wait_complete().pids())
    service.signal(signal.SIGHUP)
    processes.wait_until(lambda: not before & set(service.workers()), "new workers")
    service.wait_complete()
