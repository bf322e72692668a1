"""What the exporter costs: python -m tests.bench CMAKE_BUILD_FOLDER [GROUP ...]

Measures each group of figures (figures.py says how to add one) and prints the README's
table. Exit code 1 where a goal was missed or something could not be measured; with --json
the figures are one line of JSON instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.bench.common import Figure
from tests.bench.figures import groups

HEAD = "| figure | measured | goal |\n| --- | --- | --- |"


def line(figure: Figure) -> str:
    missed = "" if figure.met else ": **missed**"
    return f"| {figure.row.name} | {figure.text} | {figure.row.goal}{missed} |"


def main() -> int:
    known = groups()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What it costs.")
    parser.add_argument("build", type=Path, help="the CMake build folder")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(known)}")
    parser.add_argument("--json", action="store_true", help="print {row: value}")
    options = parser.parse_args()
    for name in set(options.groups) - set(known):
        parser.error(f"no group {name}; there are {', '.join(known)}")
    figures: list[Figure] = []
    if not options.json:
        print(HEAD, flush=True)
    for name in options.groups or known:
        for figure in known[name].measure(options.build / "tests"):
            figures.append(figure)
            if not options.json:
                print(line(figure), flush=True)
    if options.json:
        print(json.dumps({figure.row.name: figure.value for figure in figures}))
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
