"""A process with the pid of one that is no more is another process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest
from process_model import APPS
from processes import wait_until
from running_server import Server, clean_environment, exporter_command

INTERVAL = 0.1
LIVES = 3


class Reborn(Server):
    """reborn.py beside a process that leads, which stays what it is."""

    def __init__(self, python: Path, folder: Path, how: str, before: tuple[str, ...] = ()) -> None:
        self.port = processes.free_port()
        ours = exporter_command(python, self.port, "--interval", str(INTERVAL))
        self.leader = subprocess.Popen(
            [*ours, str(python), "-c", "import time; time.sleep(600)"],
            env=clean_environment(folder),
        )
        self.address = f"127.0.0.1:{self.port}"
        wait_until(lambda: self.row("process_pid", self.leader.pid), "the leader")
        command = [*ours, *before, str(python), str(APPS / "reborn.py"), how]
        super().__init__(command, folder, self.port, 0, {"LIFE": "0"})

    def row(self, name: str, pid: int) -> float | None:
        """Of the one process with that pid; None where it is not seen with figures."""
        scrape = self.try_scrape()
        if scrape is None:
            return None
        assert max(Counter(scrape.pids()).values(), default=1) == 1, "two with the same pid"
        pids = scrape.by_worker("process_pid")
        labels = [worker for worker, value in pids.items() if value == pid]
        found = scrape.select(name, worker=labels[0]) if labels else []
        return found[0].value if found else None

    def close(self) -> None:
        super().close()
        self.leader.kill()
        self.leader.wait()


def watch_lives(reborn: Reborn, told: int, pid: int) -> None:
    """`told` gets the signal; the process that is reborn is seen with `pid`."""

    def lives() -> list[str]:
        return reborn.log().split()

    def arenas_ever() -> float | None:
        return reborn.row("pymalloc_arenas_allocated_total", pid)

    first = wait_until(arenas_ever, "the first life", explain=reborn.log)
    for life in range(1, LIVES):
        os.kill(told, signal.SIGUSR1)
        wait_until(lambda life=life: str(life) in lives(), "the next life", explain=reborn.log)
        # Its own counter, which began anew, and not a moment the sum or the older one again.
        wait_until(lambda: (arenas_ever() or first) < first / 2, "its figures")
        assert all((arenas_ever() or 0) < first / 2 for _ in range(10))
    assert "pymalloc_exporter: " not in reborn.log()


@pytest.fixture
def reborn(tmp_path: Path, python: Path) -> Iterator[Callable[..., Reborn]]:
    with contextlib.ExitStack() as stack:

        def start(how: str, *before: str) -> Reborn:
            started = Reborn(python, tmp_path, how, before)
            stack.callback(started.close)
            return started

        yield start


def test_a_process_that_executes_itself_anew(reborn: Callable[..., Reborn]) -> None:
    """Pid and start time stay."""
    it = reborn("exec")
    watch_lives(it, it.master, it.master)
    wait_until(lambda: it.row("process_start_time_seconds", it.master), "its start")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can say which pid comes next")
def test_a_pid_that_is_used_again(reborn: Callable[..., Reborn]) -> None:
    it = reborn("reuse", "unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    (init,) = wait_until(lambda: processes.children(it.master), "the first of the namespace")
    watch_lives(it, init, 500)
