"""The examples, through the client file, on a real cluster."""

from __future__ import annotations

import re
import sys

import pytest

from .playbooks import Cluster, run


def example(cluster: Cluster, name: str, *arguments: str) -> str:
    return run(
        sys.executable,
        f"examples/{name}",
        "--file",
        str(cluster.directory / "ipcontroller-client.json"),
        *arguments,
        env=cluster.data_center.env,
    ).stdout


def test_eigenvalues_average_near_ten(cluster: Cluster) -> None:
    output = example(cluster, "eigenvalues.py")
    averages = [float(found) for found in re.findall(r"(\d+\.\d+)\s*$", output, re.MULTILINE)]
    assert len(averages) == 2, output
    assert all(9.5 < average < 10.7 for average in averages), output


def test_wave_has_the_same_norm_on_any_partition(cluster: Cluster) -> None:
    norms = []
    for partition in (("1", "1"), ("2", "1"), ("1", "2")):
        output = example(
            cluster, "wave2d.py", "--grid", "100", "100", "-t", "2", "--partition", *partition
        )
        found = re.search(r"norm\s*=\s*([\d.]+)", output)
        assert found, output
        norms.append(float(found[1]))
    assert norms == pytest.approx([norms[0]] * 3, abs=5e-7)
