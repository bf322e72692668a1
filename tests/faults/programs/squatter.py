"""Holds a name and hands a false region to everybody: squatter.py PORT USER AS_USER."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import rendezvous

listener = rendezvous.seqpacket()
address = rendezvous.name(int(sys.argv[1]), int(sys.argv[2]))
os.setuid(int(sys.argv[3]))
listener.bind(address)
listener.listen(64)
print("squatting", flush=True)
region = rendezvous.false_region()
kept = []
while True:
    link, _ = listener.accept()
    with contextlib.suppress(OSError):
        rendezvous.welcome(link, region)
    kept.append(link)
