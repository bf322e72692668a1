"""Programs with the exporter inside, and what they publish."""

import subprocess
import sys
import time
import urllib.request


class Program:
    """A program with the exporter inside, waiting for a line on its standard input.

    Runs `code`, or `command`, which may be no interpreter but hold one.
    """

    def __init__(self, code, port, command=(), **variables):
        settings = {
            "PYMALLOC_EXPORTER_LISTEN": f"127.0.0.1:{port}",
            "PYMALLOC_EXPORTER_INTERVAL": "0.1",
            "PYMALLOC_EXPORTER_DETAIL": "full",
            **variables,
        }
        options = settings.pop("OPTIONS", "").split()
        runner = [sys.executable, "-m", "pymalloc_exporter", "run", "--"]
        self.port = port
        self.process = subprocess.Popen(
            [*runner, *(command or [sys.executable, *options, "-c", code])],
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def scrape(self):
        """{series: value}, once there is a first sample."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    lines = answer.read().decode().splitlines()
            except OSError:
                lines = []
            rows = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            if any(name.startswith("process_pid") for name in rows):
                return rows
            time.sleep(0.05)
        raise TimeoutError("no sample")

    def scrape_when(self, name):
        """The same, once a series of that name is there."""
        end = time.monotonic() + 15
        while time.monotonic() < end:
            rows = self.scrape()
            if any(row.startswith(name) for row in rows):
                return rows
            time.sleep(0.05)
        raise TimeoutError(name)

    def reason(self, collector):
        """Why it is down; None for a collector that is up."""
        rows = self.scrape()
        up = [name for name in rows if "collector_up{" in name and f'"{collector}"' in name]
        assert len(up) == 1
        if rows[up[0]] == "1":
            return None
        info = [name for name in rows if "collector_info{" in name and f'"{collector}"' in name]
        return info[0].split('reason="')[1].split('"')[0]

    def reason_once_tried(self, collector):
        """The same, once the collector has run."""
        end = time.monotonic() + 15
        while (reason := self.reason(collector)) == "starting":
            assert time.monotonic() < end, f"{collector} was not tried"
            time.sleep(0.05)
        return reason


def assert_equal(rows, ours):
    """What was scraped is the reading `ours`, which compare() gave."""
    series = "{" + next(name for name in rows if name.startswith("pymalloc_arenas{"))[16:-1]
    assert float(rows[f"pymalloc_arenas{series}}}"]) == ours["arenas"]
    for state in ("live", "free_block", "free_pool", "uncarved", "overhead"):
        row = f'pymalloc_bytes{series},state="{state}"}}'
        assert float(rows[row]) == ours[f"{state}_bytes"], state
    for index, blocks in enumerate(ours["class_live_blocks"]):
        row = f'pymalloc_class_blocks{series},size="{16 * index + 16}",state="live"}}'
        assert float(rows[row]) == blocks, row
