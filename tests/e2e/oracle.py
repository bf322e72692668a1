"""What an interpreter says of its arenas, the text of sys._debugmallocstats(), in our names."""

from __future__ import annotations

import re

from exposition import Scrape

# A size class: its number, size, pools, blocks in use and free.
_CLASS = re.compile(r"^ +\d+ +(\d+) +(\d+) +(\d+) +(\d+)$", re.MULTILINE)
_LINES = {
    "pymalloc_arenas_allocated_total": "# arenas allocated total",
    "pymalloc_arenas_freed_total": "# arenas reclaimed",
    "pymalloc_arenas_highwater": "# arenas highwater mark",
    "pymalloc_arenas": "# arenas allocated current",
    "pymalloc_bytes live": "# bytes in allocated blocks",
    "pymalloc_bytes free_block": "# bytes in available blocks",
}

Figures = dict[str, float]


def parse(text: str) -> Figures:
    """Figures by the name of a series and what else tells it apart."""
    found: Figures = {}
    for name, words in _LINES.items():
        found[name] = float(re.search(rf"^{words} += +([\d,]+)$", text, re.M)[1].replace(",", ""))
    for size, pools, live, free in _CLASS.findall(text):
        found[f"pymalloc_class_pools {size}"] = float(pools)
        found[f"pymalloc_class_blocks {size} live"] = float(live)
        found[f"pymalloc_class_blocks {size} free"] = float(free)
    return found


def scraped(scrape: Scrape, worker: str) -> Figures:
    """All of pymalloc's series of a worker, under such names."""
    found: Figures = {}
    for row in scrape.series:
        if row.name.startswith("pymalloc_") and row.labels.get("worker") == worker:
            rest = [value for label, value in row.labels.items() if label not in ("app", "worker")]
            found[" ".join((row.name, *rest))] = row.value
    return found
