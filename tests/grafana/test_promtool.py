"""promtool of this release of Debian and of a newer one read, check and test the rules."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from sources import CASES, GRAFANA, RULES

TOOLS = Path(__file__).resolve().parents[1] / "tools"
NEWER_SUITE = "forky"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pymalloc-exporter"


@pytest.fixture(scope="module", params=["system", NEWER_SUITE])
def promtool(request: pytest.FixtureRequest) -> str:
    """Fails, and says that it is the archive, where the newer one cannot be had."""
    if request.param == "system":
        return "promtool"
    folder = CACHE / f"promtool-{NEWER_SUITE}"
    command = [TOOLS / "fetch_debian_package", NEWER_SUITE, folder, "promtool"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"nothing was tested with the newer Prometheus: {done.stderr}", pytrace=False)
    return str(folder / "usr/bin/promtool")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_newer_one_is_of_the_third_generation(promtool: str) -> None:
    major = int(re.search(r"version (\d+)\.", run(promtool, "--version"))[1])
    assert major >= (2 if promtool == "promtool" else 3)


def test_rules(promtool: str) -> None:
    run(promtool, "check", "rules", *RULES)


def test_cases(promtool: str) -> None:
    run(promtool, "test", "rules", *CASES)


@pytest.mark.parametrize("name", ["prometheus", "kubernetes", "remote-write", "federate"])
def test_configurations(promtool: str, name: str, tmp_path: Path) -> None:
    text = (GRAFANA / f"prometheus/{name}.yml").read_text()
    # Debian builds Prometheus without discovery in Kubernetes; all but that line is checked.
    text = re.sub(r"kubernetes_sd_configs:\n +- role: pod\n", "static_configs: []\n", text)
    (tmp_path / "checked.yml").write_text(text)
    run(promtool, "check", "config", "--syntax-only", tmp_path / "checked.yml")


def test_configuration_finds_the_rules(promtool: str) -> None:
    said = run(promtool, "check", "config", GRAFANA / "prometheus/prometheus.yml")
    assert said.count("rules found") == len(RULES)
