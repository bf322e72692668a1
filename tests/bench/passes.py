"""A program whose slow collectors run all the time, and when each of them ran.

The program does not lead: another process serves its figures.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.common import exporter_environment, free_port, held_port
from tests.demo.exposition import Scrape, fetch

SLOW = ("malloc", "census", "residency", "ledger")
LOOKS_PER_SECOND = 20
TRACES_PER_LOOK = 25

# Fills memory with what a service has: half of it in small objects of all kinds, half in large
# ones. To be followed by what the program does then, as all that says that it is ready.
FILL = """
import sys
def fill(megabytes):
    kept = []
    for i in range(megabytes * 570):
        text = b"x" * (i % 400)
        kept.append([float(i), str(i), (i, text), text, b"y" * (520 + i % 1500)])
    return kept
kept = fill(int(sys.argv[1]))
print("READY", flush=True)
"""

# What a call took between two moments, less what it waited for a core meanwhile.
NET = """
import os
LONG = 100_000  # nanoseconds; what takes less did not wait
schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
def waits():
    return int(os.pread(schedstat, 100, 0).split()[1])
def net(start, end, waited):
    took = end - start
    return took if took < LONG else max(took - (waits() - waited), 0)
"""


class Pass(NamedTuple):
    """When each slow collector ran, in Unix seconds."""

    runs: dict[str, tuple[float, float]]

    @property
    def start(self) -> float:
        return self.runs[SLOW[0]][0]

    @property
    def end(self) -> float:
        return self.runs[SLOW[-1]][1]


class Trace(NamedTuple):
    """CPU seconds that a thread had used by these times."""

    times: list[float]
    used: list[float]

    def between(self, start: float, end: float) -> float:
        return self._at(end) - self._at(start)

    def _at(self, time: float) -> float:
        after = min(max(bisect_left(self.times, time), 1), len(self.times) - 1)
        (t0, t1), (u0, u1) = self.times[after - 1 : after + 1], self.used[after - 1 : after + 1]
        return u0 + (u1 - u0) * (time - t0) / (t1 - t0)


class Program:
    """A program that says when it is ready, and is spoken to line by line."""

    def __init__(self, program: str, environment: dict[str, str], *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.hear()

    def hear(self) -> str:
        """The next line that the program prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the program ended")
        return line

    def ask(self, line: str) -> str:
        """Sends a line and hears the next one."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.hear()

    def stop(self) -> None:
        """The program and its collectors stand still from now on."""
        self._process.send_signal(signal.SIGSTOP)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Until the end of the block a stopped program goes on."""
        self._process.send_signal(signal.SIGCONT)
        yield
        self.stop()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def slow_environment(port: int, interval: float, slow_interval: float = 0.001) -> dict[str, str]:
    """With slow collectors that may use all the time they want."""
    return {
        **exporter_environment(port, interval),
        "PYMALLOC_EXPORTER_SLOW_INTERVAL": str(slow_interval),
        "PYMALLOC_EXPORTER_SLOW_CPU": "100",
    }


class Watched:
    """A program, the slow collectors at work in it."""

    def __init__(
        self, program: str, *arguments: str, interval: float = 5, slow_interval: float = 0.001
    ) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        environment = slow_environment(port, interval, slow_interval)
        with contextlib.ExitStack() as stack:
            stack.enter_context(held_port(environment))
            self.program = Program(program, environment, *arguments)
            stack.callback(self.program.close)
            self._held = stack.pop_all()

    def close(self) -> None:
        self._held.close()

    def _scrape(self) -> Scrape | None:
        with contextlib.suppress(OSError):
            return fetch(self.address, only=("pymalloc_exporter_collector_", "process_pid"))
        return None

    def look(self) -> dict[str, tuple[float, float]]:
        """When each collector of the program ran last; nothing as long as it is not shown."""
        scrape = self._scrape()
        found = scrape.select("process_pid") if scrape is not None else []
        mine = [one.labels["worker"] for one in found if one.value == self.program.pid]
        if scrape is None or not mine:
            return {}
        runs = {}
        name = "pymalloc_exporter_collector_"
        for one in scrape.select(name + "timestamp_seconds", worker=mine[0]):
            collector = one.labels["collector"]
            took = scrape.select(name + "duration_seconds", worker=mine[0], collector=collector)
            runs[collector] = (one.value - sum(row.value for row in took), one.value)
        return runs

    def watch(self, seconds: float, passes: int = 0) -> tuple[list[Pass], Trace, dict[str, float]]:
        """For so long, and until there were so many passes.

        Those that were seen from their start on, the CPU time of the sampler's thread, and the
        least seconds that each fast collector took.
        """
        found: list[Pass] = []
        fast: dict[str, float] = {}
        trace = Trace([], [])
        begun = time.time()
        while time.time() < begun + seconds or len(found) < passes:
            if time.time() > begun + seconds + 120:
                raise TimeoutError(f"only {len(found)} passes were seen")
            runs = self.look()
            slow = {name: runs[name] for name in SLOW if name in runs}
            ends = [end for _, end in slow.values()]
            # One that is only begun is shown, too, with the rest of the one before.
            whole = len(ends) == len(SLOW) and ends == sorted(ends)
            # The times of one that was seen are corrected now and then, with the clock.
            if whole and slow[SLOW[0]][0] > (found[-1].end if found else begun):
                found.append(Pass(slow))
            for name in runs.keys() - SLOW:
                took = runs[name][1] - runs[name][0]
                fast[name] = min(fast.get(name, took), took)
            for _ in range(TRACES_PER_LOOK):
                self._trace(trace)
                time.sleep(1 / LOOKS_PER_SECOND / TRACES_PER_LOOK)
        return found, trace, fast

    def _trace(self, trace: Trace) -> None:
        tasks = Path(f"/proc/{self.program.pid}/task")
        (sampler,) = {int(name) for name in os.listdir(tasks)} - {self.program.pid}
        used = int((tasks / str(sampler) / "schedstat").read_text().split()[0]) / 1e9
        trace.times.append(time.time())
        trace.used.append(used)
