"""What lives in this process, by type, and what has changed: pymalloc_exporter.heap()."""

from __future__ import annotations

from typing import Any, NamedTuple

MOST_ROWS = 20
FREE_LIST = "(free list)"
UNTYPED = "(untyped)"


class Row(NamedTuple):
    """Objects of a type and the bytes of their blocks; differences may be negative."""

    type: str
    objects: int
    bytes: int


class Heap:
    """Objects by type at one time, or, after a subtraction, by how many there are more."""

    def __init__(self, figures: dict[str, tuple[int, int]]) -> None:
        self._figures = {name: row for name, row in figures.items() if row != (0, 0)}

    @property
    def rows(self) -> list[Row]:
        """The largest first; in a difference, what grew most."""
        rows = [Row(name, *row) for name, row in self._figures.items()]
        return sorted(rows, key=lambda row: (-row.bytes, -row.objects, row.type))

    @property
    def total_objects(self) -> int:
        return sum(objects for objects, _ in self._figures.values())

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self._figures.values())

    def __getitem__(self, name: str) -> Row:
        """The row of a type; zeros where there is none."""
        return Row(name, *self._figures.get(name, (0, 0)))

    def __sub__(self, earlier: Heap) -> Heap:
        figures = {}
        for name in {**self._figures, **earlier._figures}:
            now, then = self[name], earlier[name]
            figures[name] = (now.objects - then.objects, now.bytes - then.bytes)
        return Heap(figures)

    def __str__(self) -> str:
        objects, size, cumulative = self.total_objects, self.total_bytes, 0
        lines = [
            f"Partition of {objects} objects. Total size = {size} bytes.",
            " Index    Count   %      Size   % Cumulative  % Type",
        ]
        rows = self.rows
        for index, row in enumerate(rows[:MOST_ROWS]):
            cumulative += row.bytes
            lines.append(
                f"{index:6} {row.objects:8} {_share(row.objects, objects):3} "
                f"{row.bytes:9} {_share(row.bytes, size):3} "
                f"{cumulative:10} {_share(cumulative, size):2} {row.type}"
            )
        if len(rows) > MOST_ROWS:
            lines.append(f"<{len(rows) - MOST_ROWS} more in .rows>")
        return "\n".join(lines)

    __repr__ = __str__


def _share(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0


def take(census: dict[str, Any]) -> Heap:
    """From what the native census() found."""
    figures = {name: row[:2] for name, row in census["types"].items()}
    figures[FREE_LIST] = census["free_list"]
    figures[UNTYPED] = (0, census["untyped_bytes"])
    return Heap(figures)
