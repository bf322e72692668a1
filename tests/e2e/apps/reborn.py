"""A process that becomes another: at each SIGUSR1 it executes itself anew, or under the same pid.

`reborn.py exec` keeps its pid and start time. `reborn.py reuse`, the first process of a pid
namespace, starts a child, and after SIGUSR1 kills it and starts the next with the same pid.
Each life keeps other memory than the one before; the current one's number is in $LIFE.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

COMMAND = [sys.executable, __file__]


def live(life: int) -> list[bytes]:
    """Memory of 20 MB in the first life, and next to none later."""
    return [bytes(100) for _ in range(150_000 if life == 0 else 1_000)]


def wait_for_the_next(life: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    print(life, flush=True)
    signal.sigwait([signal.SIGUSR1])
    os.environ["LIFE"] = str(life + 1)


def become_another() -> None:
    kept = live(int(os.environ["LIFE"]))
    wait_for_the_next(int(os.environ["LIFE"]))
    del kept
    os.execv(COMMAND[0], [*COMMAND, "exec"])


def start_with(pid: int) -> subprocess.Popen:
    """The next process gets the number after the last one's."""
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))
    return subprocess.Popen([*COMMAND, "exec"])


def give_the_pid_again(pid: int) -> None:
    for life in range(10):
        os.environ["LIFE"] = str(life)
        child = start_with(pid)
        assert child.pid == pid
        wait_for_the_next(life)
        child.kill()
        child.wait()


if __name__ == "__main__":
    {"exec": become_another, "reuse": lambda: give_the_pid_again(500)}[sys.argv[1]]()
