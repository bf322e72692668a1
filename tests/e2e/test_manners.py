"""A program behaves with the exporter inside as it does without."""

from __future__ import annotations

import re
import signal
import subprocess
import textwrap
from pathlib import Path

import processes
import pytest
from gunicorn_service import Service
from interpreters import INTERPRETERS
from processes import wait_until
from running_server import clean_environment, exporter_command

# What a program can see of its process, without the C library's own signal for setuid(),
# which every program with a thread has.
LOOK = """
def look(say):
    import os, threading
    status = open("/proc/self/status").read()
    masks = {}
    for line in status.splitlines():
        if line.startswith(("SigBlk", "SigIgn", "SigCgt")):
            name, mask = line.split()
            masks[name] = int(mask, 16) & ~(1 << 32)
    print(say, sorted(os.listdir("/proc/self/fd")), threading.active_count(), masks, flush=True)
"""

PROGRAMS = {
    "itself": 'look("itself")',
    "after a while": 'import time; time.sleep(1.5); look("leading")',
    "os.fork": """
        import os
        if os.fork() == 0:
            look("child")
            os._exit(7)
        print(os.wait()[1], flush=True)
    """,
    "os.fork again and again, serving": """
        import os, time
        time.sleep(1.3)
        for _ in range(50):
            if os.fork() == 0:
                os._exit(0)
            assert os.wait()[1] == 0
        look("parent")
    """,
    "fork and exec, posix_spawn, subprocess": """
        import os, subprocess, sys
        code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
        subprocess.run([sys.executable, "-S", "-c", code])
        subprocess.run([sys.executable, "-S", "-c", code], close_fds=False)
        pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", code], os.environ)
        print(os.waitpid(pid, 0)[1])
    """,
    "multiprocessing, fork": """
        import multiprocessing
        context = multiprocessing.get_context("fork")
        process = context.Process(target=look, args=("child",))
        process.start(); process.join(); print(process.exitcode)
    """,
    "close all descriptors": """
        import os, time
        time.sleep(1.3)
        os.closerange(3, 65536)
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        time.sleep(0.3)
        print(fds, [os.fstat(fd).st_rdev for fd in fds] == [os.stat("/dev/null").st_rdev] * 20)
    """,
    "sys.exit": "import sys; sys.exit(3)",
    "an exception": "raise KeyError('x')",
    "os._exit": "import os; os._exit(4)",
    "SIGTERM": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "os.abort": "import os; os.abort()",
    "atexit that forks": """
        import atexit, os
        def last():
            pid = os.fork()
            if pid == 0: os._exit(0)
            print(os.waitpid(pid, 0)[1], flush=True)
        atexit.register(last)
    """,
    "an exception in a thread": """
        import threading
        threading.Thread(target=lambda: 1 / 0, name="t").start()
    """,
    "a daemon thread at exit": """
        import threading, time
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        print("over")
    """,
    "exec": """
        import os, sys
        os.execv(sys.executable, [sys.executable, "-c", "print('another')"])
    """,
    "a program that changes its user": """
        import os
        if os.getuid() == 0: os.setuid(4242)
        print(os.getuid(), os.geteuid())
    """,
}


def outcome(command: list[str], folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        command,
        env=clean_environment(folder, PYTHONFAULTHANDLER=""),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    return done.returncode, done.stdout, re.sub("0x[0-9a-f]+", "ADDRESS", done.stderr)


@pytest.mark.parametrize("version", INTERPRETERS)
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_runs_as_without(program: str, version: str, tmp_path: Path) -> None:
    python = INTERPRETERS[version]
    script = tmp_path / "program.py"
    script.write_text(LOOK + textwrap.dedent(program))
    command = [str(python), "-W", "always", str(script)]
    inside = [*exporter_command(python, processes.free_port(), "--interval", "0.05"), *command]
    assert outcome(inside, tmp_path) == outcome(command, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_as_without(python: Path, number: signal.Signals, tmp_path: Path) -> None:
    command = [str(python), "-c", "import time; print('up', flush=True); time.sleep(60)"]
    codes = []
    for before in ([], exporter_command(python, processes.free_port())):
        process = subprocess.Popen(
            [*before, *command],
            env=clean_environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.send_signal(number)
        codes.append(process.wait(20))
        process.stdout.close()
    assert codes[0] == codes[1]


def private_bytes_of_workers(python: Path, folder: Path, exporter: bool) -> int:
    """The most that a worker has for itself beside 200 MB from its master."""
    service = Service(
        python, folder, "--preload", application="heavy:application", exporter=exporter
    )
    try:
        service.wait_serving()
        if exporter:
            service.wait_complete(60)
            walked = service.scrape().by_worker("pymalloc_bytes", state="live")
            assert min(walked.values()) > 150_000_000
        wait_until(lambda: len(service.workers()) == 4, "all workers")
        return max(processes.private_bytes(pid) for pid in service.workers())
    finally:
        service.close()


def test_memory_shared_with_the_master_stays_shared(tmp_path: Path, python: Path) -> None:
    """Every collector has read what the workers inherited."""
    inside = private_bytes_of_workers(python, tmp_path, exporter=True)
    without = private_bytes_of_workers(python, tmp_path, exporter=False)
    assert inside - without < 4_000_000
