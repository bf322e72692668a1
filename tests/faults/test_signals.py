"""Signals by the thousand to a process that leads, and signals aimed at our threads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

from fleet import Fleet
from processes import wait_until
from scale import count

SIGNALS = count(4_000, 80_000)
AIMED = count(500, 10_000)

# Nothing handles these; SIGCHLD and SIGCONT are no news. 32 and 33 are the C library's own.
LEFT_OUT = {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL}
LEFT_OUT |= {signal.SIGFPE, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
SYS_TGKILL = 234


def threads(pid: int) -> list[int]:
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))


def aim(pid: int, thread: int, number: int) -> None:
    ctypes.CDLL(None).syscall(SYS_TGKILL, pid, thread, number)


def test_our_threads_handle_none(
    fleet: Callable[..., Fleet], compiled: Callable[[str], Path], tmp_path: Path
) -> None:
    group = fleet(interval=0.01)
    counts = tmp_path / "counts"
    process = group.start("handlers.py", str(compiled("handlers.so")), str(counts))
    group.wait_for([process.pid])
    ours = [thread for thread in threads(process.pid) if thread != process.pid]
    assert len(ours) >= 4  # the sampler's and the server's
    numbers = sorted(set(signal.valid_signals()) - LEFT_OUT)
    chance = random.Random(1)

    def counted() -> tuple[int, int]:
        main, others = counts.read_text().split()
        return int(main), int(others)

    for sent in range(SIGNALS):
        # Queues of real-time signals have an end; the rest is never refused.
        with contextlib.suppress(BlockingIOError):
            os.kill(process.pid, chance.choice(numbers))
        if sent % 500 == 0:
            assert process.poll() is None
    for _ in range(AIMED):
        aim(process.pid, chance.choice(ours), chance.choice(numbers))
    before = counted()[0]
    os.kill(process.pid, signal.SIGUSR1)
    # Those of real time stand in a queue, and it may be long.
    more = "one more that is handled"
    wait_until(lambda: counted()[0] > before, more, timeout=300, explain=group.log)
    assert counted()[1] == 0
    assert [thread for thread in threads(process.pid) if thread in ours] == ours
    assert group.wait_for([process.pid])
    assert group.lines() == []
    print(f"{SIGNALS} signals, {AIMED} aimed at {len(ours)} threads of ours: {counted()} handled")
