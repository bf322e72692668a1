"""Programs whose memory is where the test knows it to be. Each prints READY and waits."""

import glob

# The experiment of the talk "Debugging memory": strings of growing length, every second
# one kept, then all deleted, then the C heap trimmed. A twentieth of its size.
TALK = """
def build():
    return [[" " * i * 16 for j in range(50_000 // i)] for i in range(1, 100)]
kept = build()
kept = [row[::2] for row in kept]
"""
TALK_DELETED = TALK + "del kept\n"
TALK_TRIMMED = TALK_DELETED + "import ctypes; ctypes.CDLL(None).malloc_trim(0)\n"

# One object in a hundred stays, in every arena.
PINNED = """
objects = [bytes(67) for _ in range(1_500_000)]
kept = objects[::100]
del objects
"""

LARGE_BUFFER = "buffer = bytearray(b'x') * 500_000_000\n"

NATIVE = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for _ in range(30_000):
    libc.memset(libc.malloc(3000), 1, 3000)
"""

THREADS = """
import threading
over, kept, built = threading.Event(), [], threading.Barrier(17)
def work():
    mine = [bytes(900) for _ in range(6000)] + [str(i) for i in range(6000)]
    kept.append(mine)
    built.wait()
    over.wait()
for _ in range(16):
    threading.Thread(target=work, daemon=True).start()
built.wait()
"""

# A sort that calls itself takes some kilobytes of the C stack each time.
DEEP = """
import threading
over, deep = threading.Event(), threading.Barrier(25)
def dive(depth):
    if depth == 0:
        deep.wait()
        over.wait()
    else:
        [0].sort(key=lambda _: dive(depth - 1))
for _ in range(24):
    threading.Thread(target=dive, args=(150,), daemon=True).start()
deep.wait()
"""

FORKED = """
import gc, os, sys, time
kept = [bytes(100) for _ in range(600_000)]
gc.freeze()
if os.fork() == 0:
    {child}
    while True:
        sum(range(3000))
        time.sleep(0.01)
"""
SHARING = FORKED.format(child="pass")
# Each object's reference count is written, so each page is copied.
COPYING = FORKED.format(child="copies = list(kept)")

JEMALLOC = next(iter(glob.glob("/usr/lib/*/libjemalloc.so.2")), "")

HEAPS = {
    "talk, half kept": TALK,
    "talk, all deleted": TALK_DELETED,
    "talk, trimmed": TALK_TRIMMED,
    "pinned arenas": PINNED,
    "large buffer": LARGE_BUFFER,
    "native": NATIVE,
    "threads": THREADS,
    "deep stacks": DEEP,
    "sharing": SHARING,
    "copying": COPYING,
}
if JEMALLOC:
    HEAPS["jemalloc"] = NATIVE

# Some megabytes a second, as long as it is looked at.
LEAK = """
import sys, time
class Leaked: __slots__ = ("payload",)
kept = [bytes(100) for _ in range(500_000)]
print("READY", flush=True)
while True:
    for _ in range(4000):
        one = Leaked(); one.payload = bytes(150); kept.append(one)
    time.sleep(0.05)
"""
LEAK_NATIVE = (
    NATIVE.replace("range(30_000)", "range(25_000)")
    + """
import time
print("READY", flush=True)
while True:
    for _ in range(200):
        libc.memset(libc.malloc(4000), 1, 4000)
    time.sleep(0.05)
"""
)
