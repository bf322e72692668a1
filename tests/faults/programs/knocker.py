"""Connects and hangs up without end, as another user: knocker.py PORT USER AS_USER."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import rendezvous

address = rendezvous.name(int(sys.argv[1]), int(sys.argv[2]))
os.setuid(int(sys.argv[3]))
knocks = 0
while True:
    with rendezvous.seqpacket() as link:
        link.setblocking(False)
        with contextlib.suppress(OSError):
            link.connect(address)
            knocks += 1
    if knocks == 1000:
        print("knocking", flush=True)
