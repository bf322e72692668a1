"""Which objects keep sparse arenas: pymalloc_exporter.pinning()."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

HAVE_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC


def find(native: ModuleType, wanted: type | str, most: int) -> list[Any]:
    """See pymalloc_exporter.pinning()."""
    most = operator.index(most)
    if most < 1:
        raise ValueError(f"most: {most} is less than 1")
    if isinstance(wanted, str):
        types = native.types_called(wanted, _all_types())
        if not types:
            raise ValueError(f"{wanted!r}: no type of that name; as heap() shows it, or the type")
    elif isinstance(wanted, type):
        types = [wanted]
    else:
        raise TypeError(f"a type or its name is wanted, not {type(wanted).__name__}")
    tracked = [one for one in types if _flags(one) & HAVE_GC]
    if not tracked:
        raise ValueError(f"{wanted!r}: only types whose objects the garbage collector tracks")
    found: list[Any] = native.pinning(tracked, most)
    return found


def _flags(one: type) -> int:
    # A metaclass may have a say in what one.__flags__ is.
    flags: int = type.__dict__["__flags__"].__get__(one)
    return flags


def _all_types() -> list[type]:
    found: dict[int, type] = {id(object): object}
    left: list[type] = [object]
    while left:
        children: list[type] = type.__subclasses__(left.pop())
        new = [one for one in children if id(one) not in found]
        found.update((id(one), one) for one in new)
        left += new
    return list(found.values())
