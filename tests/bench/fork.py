"""What a fork takes longer for us: the sampler's thread, our pages, the server of who leads."""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

from tests.bench.common import (
    UNTIL_IT_TAKES_PART,
    Figure,
    Row,
    bare_environment,
    exporter_environment,
    free_port,
    held_port,
    median,
    percentile,
)
from tests.bench.passes import Program, slow_environment

MEMBER = Row("a fork of a process that does not hold the port", "µs more", most=300)
BUSY = Row(
    "a fork amid the slow collectors, its heap of 2 GB kept from the child", "µs more", most=300
)
LEADER = Row("the first fork of the process that holds the port, worst", "ms more", most=250)
ROWS = [MEMBER, BUSY, LEADER]

# Processes without us and with us take turns. From one process to the next the same fork differs
# by more than we add.
PROCESSES = 10
BUSY_PROCESSES = 4
TURNS = 6
FORKS = 10
FIRST_FORKS = 12
MEGABYTES = "2000"

# Seconds between forks, from and to: one after the other, as servers start workers; so that the
# thread takes part again before each; and so that it is anywhere, mostly in the middle of a walk.
BURST, SELDOM, ANY = ("0.002", "0.002"), ("0.1", "0.1"), ("0.03", "0.2")

# Prints how many microseconds each fork took the parent, for each line as many as that asks for.
FORKER = """
import os, random, sys, time
shortest, longest = float(sys.argv[2]), float(sys.argv[3])
print("READY", flush=True)
for count in sys.stdin:
    times = []
    for _ in range(int(count)):
        time.sleep(random.uniform(shortest, longest))
        start = time.perf_counter_ns()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        for _ in range(3):
            pass
        times.append((time.perf_counter_ns() - start) / 1000)
        if os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            raise SystemExit("a child crashed")
    print(*times, flush=True)
"""

# Half of it in small objects, half in blocks that malloc maps, and all of it kept from children:
# to copy the page tables of 2 GB takes 80 ms, and varies by more than all that we add. A child ends
# in the C library, before it could miss anything, with whatever status.
HEAP = """
import ctypes, sys
def mappings():
    with open("/proc/self/maps") as maps:
        anonymous = [words for words in map(str.split, maps) if len(words) == 5]
    return [[int(word, 16) for word in words[0].split("-")] for words in anonymous]
before = mappings()
kept = []
for i in range(int(sys.argv[1])):
    kept.extend([float(j), str(j), (j, i), b"x" * (j % 400)] for j in range(1100))
    kept.extend((bytes(250_000), bytes(250_000)))
libc = ctypes.CDLL(None, use_errno=True)
libc.madvise.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
MADV_DONTFORK = 10
for start, end in mappings():
    # The kernel joins what is new to what it is next to.
    olds = [edge for old in before if start < old[1] and old[0] < end for edge in old]
    edges = [start, *olds, end]
    for low, high in zip(edges[::2], edges[1::2]):
        if high > low and libc.madvise(low, high - low, MADV_DONTFORK) != 0:
            raise OSError(ctypes.get_errno(), "madvise")
libc.__register_atfork(None, None, ctypes.cast(libc._exit, ctypes.c_void_p), None)
"""


def _fork_in_turns(
    program: str, loaded: dict[str, str], processes: int, *arguments: str, busy: bool = False
) -> tuple[list[list[float]], list[list[float]]]:
    """Microseconds of the forks of each process without us, and of each with us.

    Busy ones stand still when it is not their turn.
    """
    times: dict[Program, list[float]] = {}
    with ExitStack() as stack:
        for environment in (bare_environment(), loaded):
            for _ in range(processes):
                one = stack.enter_context(closing(Program(program, environment, *arguments)))
                times[one] = []
        time.sleep(UNTIL_IT_TAKES_PART)
        if busy:
            for one in times:
                one.stop()
        for _ in range(TURNS):
            for one in random.sample(list(times), len(times)):
                with one.running() if busy else nullcontext():
                    times[one] += [float(word) for word in one.ask(str(FORKS)).split()]
    each = list(times.values())
    return each[:processes], each[processes:]


def _added(alone: list[list[float]], beside: list[list[float]]) -> tuple[float, str]:
    """What a fork takes longer beside us, by the medians of the processes, and of what."""
    means, errors = [], []
    for kind in (alone, beside):
        medians = [median(times) for times in kind]
        means.append(statistics.mean(medians))
        errors.append(statistics.stdev(medians) / len(medians) ** 0.5)
    p99 = [percentile([time for times in kind for time in times], 0.99) for kind in (alone, beside)]
    detail = f"{means[0]:.0f} ±{errors[0]:.0f} without, {means[1]:.0f} ±{errors[1]:.0f} with; "
    return means[1] - means[0], detail + f"p99 {p99[0]:.0f} and {p99[1]:.0f}"


def _member() -> Figure:
    loaded = exporter_environment(free_port())
    with held_port(loaded):
        added, detail = _added(*_fork_in_turns(FORKER, loaded, PROCESSES, "0", *BURST))
        seldom, _ = _added(*_fork_in_turns(FORKER, loaded, PROCESSES, "0", *SELDOM))
    return MEMBER.at(added, f"{detail}; every 100 ms {seldom:.0f} more", digits=0)


def _busy() -> Figure:
    loaded = slow_environment(free_port(), interval=0.01)
    with held_port(loaded):
        forks = _fork_in_turns(HEAP + FORKER, loaded, BUSY_PROCESSES, MEGABYTES, *ANY, busy=True)
    return BUSY.at(*_added(*forks), digits=0)


def _first_fork(environment: dict[str, str]) -> float:
    pause = str(UNTIL_IT_TAKES_PART)
    with closing(Program(FORKER, environment, "0", pause, pause)) as program:
        return float(program.ask("1")) / 1000


def _leader() -> Figure:
    alone = median([_first_fork(bare_environment()) for _ in range(FIRST_FORKS)])
    times = [_first_fork(exporter_environment(free_port())) for _ in range(FIRST_FORKS)]
    detail = f"p50 {median(times) - alone:.1f}; {FIRST_FORKS} processes"
    return LEADER.at(max(times) - alone, detail)


def measure(_: Path) -> list[Figure]:
    return [_member(), _busy(), _leader()]
