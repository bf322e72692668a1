"""pymalloc_exporter.pinning(): the very objects that keep sparse arenas, and no other."""

import pymalloc_exporter
from starting import BOOTSTRAP, PACKAGE, python

START = """
import gc, random, sys
import pymalloc_exporter
from pymalloc_exporter import _native, pinning

class Thing:
    __slots__ = "a", "b"

def ids(things):
    return {id(thing) for thing in things}

def raised(*arguments):
    try:
        pinning(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""

# All of one class: arenas that stay full, such in which a tenth stays, and a hundredth.
SPARSE = """
full, tenth, hundredth = [[Thing() for _ in range(count)] for count in (200_000, 200_000, 400_000)]
for things, share in ((tenth, 10), (hundredth, 100)):
    random.Random(1).shuffle(things)
    del things[len(things) // share:]
gc.collect()
"""

# Arenas have a number in the headers of their pools, which count what lives in each.
POOLS = """
import ctypes
pool_bytes = _native.compare()["ours"]["pool_size_bytes"]
arena_bytes = _native.compare()["ours"]["arena_size_bytes"]
def word(pool, offset):
    return ctypes.c_uint32.from_address(pool + offset).value
def pool_of(thing):
    return id(thing) & -pool_bytes
def arena_of(thing):
    return word(pool_of(thing), 32)
def live_shares(things):
    shares = {}
    for pool in {pool_of(thing) for thing in things}:
        live = word(pool, 0) * (word(pool, 36) + 1) * 16
        shares[word(pool, 32)] = shares.get(word(pool, 32), 0) + live / arena_bytes
    return shares
"""


def run(body, listen, start=START, **variables):
    done = python(
        start + body,
        BOOTSTRAP,
        PACKAGE.parent,
        PYMALLOC_EXPORTER_INTERVAL="3600",
        **listen,
        **variables,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_finds_all_that_lie_in_sparse_arenas_and_no_other(listen):
    body = """
everything = full + tenth + hundredth
found = pinning(Thing, len(everything))
shares = live_shares(everything)
found_ids, known = ids(found), ids(everything)
assert len(found_ids) == len(found) and found_ids <= known
assert all(type(thing) is Thing for thing in found)
assert all(shares[arena_of(thing)] < 0.5 for thing in found)
missed = [thing for thing in everything if id(thing) not in found_ids]
# Those of one arena, where something else lives, too: what is between the full and the others.
assert sum(shares[arena_of(thing)] < 0.45 for thing in missed) < arena_bytes / 48
assert len({arena_of(thing) for thing in hundredth if id(thing) not in found_ids}) <= 1
assert len(ids(tenth) & found_ids) > 0.9 * len(tenth)
assert len(ids(full) & found_ids) < 0.1 * len(full)
"""
    run(SPARSE + POOLS + body, listen)


def test_the_sparsest_first_and_no_more_than_wanted(listen):
    body = """
found = pinning(Thing, 2000)
assert len(found) == 2000
# None of the tenth but in the arena where that ends and the hundredth begins.
known = ids(hundredth)
assert len({arena_of(thing) for thing in found if id(thing) not in known}) <= 1
assert ids(found) <= ids(tenth + hundredth)
assert len(pinning(Thing)) == 100
assert len(pinning(Thing, 1)) == 1
[first] = pinning(Thing, most=1)
assert first is found[0]
shares = live_shares(full + tenth + hundredth)
order = [shares[arena_of(thing)] for thing in found]
assert all(b - a > -0.02 for a, b in zip(order, order[1:])), order
"""
    run(SPARSE + POOLS + body, listen)


def test_a_name_finds_the_same_as_its_types(listen):
    body = """
by_name, by_type = ids(pinning("__main__.Thing", 2000)), ids(pinning(Thing, 2000))
assert len(by_name) == len(by_type) == 2000 and len(by_name & by_type) > 1500
class Child(Thing): pass
assert pinning(Child) == []
def same_name():
    class Twin: __slots__ = ()
    return Twin
twins = [kind() for kind in [same_name() for _ in range(20_000)][::100]]
gc.collect()
found = pinning("__main__.same_name.<locals>.Twin", 10**6)
assert len(ids(found)) > 20
assert len({type(one) for one in found}) == len(found)
"""
    run(SPARSE + body, listen)


def test_every_row_of_the_heap_is_found_by_its_name_or_is_of_untracked_objects(listen):
    body = """
import collections, enum, fractions
class Color(enum.Enum): RED = 1
class Straße: pass
kept = [collections.deque(), Straße(), type("L" * 300, (), {})(), fractions.Fraction(1)]
names = [row.type for row in pymalloc_exporter.heap().rows if row.objects]
assert "__main__." + "L" * 118 in names and "__main__.Straße" in names, names
errors = {name: raised(name) for name in names}
unknown = [name for name, error in errors.items() if error and "no type of" in error]
assert unknown == ["(free list)"], unknown
untracked = {name for name, error in errors.items() if error} - set(unknown)
assert untracked >= {"str", "int", "bytes", "float", "code"}, untracked
assert not untracked & {"dict", "list", "type", "function", "collections.deque"}, untracked
"""
    run(body, listen)


def test_referrers_of_what_pins_lead_to_who_holds_it(listen):
    body = """
holder = {"cache": hundredth}
found = pinning("__main__.Thing", 20)
assert ids(found) <= ids(hundredth)
for thing in found:
    assert any(one is hundredth for one in gc.get_referrers(thing))
"""
    run(SPARSE + body, listen)


def test_leaves_nothing_behind(listen):
    body = """
def counts():
    return [sys.getrefcount(thing) for thing in hundredth]
pinning(Thing, 1)  # imports what it needs
before, objects = counts(), len(gc.get_objects())
found = pinning(Thing, 1000)
assert sorted(set(counts())) == [before[0], before[0] + 1]
del found
assert counts() == before
raised("nothing is called so"), raised(str), raised(Thing, 0)
assert counts() == before
assert len(gc.get_objects()) - objects < 50
hundredth.clear(), tenth.clear(), full.clear()
assert not any(type(thing) is Thing for thing in gc.get_objects())
assert pinning(Thing) == []
"""
    run(SPARSE + body, listen)


def test_beside_threads_that_make_and_drop_objects_and_collections(listen):
    body = """
import threading
end = False
class Tied:
    def __init__(self): self.me, self.more = self, [Thing() for _ in range(20)]
    def __del__(self): self.more.append(self.me)
def work():
    while not end:
        kept = [Tied() for _ in range(300)]
        del kept[::2]
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
gc.set_threshold(1000, 2, 2)
gc.callbacks.append(lambda *_: [Thing() for _ in range(5)])
for _ in range(20):
    for thing in pinning(Thing, 500) + pinning("__main__.Tied", 500):
        assert type(thing) in (Thing, Tied)
        thing.a = thing.b = [thing]
end = True
for thread in threads: thread.join()
assert len(pinning(Thing, 10**6)) > 0
"""
    run(SPARSE.replace("00_000", "0_000") + body, listen)


def test_says_what_cannot_be_asked_for(listen):
    body = """
print(raised(str), raised("str"), raised("other"), raised(3), raised(None), raised(Thing, 0),
      raised(Thing, -1), raised(Thing, "3"), sep="\\n")
"""
    only = "only types whose objects the garbage collector tracks"
    assert run(body, listen).splitlines() == [
        f"ValueError: <class 'str'>: {only}",
        f"ValueError: 'str': {only}",
        "ValueError: 'other': no type of that name; as heap() shows it, or the type",
        "TypeError: a type or its name is wanted, not int",
        "TypeError: a type or its name is wanted, not NoneType",
        "ValueError: most: 0 is less than 1",
        "ValueError: most: -1 is less than 1",
        "TypeError: 'str' object cannot be interpreted as an integer",
    ]


WHY = "RuntimeError: arenas cannot be looked at: "
BOTH = "print(raised(Thing), raised('__main__.Thing'), sep='\\n')"


def test_says_that_the_exporter_does_not_run():
    assert run(BOTH, {}).splitlines() == [WHY + "starting"] * 2


def test_says_why_there_are_no_arenas(listen):
    found = run(BOTH, listen, PYTHONMALLOC="malloc")
    assert found.splitlines() == [WHY + "allocator_malloc"] * 2


def test_sub_interpreters_have_none(listen):
    body = f"""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
new = interpreters.create()
failure = interpreters.run_string(new, {START + BOTH + chr(10) + "sys.stdout.flush()"!r})
assert failure is None, failure
interpreters.destroy(new)
"""
    found = run(body, listen, start="")
    assert found.splitlines() == [WHY + "this is a sub-interpreter"] * 2


def test_is_public():
    assert "pinning" in pymalloc_exporter.__all__
