"""An application that ends its interpreter and starts another, in one process, many times."""

import json
import shlex
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from running import Program, assert_equal
from starting import environment

LIVES = 100
SOURCE = Path(__file__).parent / "embedding" / "lives.c"
MEGABYTE = 1_000_000

# Each life builds a heap and says what the process has; from the one in the middle on, the
# process serves.
CODE = """
import os, sys, time

kept = [object() for _ in range(20_000)]
del kept[::3]
if life == lives // 2:
    time.sleep(1.5)

def rows(name):
    with open("/proc/self/" + name) as file:
        return file.read().splitlines()

def look():
    threads = os.listdir("/proc/self/task")
    tables = [os.listdir(f"/proc/self/task/{thread}/fd") for thread in threads]
    return {
        "threads": len(threads),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "largest_table": max(map(len, tables)),
        "maps": len(rows("maps")),
        "resident": int(rows("statm")[0].split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }
"""

# What is scraped is compared with what is read, with nothing run between.
LAST = """
import json
if life > lives // 2:
    print(json.dumps(look()), flush=True)
if life == lives:
    native.compare()
    print("at rest", flush=True)
    native.compare()
    time.sleep(3)
    print(json.dumps(native.compare()["ours"]), flush=True)
    sys.stdin.readline()
"""

INSIDE = """
native = sys.modules["pymalloc_exporter._native"]
both = native.compare()
assert both["agree"], (life, both)
"""


def library(kind):
    """What to link for libpython as a shared or a static library; a str: why there is none."""
    get = sysconfig.get_config_var
    if kind == "shared":
        folder = get("LIBDIR")
        if not Path(folder, f"libpython{get('LDVERSION')}.so").exists():
            return "this interpreter has no shared libpython to embed"
        return [f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{get('LDVERSION')}"]
    file = Path(get("LIBPL"), get("LIBRARY"))
    names = ("LIBS", "SYSLIBS", "MODLIBS")
    others = [name for each in names for name in shlex.split(get(each) or "") if name.strip()]
    for path in (str(file), *others):
        # Debian's MODLIBS has a library of the build that no package brings.
        if path.endswith(".a") and not Path(path).exists():
            return f"{path} is not there to link a static libpython"
    # Debian's was not compiled for executables that may lie anywhere.
    return [str(file), "-no-pie", *shlex.split(get("LINKFORSHARED")), *others]


@pytest.fixture(params=["shared", "static"])
def lives(request, tmp_path):
    """The command in front of COUNT CODE."""
    libpython = library(request.param)
    if isinstance(libpython, str):
        pytest.skip(libpython)
    program = tmp_path / "lives"
    include = f"-I{sysconfig.get_path('include')}"
    built = subprocess.run(
        ["cc", include, str(SOURCE), "-o", str(program), *libpython],
        capture_output=True,
        text=True,
    )
    # Debian's, from 3.14 on, lacks the hashes that it uses; 3.15's needs one library more.
    for missing in ("cannot find -lzstd", "undefined reference to `_Py_LibHacl"):
        if request.param == "static" and missing in built.stderr:
            pytest.skip(f"this static libpython cannot be linked: {missing}")
    assert built.returncode == 0, built.stderr
    return ["/usr/bin/env", f"PYTHONHOME={sys.base_prefix}", str(program)]


def read_lives(stdout):
    """What is said of the lives of the second half."""
    return [json.loads(stdout.readline()) for _ in range(LIVES // 2)]


def grown(seen):
    """By how much the process grew in the lives in `seen`, the first of which is warm."""
    return seen[-1]["resident"] - seen[1]["resident"]


def without(lives):
    done = subprocess.run(
        [*lives, str(LIVES), CODE + LAST.partition("if life == lives:")[0]],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_hundred_interpreters_one_after_the_other(lives, free_port):
    """Regression: from the second one on, pymalloc was down for ever (no_oracle)."""
    command = [*lives, str(LIVES), CODE + INSIDE + LAST]
    with Program("", free_port, command, PYMALLOC_EXPORTER_INTERVAL="0.001") as program:
        seen = read_lives(program.process.stdout)
        assert {one["threads"] for one in seen} == {seen[0]["threads"]}
        assert seen[0]["threads"] > 2, "it should serve by now"
        assert {one["descriptors"] for one in seen} == {seen[0]["descriptors"]}
        # The server's own, too, where the kernel gives it a table of its own.
        assert max(one["largest_table"] for one in seen) < seen[0]["largest_table"] + 8
        assert program.process.stdout.readline() == "at rest\n"
        time.sleep(0.5)
        rows = program.scrape()
        assert [program.reason(name) for name in ("pymalloc", "gc", "process")] == [None] * 3
        ours = json.loads(program.process.stdout.readline())
        assert_equal(rows, ours)
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        assert program.process.wait(20) == 0
    bare = without(lives)
    assert {one["descriptors"] for one in bare} == {seen[0]["descriptors"]}
    # 3.12 leaves the whole heap of an interpreter behind, with what is ours in it.
    assert grown(seen) < 1.1 * grown(bare) + MEGABYTE
    assert seen[-1]["maps"] - seen[1]["maps"] < bare[-1]["maps"] - bare[1]["maps"] + 10


def test_an_application_without_the_exporter_in_its_last_life(lives, free_port):
    """An interpreter that does not want it leaves the figures of the last that did: down."""
    code = """
import os, sys, time
assert (life < lives) == ("pymalloc_exporter._native" in sys.modules)
if life == lives - 1:
    time.sleep(1.5)
    # The next interpreter reads the environment anew.
    os.environ["PYMALLOC_EXPORTER_LISTEN"] = "off"
if life == lives:
    kept = [bytes(100) for _ in range(200_000)]
    del kept
    time.sleep(0.5)
    print("over", flush=True)
    sys.stdin.readline()
"""
    with Program("", free_port, [*lives, "5", code]) as program:
        assert program.process.stdout.readline() == "over\n"
        assert program.reason("pymalloc") == "interpreter_gone"
        assert program.reason("gc") == "interpreter_gone"
        assert program.reason("process") is None
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        assert program.process.wait(20) == 0
