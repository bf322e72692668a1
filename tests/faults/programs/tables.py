"""Closes every descriptor, daemonises, and takes the numbers that became free at once.

Its exporter leads by then, and its children inherit nothing of it.
"""

from __future__ import annotations

import os
import time

MANY = 60
time.sleep(1.5)  # until it leads
os.closerange(3, 65536)
mine = [os.open("/dev/null", os.O_RDONLY) for _ in range(MANY)]
assert mine == list(range(3, 3 + MANY)), mine

# A daemon, by the book.
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.closerange(3, 65536)
mine = [os.open("/dev/null", os.O_RDONLY) for _ in range(MANY)]
time.sleep(2.5)  # until the daemon leads
null = os.stat("/dev/null").st_rdev
assert [os.fstat(fd).st_rdev for fd in mine] == [null] * MANY
for fd in mine:
    os.close(fd)
print("daemon", os.getpid(), sorted(int(name) for name in os.listdir("/proc/self/fd")), flush=True)
while True:
    time.sleep(0.1)
