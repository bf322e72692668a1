"""A master with children that sleep for so long each; dead ones are replaced, to a total.

crowd.py AT_ONCE SECONDS [TOTAL]: says "over" at the end and lives on.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)
at_once, seconds = int(sys.argv[1]), float(sys.argv[2])
total = int(sys.argv[3]) if len(sys.argv) > 3 else at_once

started = alive = 0
while started < total or alive:
    while alive < at_once and started < total:
        if os.fork() == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            time.sleep(seconds)
            os._exit(0)
        started += 1
        alive += 1
    os.wait()
    alive -= 1
print("over", flush=True)
while True:
    time.sleep(1)
