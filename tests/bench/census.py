"""The census: how fast, against guppy3 on the same heap, and what the application notices."""

from __future__ import annotations

from pathlib import Path

from tests.bench.common import (
    BOOTSTRAP,
    Figure,
    Row,
    added,
    bare_environment,
    exporter_environment,
    free_port,
    median,
    run,
)

RUNS = 3
TICKS = 4000
PAIRS = 5
SLOW_INTERVAL = 0.1
MILLIONS = "million blocks a second"
COLD = Row("a census of 3,000,000 objects, far more than the caches hold", MILLIONS, least=60)
WARM = Row("a census of 200,000 objects, again and again", MILLIONS, least=100)
GUPPY = Row(
    "guppy3's first heap() with its table, of a service's 15,000,000 objects (instances with"
    " dicts, strings, integers, floats, lists), against ours",
    "times",
    least=100,
)
PAUSE = Row("the longest pause of another thread during ours", "ms", most=10)
LEFT = Row("memory that ours takes meanwhile and leaves behind, together", "MB", most=2)
MEMORY = Row("memory that a census of 1,000 types takes while it runs", "MB", most=1)
STALL = Row(
    "a 1 ms tick in the application beside one census after the other, p99", "ms later", most=0.1
)
ROWS = [COLD, WARM, GUPPY, PAUSE, LEFT, MEMORY, STALL]

# Instances, their strings, integers, tuples, lists and floats. CPU time of one thread.
HEAP = """
import gc, sys, time
gc.disable()
class Item:
    __slots__ = "tag", "pair", "more"
    def __init__(self, i):
        self.tag, self.pair, self.more = str(i), (i, self), [i * 0.5]
def build(count):
    return [Item(i) for i in range(count // 6)]
def timed(work):
    start = time.thread_time()
    result = work()
    return time.thread_time() - start, result
def repeated(work):
    return min(timed(work)[0] for _ in range(20)), work()["blocks"]
"""

# What the interpreter's own heap takes, the types read for the first time, is no block's.
SPEED = (
    HEAP
    + """
from pymalloc_exporter import _native
base, base_blocks = repeated(_native.census)
few = build(200_000)
warm, warm_blocks = repeated(_native.census)
kept = build(3_000_000)
cold, census = timed(_native.census)
print(cold, census["blocks"], warm - base, warm_blocks - base_blocks)
"""
)

# Each makes the heap and its table, which for guppy3 is most of the work. CPU time of the
# thread; the longest pause of another one, waits for a core apart; memory while it ran and
# what of it stays.
AGAINST_GUPPY = """
import gc, os, threading, time
import guppy, pymalloc_exporter, pymalloc_exporter._heap
gc.disable()
class Order:
    def __init__(self, i):
        self.number, self.name, self.price = i + 1000, f"order {i}", i * 0.5
        self.tags = [str(i)]
kept = [Order(i) for i in range(2_500_000)]  # 6 objects each
def kilobytes(field): return int(open("/proc/self/status").read().split(field)[1].split()[0])
longest = 0.0
def tick():
    global longest
    schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    def waited(): return int(os.pread(schedstat, 100, 0).split()[1]) / 1e9
    while not done:
        start = time.perf_counter() - waited()
        time.sleep(0.001)
        longest = max(longest, time.perf_counter() - waited() - start)
def measure(heap):
    global longest, done
    done = False
    ticker = threading.Thread(target=tick)
    ticker.start()
    time.sleep(0.1)
    open("/proc/self/clear_refs", "w").write("5")  # the highwater mark from here on
    before, longest, start = kilobytes("VmRSS:"), 0.0, time.thread_time()
    table = str(heap())
    took, peak = time.thread_time() - start, kilobytes("VmHWM:")
    time.sleep(0.1)
    done = True
    ticker.join()
    assert "__main__.Order" in table
    return took, longest, peak - before, kilobytes("VmRSS:") - before, before
ours, theirs = measure(pymalloc_exporter.heap), measure(guppy.hpy().heap)
print(*ours, *theirs)
"""

