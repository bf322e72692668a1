"""The dashboards' JSON: generated, in Grafana's schema, and by our own conventions."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from boards import fleet
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard, units
from sources import GRAFANA, board_queries, boards, panels, selectors, variables

BOARDS = boards()
UNITS = {text for name, text in vars(units).items() if not name.startswith("_")}


def test_there_are_three() -> None:
    assert list(BOARDS) == [f"python-memory-{name}" for name in ("capacity", "process", "service")]


def test_they_are_what_the_source_makes() -> None:
    command = [sys.executable, str(GRAFANA / "generate"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0), "grafana/generate writes them anew"


@pytest.mark.parametrize("name", BOARDS)
def test_the_typed_model_reads_and_writes_the_same(name: str) -> None:
    register_default_plugins()
    read = dashboard.Dashboard.from_json(BOARDS[name])
    assert json.loads(JSONEncoder().encode(read)) == BOARDS[name]
    assert 39 <= read.schema_version <= 41


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(BOARDS[name]):
        title = panel["title"]
        assert title and len(panel.get("description", "")) > 20, title
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        assert unit in UNITS or re.fullmatch(r"(suffix|prefix):.+", unit), (title, unit)
        assert panel["targets"], title


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap_and_fill_their_rows(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        for y in range(place["y"], place["y"] + place["h"]):
            for x in range(place["x"], place["x"] + place["w"]):
                assert x < 24, panel["title"]
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    highest = max(y for _, y in taken)
    assert len(taken) == 24 * (highest + 1)


@pytest.mark.parametrize("name", BOARDS)
def test_every_selector_names_job_and_instance(name: str) -> None:
    for query in board_queries(BOARDS[name]):
        found = selectors(query.expression)
        assert found, query
        for _, matchers in found:
            assert 'job=~"$job"' in matchers and 'instance=~"$instance"' in matchers, query


@pytest.mark.parametrize("name", BOARDS)
def test_variables_and_links(name: str) -> None:
    board = BOARDS[name]
    assert list(variables(board)) == ["datasource", "job", "instance", "app", "worker"]
    for variable in ("job", "instance", "app", "worker"):
        assert variables(board)[variable]["multi"] and variables(board)[variable]["includeAll"]
        used = [query for query in board_queries(board) if f'"${variable}"' in query.expression]
        assert used, variable
    assert board["links"][0]["tags"] == board["tags"] == ["pymalloc_exporter"]
    assert board["graphTooltip"] == 1
    assert board["uid"] == name.replace("python-memory", "pymalloc")


def test_a_worker_has_at_most_200_series() -> None:
    assert fleet.series_of_worker(full=False) <= 200


def test_the_table_of_series_is_near_the_truth() -> None:
    """A metric more or less need not change it; a tenth more has to."""
    written = (GRAFANA / "README.md").read_text().split("<!-- series:")[1]
    now = fleet.table()
    counts = [
        [int(cell.replace(",", "")) for cell in re.findall(r"\| ([\d,]+) \|", text)]
        for text in (written, now)
    ]
    assert len(counts[0]) == len(counts[1]) == 8
    for said, computed in zip(*counts):
        assert abs(said - computed) <= 0.1 * computed
