"""Holds a name and disappoints everybody: squatter.py PORT USER AS_USER [MANNER].

MANNER: "false region" (the default), "wrong size" of a message, "hangs up".
"""

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
manner = sys.argv[4] if len(sys.argv) > 4 else "false region"
kept = []
while True:
    link, _ = listener.accept()
    if manner == "hangs up":
        link.close()
        continue
    with contextlib.suppress(OSError):
        if manner == "wrong size":
            link.send(b"x" * 64)
        else:
            rendezvous.welcome(link, region)
    kept.append(link)
