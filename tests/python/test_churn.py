"""Arenas come and go under a sampler at 1 kHz: no crash, no wrong sum, no unreadable sample."""

import os
import subprocess
import sys
import urllib.request

SECONDS = float(os.environ.get("CHURN_SECONDS", "30"))

PROGRAM = """
import random, sys, threading, time
from pymalloc_exporter import _native

_native.install(host="127.0.0.1", port={port}, app="churn", interval=0.001,
                slow_interval=0.001, detail="full")
end = time.monotonic() + {seconds}

def churn(seed):
    draw = random.Random(seed)
    kept = []
    while time.monotonic() < end:
        kept.append([bytes(draw.randrange(16, 480)) for _ in range(draw.randrange(20_000))])
        if len(kept) > 8:
            del kept[draw.randrange(len(kept))]
        if draw.random() < 0.1:
            kept.clear()

threads = [threading.Thread(target=churn, args=(seed,)) for seed in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
both = _native.compare()
print(both["agree"], both["ours"]["arenas_freed"] > 50)
print("READY", flush=True)
sys.stdin.readline()
"""


def read_metrics(port):
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def value(text, start):
    lines = [line for line in text.splitlines() if line.startswith(start)]
    assert len(lines) == 1, (start, lines)
    return float(lines[0].rpartition(" ")[2])


def test_arena_churn_at_1_khz(free_port):
    program = PROGRAM.format(port=free_port, seconds=SECONDS)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "True True\n"
        assert process.stdout.readline() == "READY\n"
        text = read_metrics(free_port)
        series = '{app="churn",worker="0"'
        assert value(text, "pymalloc_exporter_slots_rejected_total") == 0
        assert value(text, f'pymalloc_exporter_collector_up{series},collector="pymalloc"') == 1
        states = ("live", "free_block", "free_pool", "uncarved", "overhead")
        parts = sum(value(text, f'pymalloc_bytes{series},state="{state}"') for state in states)
        arenas = value(text, f"pymalloc_arenas{series}")
        assert parts == arenas * value(text, f"pymalloc_arena_size_bytes{series}")
        process.stdin.write("\n")
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.wait()
