"""Panels of the C heap: objects over 512 bytes and everything native."""

from __future__ import annotations

from .panels import BYTES, COUNT, bars, graph
from .queries import WORKER, process, query

STATES = ("in_use", "mmapped", "free", "top", "overhead")


def panels() -> list:
    states = ((state, process("malloc_bytes", f'state="{state}"')) for state in STATES)
    by_size = process("malloc_free_bytes_by_size")
    return [
        graph(
            "What is the C heap made of?",
            "Bytes of malloc's heap. free lies between what is in use; top at the end, where it "
            "can be given back; mmapped blocks have a mapping of their own.",
            BYTES,
            *(query(f"sum({selected})", state) for state, selected in states),
            stacked=True,
        ),
        graph(
            "How large is the largest free piece?",
            "The largest free chunk of each process. Much free and nothing large: the heap is "
            "fragmented, and a large request makes it grow all the same.",
            BYTES,
            query(process("malloc_largest_free_chunk_bytes"), WORKER),
        ),
        bars(
            "In what pieces is it free?",
            "Free bytes by the size of their chunk: less than the size given, and not less than "
            "the one before.",
            BYTES,
            query(f"sum by (size) ({by_size})", "below {{size}}", instant=True),
            width=8,
        ),
        graph(
            "How many chunks?",
            "Chunks in use and free.",
            COUNT,
            query(f"sum by (state) ({process('malloc_chunks')})", "{{state}}"),
            width=8,
        ),
        graph(
            "What would malloc_trim give back?",
            "Whole resident pages within free chunks of each process.",
            BYTES,
            query(process("python_memory_reclaimable_bytes", 'by="trim"'), WORKER),
            width=8,
        ),
    ]
