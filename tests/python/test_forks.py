"""No thread of ours exists while the interpreter forks and counts; it is back afterwards."""

import textwrap

import pytest
from starting import BOOTSTRAP, PACKAGE, python

PRELUDE = """
import os, resource, sys, threading, time

def threads():
    return len(os.listdir("/proc/self/task"))

def wait_for(count):
    end = time.monotonic() + 10
    while threads() != count:
        if time.monotonic() > end:
            raise SystemExit(f"{threads()} threads, not {count}")
        time.sleep(0.001)

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

wait_for(2)
"""

FORKS = {
    "one after the other": """
        for _ in range(200):
            fork()
    """,
    "so seldom that the thread takes part again": """
        for _ in range(5):
            fork()
            time.sleep(0.1)
    """,
    "beside hooks that take their time": """
        def hook():
            for _ in range(2_000):
                pass
        os.register_at_fork(before=hook, after_in_parent=hook, after_in_child=hook)
        for _ in range(5):
            fork()
    """,
    "in a child": """
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                fork()
                wait_for(2)
                fork()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    """,
    "in hooks before a fork and in a child": """
        busy = False
        def once():
            global busy
            if not busy:
                busy = True
                fork()
                busy = False
        os.register_at_fork(before=once, after_in_child=once)
        for _ in range(5):
            fork()
    """,
    "before a program is started": """
        import subprocess
        for _ in range(5):
            subprocess.run(["true"], preexec_fn=lambda: sum(range(100)), check=True)
    """,
    "in a hook of another fork": """
        depth = 0
        def again():
            global depth
            depth += 1
            if depth == 1:
                fork()
            depth -= 1
        os.register_at_fork(after_in_parent=again)
        for _ in range(20):
            fork()
    """,
    "by a generator": """
        def forks():
            for _ in range(20):
                fork()
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                yield os.waitpid(pid, 0)
        for _ in forks():
            pass
    """,
    "with a terminal": """
        for _ in range(20):
            pid, terminal = os.forkpty()
            if pid == 0:
                os._exit(0)
            os.close(terminal)
            os.waitpid(pid, 0)
    """,
    "that fails": """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            os.forkpty()
        except OSError:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        else:
            raise SystemExit("a terminal without a descriptor")
    """,
}

# Which the interpreter may warn of: there are two threads without us.
BESIDE_THREADS = """
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    forking = threading.Thread(target=lambda: [fork() for _ in range(50)])
    forking.start()
    for _ in range(50):
        fork()
    forking.join()
    over.set()
    other.join()
"""


def run(code, listen, warnings):
    program = PRELUDE + textwrap.dedent(code) + "wait_for(2)\nprint('passed')\n"
    return python(program, BOOTSTRAP, options=("-W", warnings), **listen)


@pytest.mark.parametrize("code", FORKS.values(), ids=FORKS)
def test_nothing_is_warned_of_and_the_thread_returns(code, listen):
    done = run(code, listen, "always")  # under "error" os.fork() keeps its warning to itself
    # 3.15 has something to say of a forkpty() that fails.
    assert (done.returncode, done.stdout, "Warning" in done.stderr) == (0, "passed\n", False)


def test_nothing_is_warned_of_beside_a_hook_that_runs_after_ours(listen):
    code = """
import os, time
def hook():
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
os.register_at_fork(before=hook)
import pymalloc_exporter.start
"""
    program = code + PRELUDE + "fork()\nwait_for(2)\nprint('passed')\n"
    done = python(program, PACKAGE.parent, options=("-W", "always"), **listen)
    assert (done.returncode, done.stdout, done.stderr) == (0, "passed\n", "")


def test_thread_returns_where_several_threads_fork(listen):
    done = run(BESIDE_THREADS, listen, "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "passed\n", "")
