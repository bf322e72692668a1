"""Panels of the whole: what resident memory is made of, and how much of it is alive."""

from __future__ import annotations

from .panels import BYTES, RATIO, figure, graph
from .queries import WORKER, arena_states, process, query

LIVE = process("pymalloc_bytes", 'state="live"')
LIVE_DESCRIPTION = "Bytes in live blocks of pymalloc: objects of up to 512 bytes."

RATIO_OF_WORKER = process("pymalloc_fragmentation_ratio")
_STEPS = ((None, "green"), (1.5, "orange"), (2.5, "red"))


def worst_ratio():
    return figure(
        "Worst ratio",
        "The highest ratio of touched arena bytes to live bytes. Alone it misleads: on a small "
        "heap it is high and means nothing.",
        RATIO,
        query(f"max({RATIO_OF_WORKER})"),
        steps=_STEPS,
        decimals=2,
    )


def ratios():
    return graph(
        "How much is held for each live byte?",
        "Touched arena bytes by live bytes, for each worker.",
        RATIO,
        query(RATIO_OF_WORKER, WORKER),
        steps=_STEPS,
        least=1,
    )


def where_it_goes() -> list:
    parts = ("anon", "file", "shmem")
    return [
        graph(
            "What is resident memory made of?",
            "RSS of all chosen processes by kind of page; adds up to RSS.",
            BYTES,
            *(
                query(f"sum({process(f'process_resident_memory_{part}_bytes')})", part)
                for part in parts
            ),
            stacked=True,
        ),
        graph(
            "What are the arenas made of?",
            "Arena bytes of all chosen processes; they add up to arenas times arena size. All "
            "but live is memory that is held and not used.",
            BYTES,
            *arena_states(),
            stacked=True,
        ),
    ]
