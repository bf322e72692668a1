"""The whole stack: gunicorn with the exporter, Prometheus, Alertmanager and a webhook."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import control_group
import exposition
import monitoring
import server
from webhook import Alert, receiver

LIMIT_BYTES = 768 << 20
FLAGS = ("--detail", "full", "--slow-interval", "2")


class Stack(NamedTuple):
    """Where everything is (HOST:PORT), and what is known of it."""

    web_port: int
    exporter: str
    prometheus: str
    alertmanager: str
    history_end: float
    group: Path | None


def lose_a_worker(address: str) -> None:
    """Kills one as the kernel would; gunicorn starts another."""
    scrape = exposition.fetch(address)
    worker = next(one for one, role in scrape.roles().items() if role == "worker")
    os.kill(int(scrape.by_worker("process_pid")[worker]), signal.SIGKILL)


def _ports(wanted: tuple[int, ...]) -> list[int]:
    found: list[int] = []
    for one in wanted:
        port = server.free_port(one)
        while port in found:
            port = server.free_port(0)
        found.append(port)
    return found


@contextlib.contextmanager
def running(
    folder: Path, take: Callable[[Alert], None], rules: Path = monitoring.GRAFANA / "rules"
) -> Iterator[Stack]:
    """Everything is up in here; afterwards no process and no control group is left."""
    web, metrics, prometheus, alerts, hook = _ports((8000, 9512, 9090, 9093, 9094))
    address = "127.0.0.1:{}".format
    with contextlib.ExitStack() as open_now:
        history_end = monitoring.make_history(folder)
        group = open_now.enter_context(control_group.limited(LIMIT_BYTES))
        command = control_group.within(group, server.command(metrics, web, FLAGS))
        open_now.enter_context(server.program(command, folder / "gunicorn.log"))
        open_now.enter_context(receiver(hook, take))
        open_now.enter_context(monitoring.alertmanager(address(alerts), address(hook), folder))
        configuration = monitoring.write_configuration(
            folder, address(metrics), address(alerts), rules
        )
        open_now.enter_context(monitoring.prometheus(configuration, address(prometheus), folder))
        yield Stack(
            web,
            address(metrics),
            address(prometheus),
            address(alerts),
            history_end,
            group,
        )
