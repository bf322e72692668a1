"""Makes and destroys so many sub-interpreters, some at a time, each of which does some work."""

from __future__ import annotations

import sys
import time

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters  # type: ignore[import-not-found,no-redef]

WORK = "import json; kept = [json.dumps({'number': n}) for n in range(500)]"
AT_ONCE = 5

for _ in range(int(sys.argv[1]) // AT_ONCE):
    made = [interpreters.create() for _ in range(AT_ONCE)]
    for one in made:
        interpreters.run_string(one, WORK)
    for one in made:
        interpreters.destroy(one)
print("over", flush=True)
time.sleep(600)
