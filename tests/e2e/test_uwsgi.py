"""Debian's uWSGI, which forks without Python's hooks."""

from __future__ import annotations

import signal
from pathlib import Path

from process_model import Model, ProcessModel, Run
from system_python import ENVIRONMENT, needs


def uwsgi(*options: str, roles: dict[str, int]) -> Model:
    def command(port: int) -> list[str]:
        socket = f"--http-socket=127.0.0.1:{port}"
        return ["uwsgi", "--plugin=python3", socket, "--need-app", "--module=web", *options]

    return Model(command, roles, stop=signal.SIGINT, python=ENVIRONMENT)


THREE = {"master": 1, "worker": 3}


MODELS = {
    "no threads": uwsgi("--master", "--processes=3", roles=THREE),
    "threads": uwsgi("--master", "--processes=3", "--enable-threads", "--threads=2", roles=THREE),
    "fork hooks": uwsgi(
        "--master",
        "--processes=3",
        "--enable-threads",
        "--py-call-uwsgi-fork-hooks",
        roles=THREE,
    ),
    "lazy apps": uwsgi("--master", "--processes=3", "--lazy-apps", roles=THREE),
    "cheaper": uwsgi(
        "--master",
        "--processes=4",
        "--cheaper=2",
        "--cheaper-initial=2",
        roles={"master": 1, "worker": 2},
    ),
    "alone": uwsgi(roles={"process": 1}),
}


@needs("uwsgi")
class TestUwsgi(ProcessModel):
    models = MODELS


@needs("uwsgi")
def test_reloads_its_master_in_place(tmp_path: Path) -> None:
    """SIGHUP: the master executes itself anew, with the pid and start time that it had."""
    with Run(uwsgi("--master", "--processes=3", roles=THREE), tmp_path) as run:
        workers = {*run.wait_complete().pids()} - {run.server.master}
        for _ in range(2):
            run.server.signal(signal.SIGHUP)
            scrape = run.wait_complete(other_than=workers)
            assert run.pids_in_role(scrape, "master") == [run.server.master]
            workers = {*scrape.pids()} - {run.server.master}
        assert max(int(worker) for worker in scrape.roles()) < 2 * 4
        run.stop()
        assert "pymalloc_exporter: " not in run.log
