"""Forks a child that writes noise all over the shared region: gone_wild.py SEED."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import time

chance = random.Random(int(sys.argv[1]))
time.sleep(1.5)  # until it has joined
with open("/proc/self/maps") as maps:
    line = next(line for line in maps if "pymalloc_exporter" in line and "memfd" in line)
first, last = (int(word, 16) for word in line.split()[0].split("-"))

if os.fork() == 0:
    # Its own exporter's hands are tied: what it writes comes from here alone.
    while True:
        bytes_at_once = chance.choice((1, 8, 64, 4096))
        # The header as often as all the slots.
        end = first + 16384 if chance.random() < 0.5 else last
        at = chance.randrange(first, end - bytes_at_once)
        ctypes.memmove(at, chance.randbytes(bytes_at_once), bytes_at_once)
        time.sleep(0.0005)
while True:
    time.sleep(1)
