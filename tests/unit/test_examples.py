"""The examples and run.yml, where there is no cluster to speak of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .modules.ipp_cluster import Ipp

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("example", ["eigenvalues.py", "wave2d.py"])
def test_a_controller_without_engines(tmp_path: Path, example: str) -> None:
    cluster = Ipp(tmp_path)
    try:
        assert cluster.info
        file = str(cluster.security / "ipcontroller-client.json")
        command = [sys.executable, f"examples/{example}", "--file", file]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    finally:
        cluster.stop()
    assert done.returncode == 1
    assert done.stderr.strip() == "No engine is registered with the controller."


def test_run_finds_the_program_from_where_it_is_started(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import os; print('with', os.environ['IPP_CLIENT_FILE'])")
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    variables = ["-e", "script=program.py", "-e", "client_file=FILE", "-i", "localhost,"]
    done = subprocess.run(
        [program, f"{REPOSITORY}/playbooks/run.yml", "--start-at-task=Validate input", *variables],
        cwd=tmp_path,
        # as cron and other programs leave it, who change the directory without a shell
        env={**os.environ, "PWD": "/", "ANSIBLE_CONFIG": f"{REPOSITORY}/ansible.cfg"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "with FILE" in done.stdout, done.stdout
