"""gunicorn that root started and that gives its workers to another user."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Iterator
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


def library_folders(python: Path) -> str:
    """Where that interpreter's environment has gunicorn and the exporter."""
    code = "import os, gunicorn, pymalloc_exporter as p; print(gunicorn.__file__, p.__file__)"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return ":".join(str(Path(file).parents[1]) for file in answer.stdout.split())


def candidates() -> Iterator[tuple[Path, dict[str, str]]]:
    """Interpreters with the environment variables that they need."""
    for version, python in INTERPRETERS.items():
        yield python, {}
        # Ours may lie in a folder of root's; the system's own never does.
        yield Path(f"/usr/bin/python{version}"), {"PYTHONPATH": library_folders(python)}


def usable_by_the_user(python: Path, environment: dict[str, str]) -> bool:
    """Whether that user can read the interpreter's files and what a server imports."""
    code = "import random, gunicorn.workers.sync, pymalloc_exporter._native"
    try:
        asked = [str(python), "-B", "-c", code]
        done = subprocess.run(asked, user=USER, env=environment, cwd="/", capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture
def service(start: Start) -> Service:
    for python, environment in candidates():
        if usable_by_the_user(python, environment):
            return start(f"--user={USER}", python=python, environment=environment)
    pytest.skip(f"no interpreter here is readable for {USER}")


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
