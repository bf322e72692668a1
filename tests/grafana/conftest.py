"""Fixtures of the tests of dashboards and rules."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "grafana"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
