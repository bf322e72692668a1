"""The endpoint as Prometheus and people find it."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import exposition
import processes
import pytest
from gunicorn_service import Service
from interpreters import INTERPRETERS
from processes import wait_until

Start = Callable[..., Service]
GOLDEN = Path(__file__).parent / "golden"

# Rows that come and go with the machine and with what happened before.
VARYING = (
    "cgroup_",
    "malloc_info",
    "process_resident_memory_huge_bytes",
    "pymalloc_exporter_collector_info",
    "pymalloc_exporter_http_requests_total",
)
# Which types are the largest, neither.
CENSUS = ("python_live_object", "python_pinned_bytes", "python_heap_top_pin_bytes")


def request(service: Service, path: str, method: str = "GET", **headers: str) -> tuple:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_metrics_are_in_the_text_format(shared: Service) -> None:
    status, headers, body = request(shared, "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert exposition.parse(body.decode()).pids() == shared.processes()


def test_metrics_are_compressed_on_request(shared: Service) -> None:
    _, headers, body = request(shared, "/metrics", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert exposition.parse(gzip.decompress(body).decode()).pids() == shared.processes()
    _, headers, _ = request(shared, "/metrics", **{"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in headers


def test_head_has_no_body(shared: Service) -> None:
    status, headers, body = request(shared, "/metrics", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_page_shows_the_workers(shared: Service) -> None:
    status, headers, body = request(shared, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for pid in shared.processes():
        assert f">{pid}<" in body.decode()


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_is_healthy_and_ready(shared: Service, path: str) -> None:
    assert request(shared, path)[0] == 200


def test_knows_no_other_path_and_method(shared: Service) -> None:
    assert request(shared, "/metricsx")[0] == 404
    assert request(shared, "/metrics", "POST")[0] == 405


def test_counts_requests(shared: Service) -> None:
    def counted() -> float:
        rows = shared.scrape().select("pymalloc_exporter_http_requests_total", code="404")
        return sum(row.value for row in rows)

    before = counted()
    request(shared, "/nothing")
    assert counted() == before + 1


def test_promtool_finds_nothing_to_complain_of(shared: Service) -> None:
    text = request(shared, "/metrics")[2]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30
    )
    assert (done.stdout.decode(), done.stderr.decode(), done.returncode) == ("", "", 0)


@pytest.fixture
def prometheus(shared: Service, tmp_path: Path) -> Iterator[str]:
    """A Prometheus that scrapes the service; its address."""
    address = f"127.0.0.1:{processes.free_port()}"
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: pymalloc\n"
        f"    static_configs: [{{targets: ['{shared.address}']}}]\n"
    )
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml"]
    options = [f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={address}"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        yield address
    finally:
        server.terminate()
        server.wait(20)


def query(address: str, expression: str) -> list[dict]:
    url = f"http://{address}/api/v1/query?query={expression}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]["result"]
    except OSError:
        return []


def test_prometheus_has_all_workers(shared: Service, prometheus: str) -> None:
    def pids() -> list[int]:
        return sorted(int(row["value"][1]) for row in query(prometheus, "process_pid"))

    wait_until(lambda: pids() == shared.processes(), "all workers in Prometheus", 30)
    assert [row["value"][1] for row in query(prometheus, "up")] == ["1"]


def normalized(scrape: exposition.Scrape) -> str:
    """Names, types, help and labels; values, workers and reasons of a machine left out."""
    lines = set()
    for row in scrape.series:
        if row.name.startswith(VARYING):
            continue
        labels = {**row.labels, "worker": "N"} if "worker" in row.labels else {**row.labels}
        if row.name.startswith(CENSUS):
            labels["type"] = "N"
        inside = ",".join(f'{name}="{text}"' for name, text in labels.items())
        lines.add(f"{row.name}{{{inside}}} {scrape.types[row.name]}")
    return "\n".join(sorted(lines)) + "\n"


def all_collected(service: Service) -> exposition.Scrape | None:
    """A scrape once no collector has yet to run."""
    scrape = service.complete_scrape()
    infos = scrape.select("pymalloc_exporter_collector_info") if scrape else []
    waiting = any(row.labels["reason"] == "starting" for row in infos)
    return None if waiting else scrape


@pytest.mark.parametrize("version", INTERPRETERS)
def test_golden_scrape(version: str, start: Start, request: pytest.FixtureRequest) -> None:
    flags = {"PYMALLOC_EXPORTER_DETAIL": "full"}
    service = start(python=INTERPRETERS[version], environment=flags)
    service.wait_complete()
    found = normalized(wait_until(lambda: all_collected(service), "every collector's run")).replace(
        service.scrape().select("python_info")[0].labels["version"], version + ".N"
    )
    patch = service.scrape().select("python_info")[0].labels["patchlevel"]
    found = found.replace(f'patchlevel="{patch}"', 'patchlevel="N"')
    golden = GOLDEN / f"{version}.txt"
    if request.config.getoption("--update-golden"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text(), "pytest --update-golden writes it anew"


def test_waits_for_a_port_that_a_stranger_holds(start: Start) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        service = start(port=port)
        service.wait_serving()
        wait_until(service.log_lines, "the line about the port", 15)
    service.wait_complete()
    (line,) = service.log_lines()
    assert f"127.0.0.1:{port}" in line and "in use" in line


def test_two_services_share_an_address(start: Start) -> None:
    port = processes.free_port()
    one, other = start(port=port, app="one"), start(port=port, app="other")

    def both() -> bool:
        scrape = one.try_scrape()
        return scrape is not None and scrape.pids() == sorted(one.processes() + other.processes())

    wait_until(both, "both services in one scrape")
    apps = {row.labels["app"] for row in one.scrape().select("process_pid")}
    assert apps == {"one", "other"}


@pytest.mark.parametrize("warnings", ["error", "always"])
@pytest.mark.parametrize("version", INTERPRETERS)
def test_nothing_is_warned_of(version: str, warnings: str, start: Start) -> None:
    """Under "error" a warning would end the master or a worker, but for that of a fork."""
    service = start("--max-requests=1", python=INTERPRETERS[version], python_flags=("-W", warnings))
    service.wait_complete()
    for _ in range(12):
        service.get()
    service.wait_complete()
    # gunicorn has warnings of its own, of sockets that it leaves to the garbage collector.
    assert warnings == "always" or "DeprecationWarning" not in service.log()
    assert "fork" not in service.log()
    assert not service.log_lines()
