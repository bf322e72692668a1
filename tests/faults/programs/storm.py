"""Forks so many times over a heap of so many megabytes, and waits for every child.

storm.py FORKS MEGABYTES: small and large objects, and a thread that allocates all the while.
A child takes as long to end as to be made (80 ms in all for 2 GB, without us): so it is waited
for when the next one has been made.
"""

from __future__ import annotations

import os
import sys
import threading
import time

BLOCK_BYTES = 450
forks, megabytes = int(sys.argv[1]), int(sys.argv[2])
small = [bytes(BLOCK_BYTES) for _ in range(megabytes * 500_000 // (BLOCK_BYTES + 48))]
large = [bytes(10_000) for _ in range(megabytes * 500_000 // 10_048)]


def churn() -> None:
    while True:
        kept = [str(number) for number in range(1000)]
        time.sleep(0.001)
        del kept


threading.Thread(target=churn, daemon=True).start()


def wait_for(pid: int) -> None:
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        sys.exit("a child that did not end as it should")


time.sleep(1.5)  # until it leads
start, last = time.monotonic(), 0
for _ in range(forks):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    if last:
        wait_for(last)
    last = pid
wait_for(last)
print(f"over after {time.monotonic() - start:.0f} s", flush=True)
while True:
    time.sleep(1)
