"""The demo's table: one line a worker, from one scrape. Pure functions."""

from __future__ import annotations

from exposition import Scrape

BAR_CELLS = 20
HEADINGS = ("worker", "role", "pid", "RSS", "live", "arenas", "occupancy")
FORMAT = "{:>6}  {:<8} {:>8} {:>10} {:>10} {:>7}  {}"


def mebibytes(value: float | None) -> str:
    return "-" if value is None else f"{value / (1 << 20):.1f} MiB"


def whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def bar(share: float) -> str:
    """A share from 0 to 1 as a bar and a figure."""
    full = round(share * BAR_CELLS)
    return "█" * full + "░" * (BAR_CELLS - full) + f" {share:4.0%}"


def occupancy(live: float | None, arenas: float | None, arena_size: float | None) -> str:
    if live is None or not arenas or not arena_size:
        return "-"
    return bar(live / (arenas * arena_size))


def rows(scrape: Scrape) -> list[str]:
    """One line a process, the master first, then by worker number."""
    roles = scrape.roles()
    pids = scrape.by_worker("process_pid")
    rss = scrape.by_worker("process_resident_memory_bytes")
    live = scrape.by_worker("pymalloc_bytes", state="live")
    arenas = scrape.by_worker("pymalloc_arenas")
    sizes = scrape.by_worker("pymalloc_arena_size_bytes")
    order = sorted(roles, key=lambda worker: (roles[worker] != "master", int(worker)))
    return [
        FORMAT.format(
            worker,
            roles[worker],
            whole(pids.get(worker)),
            mebibytes(rss.get(worker)),
            mebibytes(live.get(worker)),
            whole(arenas.get(worker)),
            occupancy(live.get(worker), arenas.get(worker), sizes.get(worker)),
        )
        for worker in order
    ]


def table(scrape: Scrape) -> list[str]:
    return [FORMAT.format(*HEADINGS), *rows(scrape)]
