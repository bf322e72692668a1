"""What a fork waits for the exporter: the thread's stop before it, the thread's start after it.

A fork's own time follows the size of the process, its neighbours and the machine's mood, by far
more than these take. What it takes longer with our pages and mappings is not in here.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from tests.bench.passes import Program

# The interpreter has a hook of ours where it warns of forks with threads. It stops the thread; a
# pending call starts it again.
HAS_HOOKS = sys.version_info >= (3, 12)

# Forks as often as it is asked for, after pauses between the two that it is given as its second and
# third argument, in seconds. Prints what each fork waited, in microseconds, and the CPU time that
# all its threads used meanwhile. Called one after the other from within a C function, no bytecode
# between them that would run pending calls.
FORKER = """
import ctypes, gc, operator, os, random, time
(before,) = (f for f in gc.get_objects()
             if type(f) is type(len) and f.__name__ == "before_fork")
shortest, longest = float(sys.argv[2]), float(sys.argv[3])
clocks = (time.process_time_ns, time.perf_counter_ns)
steps = (*clocks, before, *clocks, os.fork, *clocks, ctypes.pythonapi.Py_MakePendingCalls, *clocks)
for count in sys.stdin:
    found = []
    for _ in range(int(count)):
        time.sleep(random.uniform(shortest, longest))
        c0, t0, _, c1, t1, pid, c2, t2, _, c3, t3 = list(map(operator.call, steps))
        if pid == 0:
            os._exit(0)
        found += [(t1 - t0 + t3 - t2) / 1000, (c1 - c0 + c3 - c2) / 1000]
        os.waitpid(pid, 0)
    print(*found, flush=True)
"""


class Waits(NamedTuple):
    """Microseconds that forks waited, and those of CPU time that were used meanwhile.

    The rest of a wait is the machine's: for a core, or for a processor that its host took away.
    """

    wall: list[float]
    cpu: list[float]


def fork(program: Program, forks: int) -> Waits:
    """Lets a program that ends with FORKER fork."""
    found = [float(word) for word in program.ask(str(forks)).split()]
    return Waits(found[::2], found[1::2])
