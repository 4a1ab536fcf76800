"""The launch curve's benchmark, short: two engines, one round, every figure of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .playbooks import DataCenter, run


def test_short_curve(data_center: DataCenter, tmp_path: Path) -> None:
    file, page = tmp_path / "curve.json", tmp_path / "curve.md"
    command = [sys.executable, "benchmarks/curve.py", "--short"]
    run(*command, f"--json={file}", f"--markdown={page}", env=data_center.env)
    document = json.loads(file.read_text())
    (size,) = document["sizes"]
    assert size["engines"] == 2
    for way in ("metadata", "ssh"):
        figures = size[way]
        assert all(figures[name] > 0 for name in ("floor", "first", "second", "teardown")), figures
        # what it costs on a busy machine, too: the target for 16 engines is 3
        assert figures["ratio"] < 6, f"{way}: {figures}"
        assert figures["second"] < figures["first"] + figures["floor"], f"{way}: {figures}"
        assert f"| 2 | {way} | 1 | {figures['floor']} | {figures['first']} |" in page.read_text()
    assert size["tasks_per_second"] > 0
    assert size["broadcast_8MB"] > 0
    assert 0 < size["memory_MiB"] < 1024
    assert 0 < document["computing"]["registration"] < 10
    assert document["computing"]["map_speedup"] > 1
    assert not data_center.machines("curve"), "the benchmark left machines behind"
