"""gunicorn's other kinds of workers, and a master that is replaced while it serves."""

from __future__ import annotations

import signal
from pathlib import Path

import processes
from process_model import APPS, Model, ProcessModel, Run, on
from processes import wait_until

SETTINGS = f"--config={Path(__file__).parent / 'gunicorn_settings.py'}"


def gunicorn(*options: str, application: str = "web:application", workers: int = 2) -> Model:
    def command(port: int) -> list[str]:
        bind = (f"--bind=127.0.0.1:{port}", f"--workers={workers}", f"--chdir={APPS}")
        return on("gunicorn", application, SETTINGS, *bind, *options)

    return Model(command, {"master": 1, "worker": workers})


MODELS = {
    "sync": gunicorn(),
    "gevent": gunicorn("--worker-class=gevent"),
    "gevent, preload": gunicorn("--worker-class=gevent", "--preload"),
    "uvicorn": gunicorn("--worker-class=uvicorn_worker.UvicornWorker", application="web:asgi"),
}


class TestGunicorn(ProcessModel):
    models = MODELS


def test_a_new_master_takes_over(tmp_path: Path) -> None:
    """SIGUSR2: old and new master share the endpoint until the old one is gone."""
    with Run(gunicorn(), tmp_path) as run:
        old = set(run.wait_complete().pids())
        run.server.signal(signal.SIGUSR2)
        wait_until(lambda: len(run.pids()) == 6, "both masters", explain=run.server.log)
        both = wait_until(lambda: shows_all(run), "all of both", explain=run.server.log)
        # The new one is a child that executes itself anew: no worker of the old one.
        assert len(run.pids_in_role(both, "master")) == 2
        assert len(run.pids_in_role(both, "worker")) == 4
        run.server.signal(signal.SIGTERM)
        assert run.server.server.wait(20) == 0
        after = run.wait_complete(other_than=old)
        (master,) = run.pids_in_role(after, "master")
        assert processes.children(master) == sorted(run.pids_in_role(after, "worker"))
        assert "pymalloc_exporter: " not in run.server.log()


def shows_all(run: Run) -> object:
    scrape = run.server.try_scrape()
    return scrape if scrape and scrape.pids() == run.pids() else None
