"""Panels of the whole: what resident memory is made of, and how much of it is alive."""

from __future__ import annotations

from .panels import BYTES, COUNT, RATIO, figure, graph
from .queries import WORKER, arena_states, process, query

LIVE = process("python_memory_live_bytes")
LIVE_DESCRIPTION = "Resident bytes in live blocks, small and large. As old as the slow beat."

RATIO_OF_WORKER = process("python_memory_rss_to_live_ratio")
_STEPS = ((None, "green"), (1.5, "orange"), (2.5, "red"))

# In the order in which they are stacked: what is used first, what is free next, the rest.
COMPONENTS = (
    "small_live",
    "large_objects",
    "native_heap",
    "small_holes",
    "free_pools",
    "arena_overhead",
    "heap_holes",
    "malloc_mappings",
    "other_mappings",
    "files",
    "shared",
    "stacks",
    "interpreter_data",
    "exporter",
    "unexplained",
)


def worst_ratio():
    return figure(
        "Worst ratio",
        "The highest ratio of RSS to live bytes. Alone it misleads: on a small heap it is high "
        "and means nothing.",
        RATIO,
        query(f"max({RATIO_OF_WORKER})"),
        steps=_STEPS,
        decimals=2,
    )


def ratios():
    return graph(
        "How much is held for each live byte?",
        "RSS by live bytes of each worker, both of one moment.",
        RATIO,
        query(RATIO_OF_WORKER, WORKER),
        steps=_STEPS,
        least=1,
    )


def components():
    """RSS as a stack; the parts add up to it."""
    parts = ((one, process("python_memory_bytes", f'component="{one}"')) for one in COMPONENTS)
    return graph(
        "Where does RSS go?",
        "Resident bytes of all chosen processes by what they are; they add up to RSS. small_live, "
        "large_objects and native_heap are in use; small_holes, free_pools and heap_holes are "
        "free and kept. The README explains each.",
        BYTES,
        *(query(f"sum({selected})", one) for one, selected in parts),
        stacked=True,
        width=24,
        height=11,
    )


def where_it_goes() -> list:
    verdicts = process("python_memory_verdict")
    remedies = process("python_memory_reclaimable_bytes")
    return [
        components(),
        graph(
            "What is the matter?",
            "Processes by verdict. Each verdict asks for a share and an amount, for several slow "
            "beats on end; small processes are always healthy.",
            COUNT,
            query(f"sum by (verdict) ({verdicts})", "{{verdict}}"),
            stacked=True,
            width=8,
        ),
        graph(
            "What would a remedy give back?",
            "Resident bytes by what would free them: trim, malloc_trim(0); unpin, letting go of "
            "what lives in sparse arenas; freelists, clearing them.",
            BYTES,
            query(f"sum by (by) ({remedies})", "{{by}}"),
            width=8,
        ),
        graph(
            "What are the arenas made of?",
            "Arena bytes of all chosen processes; they add up to arenas times arena size. All "
            "but live is memory that is held and not used.",
            BYTES,
            *arena_states(),
            stacked=True,
            width=8,
        ),
    ]
