"""A program that tells about itself and waits to be ended; `alone.py N` starts others first.

The others, half by subprocess and half by posix_spawn, end with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import figures


def start(count: int) -> list[int]:
    command = [sys.executable, __file__]
    processes = [subprocess.Popen(command) for _ in range(count // 2)]
    pids = [one.pid for one in processes]
    for _ in range(count - len(pids)):
        pids.append(os.posix_spawn(command[0], command, os.environ))
    return pids


def wait_for_the_end(others: list[int]) -> None:
    def end(*_: object) -> None:
        for pid in others:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    figures.tell()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    wait_for_the_end(start(int("".join(sys.argv[1:]) or 0)))
