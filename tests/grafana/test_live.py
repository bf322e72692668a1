"""Every query is put to a real Prometheus that scrapes a real gunicorn, and has an answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import live as running
import monitoring
import pytest
import sources
import synthetic
from boards import fleet
from live import Live, answer, wait_until
from sources import Query

BOARDS = sources.boards()
# Look like metrics and are the package's name, a function's, a component of the ledger,
# verdicts.
NO_METRICS = {
    *("pymalloc_exporter", "malloc_trim", "malloc_mappings"),
    *("malloc_retention", "pymalloc_fragmentation"),
}
CAPACITY = "python-memory-capacity"
QUERIES = [
    pytest.param(name, query, id=f"{name.rsplit('-', 1)[1]}: {query.where}")
    for name, board in BOARDS.items()
    for query in sources.board_queries(board)
]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with running.running() as found:
        yield found


def needs_limit(live: Live, expression: str) -> None:
    if "cgroup_memory_limit" in expression and live.stack.group is None:
        pytest.skip("no control group with a limit can be made here: not proven live")


@pytest.mark.parametrize("name, query", QUERIES)
def test_a_panel_has_an_answer(live: Live, name: str, query: Query) -> None:
    history = name == CAPACITY and query.where != "Restarts"
    if not history:
        needs_limit(live, query.expression)
    wait_until(lambda: answer(live, query, history), f"an answer to {query.expression}")


@pytest.mark.parametrize("name", BOARDS)
def test_variables_have_values(live: Live, name: str) -> None:
    for label, variable in sources.variables(BOARDS[name]).items():
        if variable["type"] != "query":
            continue
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert asked[2] == label
        series = running.filled(live, asked[1], ".+")
        address = live.stack.prometheus
        values = monitoring.ask(address, f"label/{label}/values", **{"match[]": series})
        assert values, label
        if label == "instance":
            assert sorted(values) == sorted([live.stack.exporter, synthetic.INSTANCE])


def test_a_worker_has_the_series_that_are_computed(live: Live) -> None:
    of_worker = Counter(one.labels.get("worker") for one in live.scrape.series)
    del of_worker[None]
    most = max(of_worker.values())
    assert abs(most - fleet.series_of_worker(full=True)) <= 5


@pytest.mark.parametrize("name", sources.recorded())
def test_a_recording_rule_has_an_answer(live: Live, name: str) -> None:
    needs_limit(live, sources.recorded()[name] + name.replace("per_limit", "cgroup_memory_limit"))
    recorded = f'{name}{{instance="{live.stack.exporter}"}}'
    for expression in (sources.recorded()[name], recorded):
        wait_until(lambda e=expression: answer(live, Query(name, e)), f"an answer to {expression}")


@pytest.mark.parametrize("name", sources.alerts())
def test_all_that_an_alert_looks_at_is_there(live: Live, name: str) -> None:
    """The alerts themselves are silent on a healthy service: promtool's cases show them fire."""
    expression = sources.alerts()[name]["expr"]
    answer(live, Query(name, expression))
    for metric, matchers in sources.selectors(expression):
        needs_limit(live, metric.replace("per_limit", "cgroup_memory_limit"))
        one = f"{metric}{{{matchers}}}"
        wait_until(lambda one=one: answer(live, Query(name, one)), f"an answer to {one}")


def test_every_metric_named_anywhere_is_in_the_scrape(live: Live) -> None:
    there = set(live.scrape.types)
    limited = "cgroup_memory_limit_bytes" in there
    assert limited == (live.stack.group is not None)
    there.add("cgroup_memory_limit_bytes")
    recorded = set(sources.recorded())
    named = [
        (query.where, metric)
        for query in sources.every_expression()
        for metric, _ in sources.selectors(query.expression)
    ]
    unknown = {one for one in named if one[1] not in there | recorded | {"up", "ALERTS"}}
    assert not unknown
    for path in [*sources.GRAFANA.rglob("*.yml"), *sources.GRAFANA.rglob("*.md")]:
        text = re.sub(r"instance(_app)?:[\w:]+", "", path.read_text())
        assert set(sources.NAME.findall(text)) <= there | NO_METRICS, path


def test_an_alert_comes_through(live: Live) -> None:
    """A process without arenas: its pymalloc collector is down, and the webhook hears of it."""

    def heard(status: str) -> list[dict]:
        return [
            alert
            for alert in live.alerts
            if alert["status"] == status
            and alert["labels"]["alertname"] == "PythonMemoryCollectorDown"
            and alert["labels"].get("app") == running.WITHOUT_ARENAS
            and alert["labels"]["collector"] == "pymalloc"
        ]

    (alert, *_) = wait_until(lambda: heard("firing"), "the alert at the webhook")
    assert alert["annotations"]["runbook_url"] == "grafana/runbooks/collector-down.md"
    assert (
        f"of {running.WITHOUT_ARENAS} on {live.stack.exporter}"
        in alert["annotations"]["description"]
    )
    live.end_without_arenas()
    wait_until(lambda: heard("resolved"), "word that it is over", 120)
