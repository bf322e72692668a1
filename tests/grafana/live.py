"""A running stack under load, and questions to its Prometheus as Grafana would put them."""

from __future__ import annotations

import math
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import control_group
import exposition
import monitoring
import server
import stack
import synthetic
from load import Load
from sources import RULES, Query

Found = TypeVar("Found")

WITHOUT_ARENAS = "noarenas"
LOAD_SECONDS = 12
LIVE_SPAN = 300
HISTORY_SPAN = synthetic.DAYS * 86_400


class Live(NamedTuple):
    stack: stack.Stack
    scrape: exposition.Scrape
    alerts: list[dict]
    end_without_arenas: Callable[[], None]


def wait_until(look: Callable[[], Found], what: str, timeout: float = 60.0) -> Found:
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.5)
    return found


def impatient_rules(folder: Path) -> Path:
    """The rules, with alerts that do not wait."""
    made = folder / "rules"
    made.mkdir()
    for path in RULES:
        text = re.sub(r"\bfor: \w+", "for: 0s", path.read_text())
        (made / path.name).write_text(text)
    return made


def without_arenas(group: Path | None, address: str, log: Path):
    """A process of the same endpoint that has no arenas: its pymalloc collector is down.

    It may be the one that serves, and so has to be in the same control group.
    """
    flags = ["run", "--listen", address, "--app", WITHOUT_ARENAS, "--interval", "0.5", "--"]
    idle = [sys.executable, "-c", "import time; time.sleep(600)"]
    command = [sys.executable, "-B", "-m", "pymalloc_exporter", *flags, *idle]
    command = control_group.within(group, command)
    return server.program(command, log, PYTHONMALLOC="malloc")


def complete(address: str) -> exposition.Scrape | None:
    """A scrape with all workers of the demo and the process without arenas."""
    try:
        scrape = exposition.fetch(address)
    except OSError:
        return None
    apps = [row.labels["app"] for row in scrape.select("process_role")]
    return scrape if apps.count("demo") > server.WORKERS and WITHOUT_ARENAS in apps else None


def settled(up: stack.Stack) -> exposition.Scrape | None:
    """The same, with the control group's rows: whoever serves anew reads them at its next beat."""
    scrape = complete(up.exporter)
    limited = scrape is not None and "cgroup_memory_limit_bytes" in scrape.types
    return scrape if limited or up.group is None else None


@contextmanager
def running() -> Iterator[Live]:
    folder = Path(tempfile.mkdtemp(prefix="pymalloc-exporter-boards-"))
    alerts: list[dict] = []
    try:
        with (
            stack.running(folder, alerts.append, impatient_rules(folder)) as up,
            without_arenas(up.group, up.exporter, folder / "idle.log") as idle,
            Load(up.web_port),
        ):
            wait_until(lambda: complete(up.exporter), "all processes in a scrape")
            time.sleep(LOAD_SECONDS)
            stack.lose_a_worker(up.exporter)
            scrape = wait_until(lambda: settled(up), "the worker's successor")
            yield Live(up, scrape, alerts, lambda: server.stop(idle))
    finally:
        shutil.rmtree(folder)


def filled(live: Live, expression: str, instance: str) -> str:
    """The expression with Grafana's variables replaced, all apps and workers chosen."""
    values = {"job": "pymalloc", "instance": instance, "app": ".+", "worker": ".+"}
    values |= {"__rate_interval": f"{4 * monitoring.SCRAPE_SECONDS}s", "__range": "5m"}
    return re.sub(r"\$(\w+)", lambda variable: values[variable[1]], expression)


def answer(live: Live, query: Query, history: bool = False) -> list[dict]:
    """Series with at least one finite value; as a panel asks, or of the made-up history."""
    instance = synthetic.INSTANCE if history else live.stack.exporter
    expression = filled(live, query.expression, instance)
    end = live.stack.history_end if history else time.time()
    span = HISTORY_SPAN if history else LIVE_SPAN
    address = live.stack.prometheus
    if query.instant:
        rows = monitoring.ask(address, "query", query=expression, time=f"{end}")
        return [row for row in rows if math.isfinite(float(row["value"][1]))]
    asked = {"start": f"{end - span}", "end": f"{end}", "step": f"{span / 300}"}
    rows = monitoring.ask(address, "query_range", query=expression, **asked)
    return [row for row in rows if any(math.isfinite(float(value)) for _, value in row["values"])]
