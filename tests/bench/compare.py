"""What a change costs: python -m tests.bench.compare BASE HERE [--pairs N] [GROUP ...]

BASE and HERE are folders with cmake/ and package/, as `make build` leaves them. Both are
measured by the figures of this tree, turn about in pairs; a figure that the base cannot give
(a benchmark that it has not got) is said to be that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.common import median
from tests.bench.figures import groups

Values = dict[str, float]


def measure(build: Path, group: str) -> Values:
    """{row: value}; empty where it cannot be measured with that build."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", str(build / "cmake"), group, "--json"],
        env={**os.environ, "PYTHONPATH": str(build / "package")},
        capture_output=True,
        text=True,
    )
    if done.stdout:
        values: Values = json.loads(done.stdout)
        return values
    print(f"{build}: {group}: {done.stderr.splitlines()[-1]}", file=sys.stderr)
    return {}


def line(name: str, pairs: list[tuple[float, float]], unit: str) -> str:
    """The medians, and the median of the pairs' ratios, of differences where one is not > 0."""
    base, here = (median(side) for side in zip(*pairs))
    if min(min(pair) for pair in pairs) > 0:
        changes, form = sorted(after / before for before, after in pairs), "{:.2f}"
    else:
        changes, form = sorted(after - before for before, after in pairs), "{:+.2f} " + unit
    spread = f"{form.format(changes[0])} to {form.format(changes[-1])}"
    change = f"{form.format(median(changes))} ({spread})"
    return f"| {name} ({unit}) | {base:.2f} | {here:.2f} | {change} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare")
    parser.add_argument("base", type=Path)
    parser.add_argument("here", type=Path)
    parser.add_argument("groups", nargs="*", metavar="GROUP")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    print("| figure | base | here | here / base |\n| --- | --- | --- | --- |", flush=True)
    for name, group in groups().items():
        if options.groups and name not in options.groups:
            continue
        rounds = []
        for number in range(options.pairs):
            order = (options.base, options.here) if number % 2 else (options.here, options.base)
            found = {build: measure(build, name) for build in order}
            rounds.append((found[options.base], found[options.here]))
        for row in group.ROWS:
            pairs = [(a[row.name], b[row.name]) for a, b in rounds if row.name in {**a} and b]
            complete = len(pairs) == options.pairs
            missing = f"| {row.name} | not measured on both sides | | |"
            print(line(row.name, pairs, row.unit) if complete else missing, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