MEMORY_TAKEN = (
    HEAP
    + """
from pymalloc_exporter import _native
def kilobytes(field): return int(open("/proc/self/status").read().split(field)[1].split()[0])
_native.census()
kept = build(3_000_000), [type(f"Kind{i}", (), {})() for i in range(1000)]
open("/proc/self/clear_refs", "w").write("5")  # the highwater mark from here on
before = kilobytes("VmRSS:")
_native.census()
print(kilobytes("VmHWM:") - before)
"""
)

TICKER = (
    HEAP
    + """
import urllib.request
ticks, port = map(int, sys.argv[1:3])
kept = build(3_000_000)
time.sleep(1.5)
late = []
for _ in range(ticks):
    start = time.perf_counter()
    time.sleep(0.001)
    late.append(time.perf_counter() - start)
censuses = 0
if port:
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read().decode()
    [took] = [row for row in text.splitlines() if "duration_seconds{" in row and '"census"' in row]
    censuses = sum(late) / max(float(took.split()[-1]), float(sys.argv[3]))
print(sorted(late)[ticks - ticks // 100] * 1000, censuses)
"""
)


def _environment() -> dict[str, str]:
    environment = exporter_environment(free_port(), 3600)
    environment["PYTHONPATH"] += f":{BOOTSTRAP.parent.parent}"
    return environment


def _speed() -> list[Figure]:
    runs = [list(map(float, run(SPEED, _environment()).split())) for _ in range(RUNS)]
    cold, blocks, warm, warm_blocks = map(median, zip(*runs))
    return [
        COLD.at(blocks / cold / 1e6, f"{cold * 1000:.0f} ms"),
        WARM.at(warm_blocks / warm / 1e6, f"{warm * 1000:.1f} ms"),
    ]


def _against_guppy() -> list[Figure]:
    figures = list(map(float, run(AGAINST_GUPPY, _environment()).split()))
    (took, pause, more, left, _), (theirs, theirs_pause, theirs_more, theirs_left, all_of_it) = (
        figures[:5],
        figures[5:],
    )
    megabytes = 1024 / 1e6
    return [
        GUPPY.at(theirs / took, f"{theirs:.1f} s and {took:.3f} s"),
        PAUSE.at(pause * 1000, f"guppy3's {theirs_pause * 1000:.0f}"),
        LEFT.at(
            (more + left) * megabytes,
            f"{more * megabytes:.1f} and {left * megabytes:.1f}; guppy3"
            f" {theirs_more * megabytes:.0f} and {theirs_left * megabytes:.0f}"
            f" of {all_of_it * megabytes:.0f}",
        ),
    ]


def _memory() -> Figure:
    taken = median(float(run(MEMORY_TAKEN, _environment())) for _ in range(RUNS))
    return MEMORY.at(taken * 1024 / 1e6, digits=2)


def _late(environment: dict[str, str], port: int) -> float:
    arguments = map(str, (TICKS, port, SLOW_INTERVAL))
    milliseconds, censuses = map(float, run(TICKER, environment, *arguments).split())
    if port and censuses < 10:
        raise RuntimeError(f"only {censuses:.0f} censuses were taken beside the ticks")
    return milliseconds


def _stall() -> Figure:
    port = free_port()
    bare, loaded = bare_environment(), exporter_environment(port)
    loaded["PYMALLOC_EXPORTER_SLOW_INTERVAL"] = str(SLOW_INTERVAL)
    loaded["PYMALLOC_EXPORTER_SLOW_CPU"] = "100"
    pairs = [(_late(bare, 0), _late(loaded, port)) for _ in range(PAIRS)]
    return added(STALL, pairs, digits=2)


def measure(_: Path) -> list[Figure]:
    return [*_speed(), *_against_guppy(), _memory(), _stall()]
