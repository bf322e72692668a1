"""The README's table of metrics and the code's are the same."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_readme_names_every_metric_and_no_other():
    code = (ROOT / "exporter/publish/metric_table.cc").read_text()
    known = re.findall(r'\{Metric::\w+, "(\w+)"', code)
    readme = (ROOT / "README.md").read_text()
    table = readme.split("<!-- metrics:")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(known) > 50
    assert sorted(named) == sorted(known)
