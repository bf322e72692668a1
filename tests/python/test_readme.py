"""The README's tables are the code's."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows_after(mark):
    """The cells of the README's table behind a comment, without its head."""
    table = (ROOT / "README.md").read_text().split(f"<!-- {mark}:")[1].split("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_readme_names_every_metric_and_no_other():
    code = (ROOT / "exporter/publish/metric_table.cc").read_text()
    known = re.findall(r'\{Metric::\w+, "(\w+)"', code)
    named = [name for row in rows_after("metrics") for name in re.findall(r"`(\w+)`", row[0])]
    assert len(known) > 50
    assert sorted(named) == sorted(known)


def test_readme_has_every_figure_of_the_benchmarks_with_its_goal(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from tests.bench import figures

    measured = {row.name: row.goal for row in figures.rows()}
    assert len(measured) > 5
    assert {name: goal for name, _, goal in rows_after("cost")} == measured
