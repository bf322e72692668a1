"""Panels of types: what lives, what grows, what holds sparse arenas back."""

from __future__ import annotations

from .panels import BYTES, COUNT, bars, graph
from .queries import process, query


def panels() -> list:
    held = process("python_live_object_bytes")
    # What is no type of its own has no growth that anybody could look for.
    typed = process("python_live_object_bytes", 'type!~"other|[(].*"')
    return [
        graph(
            "What is alive?",
            "Bytes of live objects by type, small and large, for the largest types of each "
            "process. As old as the slow beat.",
            BYTES,
            query(f"sum by (type) ({held})", "{{type}}"),
            stacked=True,
        ),
        bars(
            "Which types grow?",
            "Growth of live bytes since the beginning of the time shown, for the ten that grew "
            "most.",
            BYTES,
            query(f"topk(10, sum by (type) (delta({typed}[$__range])))", "{{type}}", instant=True),
        ),
        bars(
            "What pins the sparse arenas?",
            "Free bytes of arenas that are less than half live, shared out to the types that live "
            "there and keep them from going.",
            BYTES,
            query(
                f"topk(10, sum by (type) ({process('python_pinned_bytes')}))",
                "{{type}}",
                instant=True,
            ),
            width=6,
        ),
        bars(
            "What sits at the top of the C heap?",
            "Free bytes of the C heap that its topmost blocks keep from going back, by the type "
            "of what sits there. (native): no Python object.",
            BYTES,
            query(
                f"topk(10, sum by (type) ({process('python_heap_top_pin_bytes')}))",
                "{{type}}",
                instant=True,
            ),
            width=6,
        ),
        bars(
            "Of what are there most?",
            "Live objects by type, the ten most numerous.",
            COUNT,
            query(
                f"topk(10, sum by (type) ({process('python_live_objects')}))",
                "{{type}}",
                instant=True,
            ),
            width=6,
        ),
        graph(
            "How much is alive without a type?",
            "Live blocks that are no objects: buffers and tables of native code.",
            BYTES,
            query(f"sum({process('python_live_untyped_bytes')})", "untyped"),
            width=6,
        ),
    ]
