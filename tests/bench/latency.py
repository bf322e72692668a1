"""What the application waits for beside the slow collectors: mmap, munmap, malloc, fork.

What a call waits for a core is taken off: that says who else is at work on the machine. A fork
waits for another thread, too: the CPU time of all of them has neither in it.
"""

from __future__ import annotations

import tempfile
import time
from array import array
from bisect import bisect_right
from pathlib import Path

from tests.bench.common import UNTIL_IT_TAKES_PART, Figure, Row, percentile
from tests.bench.hooks import FORKER, HAS_HOOKS, Waits, fork
from tests.bench.passes import FILL, NET, SLOW, Pass, Watched

CALLS = ("mmap", "munmap", "malloc")
MOST = 200
ROWS = [
    *(
        Row(
            f"an application's {call} beside each slow collector, waits for a core apart, p99.9",
            "µs more",
            most=MOST,
        )
        for call in CALLS
    ),
    Row("what a fork waits for us beside all of them, p99", "µs more", most=MOST),
    Row("CPU time that is used while it waits, p99.9", "µs more", most=MOST),
]

MEGABYTES = "300"
SECONDS = 20.0
SLOW_INTERVAL = 1.0

# Writes what each call took, and when it began, in nanoseconds: a file for each call.
CALLER = f"""{NET}
import ctypes, time
from array import array
libc = ctypes.PyDLL(None)
libc.mmap.restype = libc.malloc.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
now = time.time_ns
took = dict(mmap=array("q"), munmap=array("q"), malloc=array("q"))
held = [None] * 1000
end = now() + int(float(sys.argv[2]) * 1e9)
turn = 0
while now() < end:
    turn += 1
    waited = waits()
    t0 = now()
    memory = libc.mmap(None, 1 << 18, 3, 0x22, -1, 0)
    t1 = now()
    libc.memset(memory, 1, 1)
    t2 = now()
    libc.munmap(memory, 1 << 18)
    t3 = now()
    libc.free(held[turn % 1000])
    t4 = now()
    held[turn % 1000] = libc.malloc(1100 + turn * 37 % 2000)
    t5 = now()
    took["mmap"].extend((t0, net(t0, t1, waited)))
    took["munmap"].extend((t2, net(t2, t3, waited)))
    took["malloc"].extend((t4, net(t4, t5, waited)))
    sum(range(1000))
for name, rows in took.items():
    with open(sys.argv[3] + "/" + name, "wb") as file:
        rows.tofile(file)
print("DONE", flush=True)
"""

# Beside the same with slow collectors that never run: what the thread's own stop and start
# costs is another figure. In turns, so that both meet the same machine; the other one is stopped.
TURNS = 20
FORKS = 200
# Small, so that the pause between two forks lets a pass begin, and often come to its end.
FORKER_MEGABYTES = "30"
PAUSES = ("0.022", "0.045")
NEVER = 3600


def _beside(passes: list[Pass], rows: array[int]) -> dict[str, list[float]]:
    """Microseconds of the calls that began while each collector ran, and while none did."""
    found: dict[str, list[float]] = {name: [] for name in (*SLOW, "none")}
    starts = [one.start for one in passes]
    for began, took in zip(rows[::2], rows[1::2]):
        seconds = began / 1e9
        index = bisect_right(starts, seconds) - 1
        if index < 0:
            continue
        one = passes[index]
        for name, (start, end) in one.runs.items():
            if start <= seconds <= end:
                found[name].append(took / 1000)
        # What comes after that may be a pass that was not seen.
        if one.end < seconds < one.start + SLOW_INTERVAL:
            found["none"].append(took / 1000)
    return found


def _calls() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(
            FILL + CALLER, MEGABYTES, str(SECONDS), folder, slow_interval=SLOW_INTERVAL
        )
        try:
            passes, _, _ = watched.watch(SECONDS)
            watched.program.hear()
        finally:
            watched.close()
        figures = []
        for row, call in zip(ROWS, CALLS):
            rows = array("q", (Path(folder) / call).read_bytes())
            found = _beside(passes, rows)
            late = {name: percentile(times, 0.999) for name, times in found.items() if times}
            alone = late.pop("none")
            more = {name: value - alone for name, value in late.items()}
            each = ", ".join(f"{name} {value:+.0f}" for name, value in more.items())
            figures.append(row.at(max(more.values()), f"{each}; {alone:.0f} without", digits=0))
        return figures


def _more(alone: list[Waits], beside: list[Waits], of: str) -> tuple[dict[float, float], str]:
    """What is more beside the collectors at each percentile, and a line of what is without."""
    idle, busy = ([time for one in turns for time in getattr(one, of)] for turns in (alone, beside))
    shares = (0.5, 0.99, 0.999)
    more = {share: percentile(busy, share) - percentile(idle, share) for share in shares}
    return more, ", ".join(f"{percentile(idle, share):.0f}" for share in shares)


def _forks() -> list[Figure]:
    # What a fork cuts short is made anew after an interval.
    program = (FILL + FORKER, FORKER_MEGABYTES, *PAUSES)
    without = Watched(*program, interval=0.005, slow_interval=NEVER)
    watched = Watched(*program, interval=0.005)
    alone: list[Waits] = []
    beside: list[Waits] = []
    try:
        time.sleep(UNTIL_IT_TAKES_PART)
        for stopped in (without.program, watched.program):
            stopped.stop()
        for _ in range(TURNS):
            for one, waits in ((without.program, alone), (watched.program, beside)):
                with one.running():
                    waits.append(fork(one, FORKS))
    finally:
        watched.close()
        without.close()
    figures = []
    for row, of, share in zip(ROWS[-2:], ("wall", "cpu"), (0.99, 0.999)):
        more, idle = _more(alone, beside, of)
        others = ", ".join(f"p{100 * one:g} {more[one]:+.0f}" for one in more if one != share)
        figures.append(row.at(more[share], f"{others}; {idle} without", digits=0))
    return figures


def measure(_: Path) -> list[Figure]:
    return [*_calls(), *(_forks() if HAS_HOOKS else [])]
