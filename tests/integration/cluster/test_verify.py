"""playbooks/verify.yml: the embedded data center beside itself, and beside another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import started
from .playbooks import BIN, REPOSITORY, DataCenter, eventually, run


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCenter]:
    """As it is when nothing was set: with the container name service."""
    yield from started(tmp_path_factory, cns=True)


def verify(data_center: DataCenter, report: Path) -> str:
    argv = (
        str(BIN / "ansible-playbook"),
        "playbooks/verify.yml",
        "-e",
        f"sdc_verify_report={report}",
    )
    return run(*argv, env=data_center.env).stdout


def test_there_is_no_difference_to_itself(fresh: DataCenter, tmp_path: Path) -> None:
    output = verify(fresh, tmp_path / "report.md")
    assert "0 of " in output and " probes were answered otherwise" in output, output
    answers = json.loads((tmp_path / "report.json").read_text())
    assert len(answers) > 130 and "not asked" not in str(answers["our service"])
    names = {machine["name"] for machine in fresh.api().list_machines()}
    assert names == set(fresh.neighbours.NAMES if fresh.neighbours else ())


def test_what_is_set_otherwise_is_found(data_center: DataCenter, tmp_path: Path) -> None:
    verify(data_center, tmp_path / "report.md")
    report = (tmp_path / "report.md").read_text()
    found = {line[3:] for line in report.splitlines() if line.startswith("## ")}
    # without the container name service machines have no names there, and are called by their ids
    assert found == {"host name", "hosts", "machine", "stopped", "networks", "mdata"}, report


def test_ctrl_c_leaves_no_machine(data_center: DataCenter, tmp_path: Path) -> None:
    """make has the terminal's signal as well as Ansible, and both end before anybody cleans up."""
    said = tmp_path / "said"
    with said.open("w") as output:
        make = subprocess.Popen(
            ["make", "verify"],
            cwd=REPOSITORY,
            env=data_center.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        eventually("a machine was made", lambda: machines(data_center), 180)
        os.killpg(make.pid, signal.SIGINT)
        assert make.wait(180) != 0, said.read_text()
    finally:
        make.kill()
        make.wait()
    assert machines(data_center) == [], said.read_text()


def machines(data_center: DataCenter) -> list[str]:
    """Names of the machines that verify.yml has made."""
    found = data_center.api().list_machines(tags={"sdc_verify": "yes"})
    return [machine["name"] for machine in found]
