"""A machine whose sshd has another port (tag tritoncli.ssh.port) is asked there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
PORTS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")
CONNECTION = {"interface": "tcp://127.0.0.1", **dict.fromkeys(PORTS, 20000)}
MACHINE = {
    "ansible_connection": "local",
    "ansible_host": "192.0.2.9",
    "ansible_port": 2222,
    "ansible_user": "root",
    "ansible_ssh_common_args": "",
}
INVENTORY = {"cluster_one": {"hosts": {"controller": MACHINE}}}
FACTS = {"sdc_cluster_data_center": {"running": True}, "existing": {"all": ["controller"]}}


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that plays a site.yml in a directory with an ssh that notes its arguments."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "machines.yml").write_text(yaml.safe_dump({"all": {"children": INVENTORY}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    variables = {
        "cluster": "one",
        "client_file": f"{tmp_path}/ipcontroller-client.json",
        "ansible_python_interpreter": sys.executable,
    }
    command = [program, "-i", f"{tmp_path}/machines.yml", "-e", json.dumps(variables)]
    return [*command, f"{tmp_path}/site.yml"]


def run(command: list[str], play: dict[str, object]) -> str:
    Path(command[-1]).write_text(yaml.safe_dump([play]))
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_evidence_comes_from_the_port(play: list[str], tmp_path: Path) -> None:
    know = {"ansible.builtin.set_fact": FACTS, "delegate_to": "localhost", "delegate_facts": True}
    said = run(play, {"hosts": "cluster_one", "tasks": [know, {"ansible.builtin.fail": {}}]})
    assert "WHAT FAILED" in said and "teardown.yml -e cluster=one" in said
    asked = (tmp_path / "asked").read_text().split()
    assert asked[asked.index("-p") + 1] == "2222"


def test_the_tunnel_leads_through_the_port(play: list[str]) -> None:
    role = {"name": "ipclient", "rolespec_validate": False}
    facts = {"ansible.builtin.set_fact": {"ipcontroller_client": CONNECTION, "cacheable": True}}
    client = {"ipclient_controller": "controller", "ipclient_file": "{{ client_file }}"}
    tunnel = {"ansible.builtin.import_role": role, "vars": client, "delegate_to": "localhost"}
    said = run(
        [*play[:-1], "--check", "--diff", play[-1]],
        {"hosts": "cluster_one", "tasks": [facts, tunnel]},
    )
    assert "port: 2222" in said, said
