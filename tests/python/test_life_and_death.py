"""A process ends with the exporter sampling at 1 kHz as it ends without."""

import http.client
import re
import subprocess
import sys
import textwrap
import threading
import urllib.request

import pytest
from running import Program
from starting import BOOTSTRAP, environment

# Old enough to be sampled, and at work: who does nothing has a heap that nobody reads.
SETTLED = """
import os, signal, sys, threading, time
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        kept = [bytes(300) for _ in range(5_000)]

time.sleep(1.1)
work(0.1)
print("settled", flush=True)
"""

PLAIN = {
    "sys.exit": "sys.exit(3)",
    "an exception": "raise KeyError('x')",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "SIGTERM, handled": """
        def stop(*_):
            print("handled", flush=True)
            sys.exit(5)
        signal.signal(signal.SIGTERM, stop)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    """,
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(10)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "os._exit": "os._exit(4)",
    "os.abort": "os.abort()",
    "os.execv": """
        os.execv(sys.executable, [sys.executable, "-c", "print('another'); raise SystemExit(6)"])
    """,
    "an exception in a thread": """
        thread = threading.Thread(target=lambda: 1 / 0, name="t")
        thread.start()
        thread.join()
    """,
    "SystemExit with a text": "raise SystemExit('no more')",
}

RACY = {
    "atexit that forks": """
        import atexit
        def last():
            pid = os.fork()
            work(0.01)
            if pid == 0:
                return  # the child goes on with its own end
            print("child", os.waitpid(pid, 0)[1], flush=True)
        atexit.register(lambda: print("first registered", flush=True))
        atexit.register(last)
        sys.exit(3)
    """,
    "a child that ends at once": """
        for i in range(20):
            pid = os.fork()
            if pid == 0: os._exit(i)
            assert os.waitpid(pid, 0)[1] == i << 8
            work(0.001)
    """,
    "daemon threads that allocate": """
        for _ in range(4):
            threading.Thread(target=work, args=(60,), daemon=True).start()
        work(0.01)
    """,
    "a thread in a system call": """
        reading, writing = os.pipe()
        threading.Thread(target=os.read, args=(reading, 1), daemon=True).start()
        work(0.01)
    """,
    "threads that are waited for": """
        for _ in range(4):
            threading.Thread(target=work, args=(0.03,)).start()
        sys.exit(7)
    """,
    "arenas come and go to the very end": """
        class Last:
            def __del__(self):
                for _ in range(3):
                    kept = [bytes(400) for _ in range(20_000)]
        sys.kept = [Last(), [bytes(400) for _ in range(50_000)]]
        last = Last()
    """,
    "nested forks in threads": """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads

        def fork(depth, codes):
            pid = os.fork()
            if pid == 0:
                work(0.01)
                inner = []
                if depth:
                    thread = threading.Thread(target=fork, args=(depth - 1, inner))
                    thread.start()
                    thread.join()
                os._exit(depth + 1 + sum(inner))
            codes.append(os.waitpid(pid, 0)[1] >> 8)

        codes = []
        threads = [threading.Thread(target=fork, args=(2, codes)) for _ in range(2)]
        for thread in threads: thread.start()
        work(0.01)
        for thread in threads: thread.join()
        print(codes)
    """,
    "fork in a daemon thread at exit": """
        def forks():
            while True:
                try:
                    pid = os.fork()
                except RuntimeError:
                    return  # 3.12 and later: not when the interpreter ends
                if pid == 0: os._exit(0)
                os.waitpid(pid, 0)
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        threading.Thread(target=forks, daemon=True).start()
        work(0.02)
        sys.stdout.flush()
    """,
    "SIGTERM in a forked child": """
        pid = os.fork()
        if pid == 0:
            work(60)
        time.sleep(0.02)
        os.kill(pid, signal.SIGTERM)
        print(os.waitpid(pid, 0)[1])
    """,
}

COPIES_AT_ONCE = 15


def outcome(process):
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, re.sub("0x[0-9a-f]+|Thread-[0-9]+", "SOME", stderr)


def start(script, **variables):
    return subprocess.Popen(
        [sys.executable, str(script)],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_copies(script, count, port):
    """Their outcomes; all run at once and share an endpoint, which is scraped meanwhile."""
    inside = {
        "PYTHONPATH": str(BOOTSTRAP),
        "PYMALLOC_EXPORTER_LISTEN": f"127.0.0.1:{port}",
        "PYMALLOC_EXPORTER_INTERVAL": "0.001",
    }
    over = threading.Event()
    seen = []

    def scrape():
        while not over.wait(0.01):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                    seen.append(page.read().decode())
            except (OSError, http.client.HTTPException):
                continue  # nobody serves yet, or the one that did has ended

    scraping = threading.Thread(target=scrape)
    scraping.start()
    processes = [start(script, **inside) for _ in range(count)]
    try:
        outcomes = [outcome(process) for process in processes]
    finally:
        over.set()
        scraping.join()
        for process in processes:
            process.kill()
            process.wait()
    assert any("pymalloc_bytes{" in page for page in seen), "nothing was sampled"
    return outcomes


def check(program, times, folder, port):
    script = folder / "program.py"
    script.write_text(SETTLED + textwrap.dedent(program))
    expected = outcome(start(script))
    for _ in range(0, times, COPIES_AT_ONCE):
        outcomes = run_copies(script, min(times, COPIES_AT_ONCE), port)
        assert outcomes == [expected] * len(outcomes)


@pytest.mark.parametrize("program", PLAIN.values(), ids=PLAIN.keys())
def test_ends_as_without(program, tmp_path, free_port):
    check(program, 3, tmp_path, free_port)


@pytest.mark.parametrize("program", RACY.values(), ids=RACY.keys())
def test_ends_as_without_every_time(program, tmp_path, free_port):
    check(program, 30, tmp_path, free_port)


EXEC = """
if len(sys.argv) < 4:
    os.execv(sys.executable, [sys.executable, *sys.argv, "again"])
print("images", len(sys.argv), flush=True)
sys.stdin.readline()
"""


def test_is_there_again_in_the_image_that_exec_starts(tmp_path, free_port):
    script = tmp_path / "program.py"
    script.write_text(SETTLED + EXEC)
    command = [sys.executable, str(script)]
    with Program("", free_port, command, PYMALLOC_EXPORTER_INTERVAL="0.001") as program:
        said = [program.process.stdout.readline() for _ in range(5)]
        assert said == ["settled\n"] * 4 + ["images 4\n"]
        assert [program.reason(name) for name in ("process", "pymalloc", "gc")] == [None] * 3
        rows = program.scrape()
        pids = [int(float(value)) for name, value in rows.items() if "process_pid{" in name]
        assert pids == [program.process.pid]
        assert rows["pymalloc_exporter_processes"] == "1"
