"""How long the tests of faults are: short within `make test`, long in `make test-faults`."""

from __future__ import annotations

import os

LONG = os.environ.get("FAULTS", "short") == "long"


def count(short: int, long: int) -> int:
    return long if LONG else short
