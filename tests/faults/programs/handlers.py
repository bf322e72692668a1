"""Handles all signals in C and says, ten times a second, which thread did.

handlers.py LIBRARY FILE
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

library = ctypes.CDLL(sys.argv[1])
library.handled_by_main.restype = library.handled_by_others.restype = ctypes.c_long
library.count_all()
file = Path(sys.argv[2])
while True:
    said = f"{library.handled_by_main()} {library.handled_by_others()}\n"
    file.with_suffix(".new").write_text(said)
    os.replace(file.with_suffix(".new"), file)
    time.sleep(0.1)
