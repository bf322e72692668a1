"""The program of the talk's experiment: does a step for each line on its standard input.

    build   lists of strings of every size from 16 to 1584 characters, COUNT in the first list
    halve   drops every second string
    drop    drops all that is left, but a note of 4 KiB that was written last

Prints the bytes of the strings that it holds after each step.
"""

from __future__ import annotations

import sys

LISTS = 100


def build(count: int) -> list[list[str]]:
    return [[" " * i * 16 for _ in range(count // i)] for i in range(1, LISTS)]


def size(lists: list[list[str]]) -> int:
    return sum(len(strings) * sys.getsizeof(strings[0]) for strings in lists if strings)


def main() -> None:
    count = int(sys.argv[1])
    lists: list[list[str]] = []
    notes = []
    for line in sys.stdin:
        step = line.strip()
        if step == "build":
            lists = build(count)
            notes.append(bytearray(4096))
        elif step == "halve":
            lists = [strings[::2] for strings in lists]
        elif step == "drop":
            lists = []
        print(size(lists), flush=True)


if __name__ == "__main__":
    main()
