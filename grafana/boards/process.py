"""*Python memory: process*: what the chosen processes do with their memory."""

from __future__ import annotations

from . import census, cost, heap, ledger
from .frame import board
from .panels import BYTES, COUNT, SHARE, bars, graph, heat_map
from .queries import WORKER, arena_states, process, query


def arenas() -> list:
    by_occupancy = process("pymalloc_arena_bytes_by_occupancy")
    allocated = process("pymalloc_arenas_allocated_total")
    freed = process("pymalloc_arenas_freed_total")
    return [
        heat_map(
            "How full are the arenas?",
            "Arena bytes by the share of them that is live, over time. Colour in the lower rows "
            "is memory that some last object holds back; in the upper rows it is in use.",
            BYTES,
            query(f"sum by (occupancy) ({by_occupancy})", "{{occupancy}}"),
        ),
        graph(
            "What are the arenas made of?",
            "Adds up to arenas times arena size. free_block: freed within pools that are in use; "
            "free_pool: whole pools; uncarved: never used.",
            BYTES,
            *arena_states(),
            stacked=True,
        ),
        graph(
            "How many arenas, and how many at most?",
            "Arenas now, and the most that each process had at once. The distance is memory "
            "that was given back.",
            COUNT,
            query(f"sum({process('pymalloc_arenas')})", "now"),
            query(f"sum({process('pymalloc_arenas_highwater')})", "most"),
        ),
        graph(
            "How fast do arenas come and go?",
            "Arenas taken from the system and given back. Both high at once: an application that "
            "works at the edge of an arena.",
            "ops",
            query(f"sum(rate({allocated}[$__rate_interval]))", "allocated"),
            query(f"sum(rate({freed}[$__rate_interval]))", "freed"),
        ),
        graph(
            "In what state are the pools?",
            "Pools with live blocks, whole free ones, and those not yet carved.",
            COUNT,
            query(f"sum by (state) ({process('pymalloc_pools')})", "{{state}}"),
            stacked=True,
        ),
    ]


def size_classes() -> list:
    blocks = process("pymalloc_class_blocks")
    live = process("pymalloc_class_blocks", 'state="live"')
    free = process("pymalloc_class_blocks", 'state="free"')
    pools = process("pymalloc_class_pools")
    note = " Needs --detail full; empty without it."
    return [
        bars(
            "Which sizes hold the most pools?",
            "Bytes of the pools in use, for the ten largest size classes." + note,
            BYTES,
            query(
                f"topk(10, sum by (size) ({pools} * on (job, instance, app, worker) group_left () "
                f"{process('pymalloc_pool_size_bytes')}))",
                "{{size}} bytes",
                instant=True,
            ),
            width=8,
            height=10,
        ),
        bars(
            "Which sizes have the most free blocks?",
            "Free blocks in pools that are in use, for the ten largest." + note,
            COUNT,
            query(
                f"topk(10, sum by (size) ({free}))",
                "{{size}} bytes",
                instant=True,
            ),
            width=8,
            height=10,
        ),
        bars(
            "Which sizes are used worst?",
            "Live blocks by all blocks of pools in use, for the ten lowest with at least 1,000 "
            "blocks." + note,
            SHARE,
            query(
                f"bottomk(10, sum by (size) ({live}) / (sum by (size) ({blocks}) >= 1000))",
                "{{size}} bytes",
                instant=True,
            ),
            steps=((None, "red"), (0.25, "orange"), (0.6, "green")),
            width=8,
            height=10,
            most=1,
        ),
    ]


def free_lists() -> list:
    return [
        graph(
            "What do the free lists keep?",
            "Bytes of freed objects that the interpreter keeps for reuse, by type. They count as "
            "live to pymalloc; gc.collect() clears most of them.",
            BYTES,
            query(f"sum by (type) ({process('python_freelist_bytes')}) > 0", "{{type}}"),
            stacked=True,
        ),
        graph(
            "How many objects is that?",
            "Freed objects kept, by type.",
            COUNT,
            query(f"sum by (type) ({process('python_freelist_objects')}) > 0", "{{type}}"),
            stacked=True,
        ),
    ]


def system() -> list:
    faults = process("process_page_faults_total")
    collections = process("python_gc_collections_total")
    collected = process("python_gc_objects_collected_total")
    return [
        graph(
            "How much is its own alone?",
            "Unique memory (USS): pages that no other process shares; what ends with it.",
            BYTES,
            query(process("process_unique_memory_bytes"), WORKER),
            width=8,
        ),
        graph(
            "How often does it fault pages in?",
            "Minor faults take fresh memory or share it; major ones wait for a disk.",
            "ops",
            query(f"sum by (kind) (rate({faults}[$__rate_interval]))", "{{kind}}"),
            width=8,
        ),
        graph(
            "How much is swapped out?",
            "Swapped memory of each process. Above nothing, pymalloc's figures may stand still.",
            BYTES,
            query(process("process_swap_bytes"), WORKER),
            width=8,
        ),
        graph(
            "How often does the garbage collector run?",
            "Collections of each generation.",
            "ops",
            query(
                f"sum by (generation) (rate({collections}[$__rate_interval]))",
                "generation {{generation}}",
            ),
            width=8,
        ),
        graph(
            "What does it find?",
            "Objects in cycles that it freed.",
            "ops",
            query(
                f"sum by (generation) (rate({collected}[$__rate_interval]))",
                "generation {{generation}}",
            ),
            width=8,
        ),
        graph(
            "How near is the limit of descriptors?",
            "Open descriptors by the soft limit.",
            SHARE,
            query(f"{process('process_open_fds')} / {process('process_max_fds')}", WORKER),
            steps=((None, "transparent"), (0.8, "red")),
            width=8,
        ),
    ]


def dashboard():
    return board(
        "pymalloc-process",
        "Python memory: process",
        "The memory of the chosen processes from the inside; sums where several are chosen.",
        "1h",
        [
            ("Resident memory", lambda: [ledger.components()]),
            ("Arenas", arenas),
            ("Size classes (needs --detail full)", size_classes),
            ("Free lists", free_lists),
            ("C heap: objects over 512 bytes, and native code", heap.panels),
            ("Types", census.panels),
            ("The process", system),
            ("What the exporter costs", cost.panels),
        ],
    )
