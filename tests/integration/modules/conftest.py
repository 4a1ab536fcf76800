"""A data center of its own, and Ansible run in it as its users run it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded.center import REPOSITORY, Center
from embedded.fixtures import STORE, able, running
from smartdc import Machine

__all__ = ["able"]
PLAY = {
    "hosts": "localhost",
    "gather_facts": False,
    "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
}


@dataclass
class Ansible:
    """Tasks for one data center, by `ansible-playbook`."""

    center: Center
    directory: Path

    def run(self, *tasks: dict[str, Any], expect: int = 0) -> list[dict[str, Any]]:
        """The results of the tasks, which all are in one play."""
        steps: list[dict[str, Any]] = []
        for number, task in enumerate(tasks):
            steps.append({"name": f"Task {number}", **task, "register": f"r{number}"})
        answer = self.directory / "results.json"
        answer.unlink(missing_ok=True)
        names = ", ".join(f"r{number}" for number in range(len(tasks)))
        text = "{{ [" + names + "] | to_json }}"
        steps.append(
            {"ansible.builtin.copy": {"content": text, "dest": str(answer), "mode": "0600"}}
        )
        (self.directory / "play.yml").write_text(json.dumps([{**PLAY, "tasks": steps}]))
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *("-i", "localhost,", "-c", "local", "--diff"),
                self.directory / "play.yml",
            ],
            cwd=self.directory,
            env={**self.center.environment(), "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert "[DEPRECATION" not in done.stderr, done.stderr
        found: list[dict[str, Any]] = json.loads(answer.read_text()) if expect == 0 else []
        return found

    def change(self, module: str, **wish: Any) -> dict[str, Any]:
        """Make a change: predicted by check mode, which changes nothing; then idempotent."""
        task = {module: wish}
        predicted, made, again = self.run({**task, "check_mode": True}, task, task)
        assert predicted["changed"] and made["changed"] and not again["changed"]
        assert predicted["diff"] == made["diff"]
        assert predicted["diff"]["before"] != predicted["diff"]["after"]
        return made


@pytest.fixture(scope="module")
def center(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    center = Center(tmp_path_factory.mktemp("modules") / "dc", STORE)
    center.variables = {"HOME": str(tmp_path_factory.mktemp("home"))}
    yield from running(center)


@pytest.fixture(scope="module")
def ansible(center: Center, tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    return Ansible(center, tmp_path_factory.mktemp("plays"))


@pytest.fixture(scope="module")
def machines(center: Center, ansible: Ansible) -> dict[str, Machine]:
    """Two machines that see each other; `walled` is behind the firewall."""
    offer = {"package": "sample-512M", "image": "base-64-lts", "wait": "ssh"}
    wall = {**offer, "name": "walled", "networks": ["external"], "firewall_enabled": True}
    ansible.run(
        {"sdc_machine": {**offer, "name": "open", "networks": ["external"]}},
        {"sdc_machine": {**wall, "wait": "running"}},
    )
    return {machine.name: machine for machine in center.api().machines()}
