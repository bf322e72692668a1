"""A census of a sample of the arenas: without bias, and it knows how far it may be off."""

import time

from asking import ask
from running import Program
from starting import BOOTSTRAP, PACKAGE, python

# Arenas of one class, of another, of both, and such from which most is gone.
HEAP = """
import math, random
class Alone:
    __slots__ = "a", "b"
class Mixed:
    __slots__ = "a", "b"
def build(count):
    kept = [Alone() for _ in range(count)] + [[1, 2, 3] for _ in range(count)]
    kept += [random.choice((Alone, Mixed))() for _ in range(count)]
    gone = [Mixed() for _ in range(count)]
    # Not in lists: theirs would be the arena with by far the most.
    return tuple(kept), tuple(random.sample(gone, count // 50))
"""

MANY = (
    HEAP
    + """
from pymalloc_exporter import _native
NAMES = "__main__.Alone", "__main__.Mixed", "list"
# (value, its standard error) by what it is; few, since they live in the same heap.
def figures(census):
    types = census["types"]
    found = {"blocks": (census["blocks"], None)}
    found["all types"] = sum(row[1] for row in types.values()), census["error_bytes"]
    for name in NAMES:
        objects, size, pinned, _, error = types.get(name, (0, 0, 0, 0, 0))
        found[name] = size, error
        found[name + " objects"] = objects, None
        found[name + " pinned"] = pinned, None
    return found

kept = build(200_000)
whole = _native.census()
assert whole["arenas_read"] == whole["arenas"] and whole["error_bytes"] == 0
assert all(row[4] == 0 for row in whole["types"].values())
drawn, counted = {}, {}
shares = []
for i in range(200):
    census = _native.census(share=0.3)
    shares.append(census["arenas_read"] / census["arenas"])
    for name, figure in figures(census).items():
        drawn.setdefault(name, []).append(figure)
    # What is kept of them here goes into the holes of the very arenas that are sparse.
    for name, (value, _) in figures(_native.census()).items():
        counted.setdefault(name, []).append(value)
assert 0.25 < sum(shares) / len(shares) < 0.35

for name, taken in drawn.items():
    values = [value for value, _ in taken]
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    truth = sum(counted[name]) / len(counted[name])
    message = name, mean, truth, spread
    if spread == 0:
        assert mean == truth == 0 and name.endswith("pinned"), message
        continue
    assert abs(mean - truth) < 5 * spread / math.sqrt(len(values)), message
    if taken[0][1] is not None:
        said = math.sqrt(sum(error**2 for _, error in taken) / len(taken))
        assert 0.7 * spread < said < 1.4 * spread, (said, *message)
"""
)


def test_is_without_bias_and_tells_its_error(listen):
    done = python(MANY, BOOTSTRAP, PACKAGE.parent, PYMALLOC_EXPORTER_INTERVAL="3600", **listen)
    assert done.stderr == ""
    assert done.returncode == 0


# Its first slow beat finds the heap as it is; the budget allows for next to nothing.
LARGE = (
    HEAP
    + """
import pymalloc_exporter
kept = build(600_000)
pymalloc_exporter.install(listen="127.0.0.1:{port}", interval=0.1, detail="full",
                          slow_interval={interval}, slow_cpu={cpu})
exact = pymalloc_exporter.heap()
for name in ("__main__.Alone", "__main__.Mixed", "list"):
    print(name, *exact[name][1:])
print(flush=True)
input()
"""
)


def started(port, interval, cpu):
    code = LARGE.replace("{port}", str(port)).replace("{interval}", interval)
    program = Program(code.replace("{cpu}", cpu), port, PYMALLOC_EXPORTER_LISTEN="off")
    lines = iter(program.process.stdout.readline, "\n")
    exact = {name: (int(objects), int(size)) for name, objects, size in map(str.split, lines)}
    return program, exact


def census_of(program):
    """Its rows and its census, both of one beat."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        rows = program.scrape_when("python_live_objects")
        [beat] = [
            float(value)
            for name, value in rows.items()
            if "collector_timestamp_seconds" in name and '"census"' in name
        ]
        status, census = ask(program.port, "/api/v1/workers/0/census")
        if status == 200 and abs(census["timestamp_seconds"] - beat) < 0.03:
            return rows, census
    raise TimeoutError(str(census))


def types_of(answer):
    return {row["type"]: row for row in answer["types"]}


def test_a_heap_too_large_for_the_budget_is_sampled(free_port):
    program, exact = started(free_port, "0.05", "0.01")
    with program:
        rows, census = census_of(program)
    assert 0 < census["arenas_read"] < 0.9 * census["arenas"]
    for name, (objects, size) in exact.items():
        row = types_of(census)[name]
        assert 0 < abs(row["bytes"] - size) < 5 * row["error_bytes"], (name, row, size)
        assert row["error_bytes"] < 0.5 * size
        assert abs(row["objects"] / objects - row["bytes"] / size) < 0.05
    [ratio] = [float(value) for name, value in rows.items() if "live_error_ratio" in name]
    live = sum(row["bytes"] for row in census["types"])
    assert ratio > 0
    assert abs(ratio / (census["error_bytes"] / live) - 1) < 0.01


def test_a_heap_within_the_budget_is_read_whole(free_port):
    program, exact = started(free_port, "0.1", "100")
    with program:
        rows, census = census_of(program)
    assert not census.keys() & {"arenas", "arenas_read", "error_bytes"}
    row = types_of(census)["__main__.Alone"]
    assert (row["objects"], row["bytes"]) == exact["__main__.Alone"]
    assert "error_bytes" not in row
    assert not [name for name in rows if name.startswith("python_live_error_ratio")]
