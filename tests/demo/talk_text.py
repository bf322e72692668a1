"""What the demo of the talk says. Pure functions: states in, text out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from talk_session import State

BEFORE = """\
Where does the memory of a Python program go? An experiment of 2010, on Python {version}.

Python has two places for what your program makes:
  * small things (up to 512 bytes) go into *arenas*: blocks of memory that Python gets from the
    system and cuts up itself. An arena goes back when nothing is left in it.
  * larger things go to the C library's *heap*. What is freed there stays with the process for
    reuse; only the free end of the heap goes back by itself.
What the system counts for your process is its resident memory, RSS: the figure in top, and the
one that a container's limit is about.

The program makes 99 lists of strings, from 16 to 1584 characters long. All figures below are
what pymalloc_exporter says from inside that program.
"""

AFTER = """
A restart is not the only way to have memory back. Which of the two it is (arenas that are kept
by a few objects, or a heap that is kept by its last block) decides what helps; the exporter's
metrics tell them apart: pymalloc_bytes, malloc_bytes, python_memory_reclaimable_bytes.
"""


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def table(state: State) -> str:
    rows = [
        ("RSS", megabytes(state.resident), ""),
        ("the program's strings", megabytes(state.strings), ""),
        (
            "arenas",
            megabytes(state.arena_bytes),
            f"{state.arenas} of them, {megabytes(state.arena_live)} in use",
        ),
    ]
    if state.heap_in_use is not None:
        rows += [
            ("C heap in use", megabytes(state.heap_in_use), ""),
            ("C heap free", megabytes(state.heap_free), "kept for reuse, as far as it is resident"),
            ("a trim would give back", megabytes(state.trim_would_give), ""),
        ]
    return "\n".join(
        f"    {name:<23} {figure:>12}   {more}".rstrip() for name, figure, more in rows
    )


def section(title: str, state: State, text: str) -> str:
    return f"\n{title}\n{table(state)}\n{text}"


def start(states: Sequence[State]) -> str:
    return section("1. The program has started", states[0], "")


def build(states: Sequence[State]) -> str:
    before, now = states[-2:]
    text = f"""\
  RSS grew by {megabytes(now.resident - before.resident)}. What is more than the strings is the \
lists, and each string's
  place, which is a little larger than the string.
"""
    return section("2. It has made its strings", now, text)


def halve(states: Sequence[State]) -> str:
    before, now = states[-2:]
    text = f"""\
  {megabytes(before.strings - now.strings)} of strings are gone, RSS fell by \
{megabytes(before.resident - now.resident)}. Nobody leaks: each hole lies
  between two strings that are alive, and a hole can be filled again but not given back.
"""
    return section("3. It has dropped every second string", now, text)


def drop(states: Sequence[State]) -> str:
    begun, now = states[0], states[-1]
    text = f"""\
  No string is left, and still there are {megabytes(now.resident - begun.resident)} more than at \
the start. The arenas are not it:
  all but {now.arenas} went back. It is the C library's heap: a note of 4 KiB, written last, lies \
at its
  end, so that the heap cannot shrink, and everything below, though free, stays resident.
"""
    return section("4. It has dropped all of them", now, text)


def trim(states: Sequence[State]) -> str:
    begun, before, now = states[0], states[-2], states[-1]
    given = now.relief["resident_before_bytes"] - now.relief["resident_after_bytes"]
    stalled = now.relief["stalled_seconds"] * 1000
    predicted = before.trim_would_give
    words = "" if predicted is None else f", of the {megabytes(predicted)} foretold"
    text = f"""\
  malloc_trim() gave back {megabytes(given)}{words}. Whoever wanted memory of the
  heap meanwhile had to wait, {stalled:.0f} ms at most. Not the program, nor its code, had to do \
anything:
      curl -X POST -H 'X-Pymalloc-Exporter: 1' http://127.0.0.1:9512/api/v1/workers/0/trim
  RSS is {megabytes(abs(now.resident - begun.resident))} from where it began.
"""
    return section("5. The remedy: the exporter trims the heap", now, text)


Explain = Callable[[Sequence[State]], str]
STEPS: tuple[tuple[str, Explain], ...] = (
    ("start", start),
    ("build", build),
    ("halve", halve),
    ("drop", drop),
    ("trim", trim),
)
