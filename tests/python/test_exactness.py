"""Our reading of pymalloc equals the interpreter's own, block for block.

Each heap is built in a process of its own; there, one C call under the GIL takes both
readings, so equal means equal.
"""

import subprocess
import sys
import textwrap

import pytest

HEAPS = {
    "fresh interpreter": "",
    "2,000,000 small objects": "kept = [object() for _ in range(2_000_000)]",
    "99 % of 1,000,000 freed at random": """
        import random
        kept = [object() for _ in range(1_000_000)]
        random.Random(1).shuffle(kept)
        del kept[10_000:]
    """,
    "all of 1,000,000 freed": """
        kept = [object() for _ in range(1_000_000)]
        del kept
    """,
    "every size class": """
        kept = [bytes(size) for size in range(0, 480) for _ in range(200)]
        del kept[::3]
    """,
    "deep recursion": """
        sys.setrecursionlimit(100_000)
        def down(n):
            return n and down(n - 1) + len(kept)
        kept = [bytes(100) for _ in range(10_000)]
        down(5_000)
    """,
    "a data stack chunk of an arena's size": """
        names = "".join(f" a{i} = 0\\n" for i in range(70_000))
        scope = {"check": check}
        exec(f"def wide():\\n{names} check()\\n", scope)
        scope["wide"]()
        scope["wide"]()
    """,
    "threads": """
        import threading
        kept = []
        def work():
            for i in range(50_000):
                kept.append((i, str(i)))
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        del kept[::2]
    """,
}

PROGRAM = """
import sys
from pymalloc_exporter import _native

_native.install(host="127.0.0.1", port={port}, app="exactness", interval=3600.0,
                slow_interval=3600.0, detail="full")

def check():
    both = _native.compare()
    ours, oracle = both["ours"], both["oracle"]
    different = {{row: (ours[row], oracle[row]) for row in oracle if ours[row] != oracle[row]}}
    assert not different and both["agree"], different
    states = ("live", "free_block", "free_pool", "uncarved", "overhead")
    total = sum(ours[state + "_bytes"] for state in states)
    assert total == ours["arenas"] * ours["arena_size_bytes"], (total, ours)
    assert sum(ours["arenas_by_occupancy"]) == ours["arenas"]
    assert ours["arenas"] > 0 and ours["live_bytes"] > 100_000

check()
{heap}
check()
print("equal")
"""


@pytest.mark.parametrize("heap", HEAPS.values(), ids=HEAPS.keys())
def test_equals_the_oracle(heap, free_port):
    program = PROGRAM.format(heap=textwrap.dedent(heap), port=free_port)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("equal\n", "", 0)
