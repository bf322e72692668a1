"""What the exporter costs: python -m tests.bench CMAKE_BUILD_FOLDER [FIGURE ...]

Each figure is a ratio or a difference of things measured in one run. Prints a table; exit
code 1 only where something could not be measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench import arena_free, scrape, startup, takeover, walk
from tests.bench.common import Figure

FIGURES = {
    "walk": walk,
    "scrape": scrape,
    "startup": startup,
    "arena_free": arena_free,
    "takeover": takeover,
}


def row(figure: Figure) -> str:
    met = {None: "", True: "met", False: "missed"}[figure.met]
    return f"| {figure.name} | {figure.measured} | {figure.goal} | {met} |"


def main() -> int:
    programs = Path(sys.argv[1]) / "tests"
    chosen = sys.argv[2:] or list(FIGURES)
    print("| figure | measured | goal | |\n| --- | --- | --- | --- |", flush=True)
    for name in chosen:
        for figure in FIGURES[name].measure(programs):
            print(row(figure), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
