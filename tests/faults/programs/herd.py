"""A master that keeps so many children, each of which works a little all the time.

herd.py COUNT [MEGABYTES]: with so much memory that all of them share. Ends when it is killed,
and the children with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
BLOCK_BYTES = 450

libc = ctypes.CDLL(None)
count = int(sys.argv[1])
megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 0
shared = [bytes(BLOCK_BYTES) for _ in range(megabytes * 1_000_000 // (BLOCK_BYTES + 48))]


def work() -> None:
    while True:
        kept = [str(number) for number in range(300)]
        time.sleep(0.02)
        del kept


alive: set[int] = set()
while True:
    while len(alive) < count:
        pid = os.fork()
        if pid == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            work()
        alive.add(pid)
    alive.discard(os.wait()[0])
