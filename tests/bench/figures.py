"""The registry: every file of this folder that has ROWS and measure() is a group of figures.

    ROWS = [Row(...), ...]                    # what the README's table has, with goals
    def measure(programs: Path) -> list[Figure]: ...   # of each row that can be had here

`programs` is the folder with the compiled benchmarks: each `NAME_bench.cc` here is one.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from tests.bench.common import Row

FOLDER = Path(__file__).parent
# Those of the README's table come first, in its order; others after them by name.
ORDER = ["walk", "census", "scrape", "startup", "arena_free", "takeover"]
NO_FIGURES = {"__main__", "common", "compare", "figures", "hooks", "passes"}


def groups() -> dict[str, ModuleType]:
    """The groups of figures by their names, in the table's order."""
    found = {module.name for module in pkgutil.iter_modules([str(FOLDER)])} - NO_FIGURES
    names = [name for name in ORDER if name in found] + sorted(found - set(ORDER))
    return {name: importlib.import_module(f"tests.bench.{name}") for name in names}


def rows() -> list[Row]:
    return [row for group in groups().values() for row in group.ROWS]
