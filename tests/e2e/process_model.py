"""How a server makes its processes, looked at with the exporter inside and without it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import library
import oracle
import processes
from exposition import Scrape
from interpreters import HERE, SERVERS
from processes import wait_until
from running_server import Server, exporter_command

APPS = HERE / "apps"
FLAGS = ("--interval", "0.1", "--detail", "full")


@dataclass(frozen=True)
class Model:
    """A way to start a server, and the parts that its processes play then."""

    command: Callable[[int], list[str]]  # for a web port
    roles: Mapping[str, int]
    asked: tuple[str, ...] = ("/",)  # paths to get before a process tells of itself
    stop: signal.Signals = signal.SIGTERM
    python: Path = SERVERS  # what runs `pymalloc-exporter run`
    environment: Mapping[str, str] = field(default_factory=dict)
    passed_on: tuple[str, ...] = ()  # descriptors that one process has at a time


class Process(NamedTuple):
    """What is seen of one from the outside; threads without the exporter's."""

    descriptors: list[str]
    threads: int


# Figures by what they are of: as scraped, and as they truly are.
Look = dict[str, tuple[object, object]]

# More would be patience with figures that are wrong.
MOST_LOOKS = 20


class Run:
    """One life of the server; ends every process of it with the `with` block."""

    def __init__(self, model: Model, folder: Path, exporter: bool = True) -> None:
        self.model = model
        self.exporter = exporter
        # The server may run as another user.
        self.figures = Path(tempfile.mkdtemp(prefix="figures-"))
        self.figures.chmod(0o777)
        library.compile_helper(APPS, "oracle.so", self.figures)
        port, web_port = processes.free_port(), processes.free_port()
        before = exporter_command(model.python, port, *FLAGS) if exporter else []
        environment = {
            "FIGURES": str(self.figures),
            "PYTHONPATH": str(APPS),
            "PYTHONWARNINGS": "always",
            **model.environment,
        }
        command = [*before, *model.command(web_port)]
        self.server = Server(command, folder, port, web_port, environment)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        shutil.rmtree(self.figures)

    def observe(self) -> Run:
        """Lives to the end, and remembers what there was to be seen."""
        self.told = self._wait(self._hear, "a process that tells of itself")
        if self.exporter:
            self.scrape = self.wait_complete(self.told["at"] + 0.2)
        else:
            whole = sum(self.model.roles.values())
            self._wait(lambda: len(self.pids()) >= whole, f"{whole} processes")
        self.loaded = self._loaded()
        self.ours = [len(_threads_of_ours(pid)) for pid in self.loaded]
        self.processes = self._settled()
        if self.exporter:
            self.looks = self._looks_at_rest()
        self.stop()
        return self

    def stop(self) -> None:
        self.server.signal(self.model.stop)
        self.code = self.server.server.wait(20)
        self._wait(lambda: not self.pids(), "the end of every process")
        self.log = self.server.log()

    def wait_complete(self, since: float = 0, other_than: Collection[int] = ()) -> Scrape:
        """A scrape that shows every process in its role, with figures newer than `since`."""

        def look() -> Scrape | None:
            scrape = self._complete(since)
            return scrape if scrape and not set(other_than) & set(scrape.pids()) else None

        return self._wait(look, f"these roles: {dict(self.model.roles)}")

    def _wait(self, look: Callable, what: str) -> object:
        return wait_until(look, what, 120, explain=self._explain)

    def _explain(self) -> str:
        scrape = self.server.try_scrape() if self.exporter else None
        seen = scrape and {pid: self.role(scrape, pid) for pid in scrape.pids()}
        return f"{self.server.log()}\nprocesses: {self.pids()}, seen: {seen}"

    def pids(self) -> list[int]:
        return processes.of_session(self.server.master)

    def _loaded(self) -> list[int]:
        """Those that have the extension mapped."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if "pymalloc_exporter/_native" in Path(f"/proc/{pid}/maps").read_text():
                    found.append(pid)
        return found

    def _hear(self) -> dict | None:
        for path in self.model.asked:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.server.get(path)
        files = sorted(self.figures.glob("*.json"))
        for one in (json.loads(file.read_text()) for file in files):
            if processes.alive(one["pid"]) and one["exporter"] == self.exporter:
                return one
        return None

    def _complete(self, since: float) -> Scrape | None:
        scrape = self.server.try_scrape()
        if scrape is None or Counter(scrape.roles().values()) != Counter(self.model.roles):
            return None
        sampled = scrape.by_worker("pymalloc_exporter_sample_timestamp_seconds")
        told = self.worker(scrape) if since else ""
        walked = len(scrape.select("pymalloc_arenas")) == sum(self.model.roles.values())
        whole = walked and scrape.pids() == self._loaded()
        return scrape if whole and (not since or sampled.get(told, 0) > since) else None

    def worker(self, scrape: Scrape) -> str:
        """The label of the process that told of itself."""
        pids = scrape.by_worker("process_pid")
        return next((worker for worker, pid in pids.items() if pid == self.told["pid"]), "")

    def _looks_at_rest(self) -> list[Look]:
        looks: list[Look] = []
        while len(looks) < MOST_LOOKS and (not looks or unequal(looks)):
            looks.append(self._wait(self._look_at_rest, "a rest"))
        return looks

    def _look_at_rest(self) -> Look | None:
        """None where anything changed meanwhile."""
        before = self._at_rest()
        scrape = self.wait_complete(time.time() + 0.2)
        if self._at_rest() != before:
            return None
        resident, figures = before
        seen = oracle.scraped(scrape, self.worker(scrape))
        parts = [value for name, value in seen.items() if name.startswith("pymalloc_bytes ")]
        whole = seen["pymalloc_arenas"] * seen["pymalloc_arena_size_bytes"]
        look: Look = {
            "pymalloc": ({name: seen.get(name) for name in figures}, figures),
            "all of pymalloc's bytes": (sum(parts), whole),
        }
        rows = scrape.by_worker("process_resident_memory_bytes")
        for worker, pid in scrape.by_worker("process_pid").items():
            look[f"RSS of {pid:.0f}"] = (rows[worker], resident[int(pid)])
        return look

    def _at_rest(self) -> tuple[dict[int, int], oracle.Figures]:
        pid = self.told["pid"]
        answer = self.figures / f"{pid}.oracle"
        answer.unlink(missing_ok=True)
        os.kill(pid, signal.SIGRTMIN + 9)
        wait_until(answer.exists, "the interpreter's own figures", explain=self._explain)
        resident = {pid: processes.resident_bytes(pid) for pid in self._loaded()}
        return resident, oracle.parse(answer.read_text())

    @staticmethod
    def role(scrape: Scrape, pid: int) -> str:
        pids, roles = scrape.by_worker("process_pid"), scrape.roles()
        return next(roles[worker] for worker in pids if pids[worker] == pid)

    def pids_in_role(self, scrape: Scrape, role: str) -> list[int]:
        return [pid for pid in scrape.pids() if self.role(scrape, pid) == role]

    def warnings(self) -> set[str]:
        return {re.sub("[0-9]+", "N", line) for line in self.log.splitlines() if "Warning" in line}

    def _settled(self) -> list[Process]:
        """All of them, when they open and start no more."""
        looks: list[list[Process]] = []

        def same() -> list[Process] | None:
            looks.append(sorted(self._look(pid) for pid in self.pids()))
            return looks[-1] if looks[-5:] == looks[-1:] * 5 else None

        return wait_until(same, "a rest", pause=0.2)

    def _look(self, pid: int) -> Process:
        ours = len(_threads_of_ours(pid))
        threads = len(os.listdir(f"/proc/{pid}/task")) - ours
        descriptors = [one for one in _descriptors(pid) if one not in self.model.passed_on]
        return Process(descriptors, threads)


def unequal(looks: list[Look]) -> Look:
    """What was as it truly is in none of the looks, from the last one."""
    equal = {name for look in looks for name, (seen, true) in look.items() if seen == true}
    return {name: pair for name, pair in looks[-1].items() if name not in equal}


def _threads_of_ours(pid: int) -> list[str]:
    """Those with all signals blocked and a descriptor table without the application's log."""
    log = os.stat(f"/proc/{pid}/fd/2")
    ours = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            theirs = os.stat(f"/proc/{pid}/task/{thread}/fd/1")
            shared = (theirs.st_dev, theirs.st_ino) == (log.st_dev, log.st_ino)
        except OSError:
            shared = False
        if not shared:
            ours.append(thread)
    return ours


