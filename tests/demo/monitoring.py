"""Starts Prometheus and Alertmanager with the project's own configuration, ports replaced."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import synthetic
from server import program

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
SCRAPE_SECONDS = 1
PATIENCE_SECONDS = 60.0


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return answer.read()


def wait_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """RuntimeError with the program's last words if it does not come up."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            _get(f"http://{address}/-/ready")
            return
        time.sleep(0.1)
    raise RuntimeError(f"{server.args[0]} did not come up:\n{log.read_text()[-2000:]}")


def ask(address: str, path: str, **asked: str) -> list:
    """What Prometheus' API at /api/v1/`path` answers; RuntimeError if it refuses."""
    url = f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
    try:
        data = json.loads(_get(url))["data"]
    except urllib.error.HTTPError as refused:
        raise RuntimeError(f"{asked}: {refused.read().decode()}") from None
    return data["result"] if isinstance(data, dict) else data


def write_configuration(folder: Path, target: str, alertmanager: str, rules: Path) -> Path:
    """The project's scrape configuration, for that target and at the demo's pace."""
    text = (GRAFANA / "prometheus/prometheus.yml").read_text()
    text = text.replace("127.0.0.1:9512", target).replace("127.0.0.1:9093", alertmanager)
    text = text.replace("_interval: 15s", f"_interval: {SCRAPE_SECONDS}s")
    text = text.replace("../rules", str(rules))
    path = folder / "prometheus.yml"
    path.write_text(text)
    return path


@contextlib.contextmanager
def prometheus(
    configuration: Path, address: str, folder: Path, binary: str = "prometheus"
) -> Iterator[str]:
    """Its data and log are in `folder`."""
    log = folder / "prometheus.log"
    options = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=60d",
        f"--web.listen-address={address}",
    ]
    with program([binary, *options], log) as server:
        wait_ready(address, server, log)
        yield address


@contextlib.contextmanager
def alertmanager(address: str, webhook: str, folder: Path) -> Iterator[str]:
    """Sends to http://`webhook`/ without the pauses that are meant for people."""
    text = (GRAFANA / "alertmanager/alertmanager.yml").read_text()
    text = text.replace("127.0.0.1:9094", webhook).replace("group_wait: 30s", "group_wait: 1s")
    text = text.replace("group_interval: 5m", "group_interval: 2s")
    configuration, log = folder / "alertmanager.yml", folder / "alertmanager.log"
    configuration.write_text(text)
    options = [
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with program(["prometheus-alertmanager", *options], log) as server:
        wait_ready(address, server, log)
        yield address


def make_history(folder: Path) -> float:
    """Writes 30 synthetic days into `folder`/data; their last moment."""
    text, end = folder / "history.txt", time.time()
    with text.open("w") as out:
        synthetic.write(out, end)
    # Few blocks: each is opened when Prometheus starts.
    command = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=720h"]
    command += ["openmetrics", str(text), str(folder / "data")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-2000:]}")
    text.unlink()
    return end