def _descriptors(pid: int) -> list[str]:
    """What the process has open, without what makes each one its own."""
    found = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            name = "unlinked" if "(deleted)" in target else target.rpartition("/")[2]
            found.append(re.sub("[0-9]+", "N", name))
    return sorted(found)


class ProcessModel:
    """The tests of one server: a class that inherits them gives its models, by name."""

    models: Mapping[str, Model] = MappingProxyType({})

    def test_sees_each_process_once(self, runs: Runs) -> None:
        assert Counter(runs.inside.scrape.pids()) == Counter(runs.inside.loaded)

    def test_has_one_sampler_in_each_and_one_server(self, runs: Runs) -> None:
        sampler, server = 1, 4
        others = len(runs.inside.loaded) - 1
        assert sorted(runs.inside.ours) == [sampler] * others + [sampler + server]

    def test_gives_each_its_role(self, runs: Runs) -> None:
        assert Counter(runs.inside.scrape.roles().values()) == Counter(runs.inside.model.roles)
        told = runs.inside.role(runs.inside.scrape, runs.inside.told["pid"])
        assert told == ("worker" if "worker" in runs.inside.model.roles else "process")

    def test_figures_are_exact_at_rest(self, runs: Runs) -> None:
        assert unequal(runs.inside.looks) == {}

    def test_its_collectors_are_up_in_every_process(self, runs: Runs) -> None:
        whole = len(runs.inside.scrape.pids())
        for collector in ("process", "pymalloc", "gc", "region"):
            rows = runs.inside.scrape.select("pymalloc_exporter_collector_up", collector=collector)
            assert [row.value for row in rows] == [1] * whole, collector

    def test_nothing_is_warned_of(self, runs: Runs) -> None:
        assert "pymalloc_exporter: " not in runs.inside.log
        assert runs.inside.warnings() <= runs.without.warnings()

    def test_ends_as_without(self, runs: Runs) -> None:
        assert runs.inside.code == runs.without.code

    def test_has_descriptors_and_threads_as_without(self, runs: Runs) -> None:
        assert runs.inside.processes == runs.without.processes
        assert runs.inside.told["threads"] == runs.without.told["threads"]


@dataclass
class Runs:
    inside: Run
    without: Run


def on(module: str, *arguments: str, python: Path = SERVERS) -> list[str]:
    return [str(python), "-m", module, *arguments]
