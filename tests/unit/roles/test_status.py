"""status.yml: what it says when part of a cluster cannot be asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]


HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
NOWHERE = {"ansible_port": 9, "ansible_ssh_common_args": "-oBatchMode=yes"}


@pytest.mark.parametrize(
    ("controller", "said"),
    [(HERE, "there is no /opt/local/share/ipython"), (NOWHERE, "Connection refused")],
)
def test_a_machine_that_is_not_reachable_hides_no_other(
    tmp_path: Path, controller: dict[str, object], said: str
) -> None:
    machines = {
        role: {
            "ansible_host": "127.0.0.1",
            "sdc_tags": {"ipython_cluster": "ipython", "role": role},
            **how,
        }
        for role, how in {"controller": controller, "engine": NOWHERE}.items()
    }
    inventory = tmp_path / "machines.yml"
    known = {"hosts": machines, "vars": {"sdc_ssh": {}}}
    inventory.write_text(yaml.safe_dump({"all": known}))
    variables = REPOSITORY / "inventory" / "group_vars" / "all.yml"
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-i", str(inventory), "-e", f"@{variables}", "playbooks/status.yml"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    status = done.stdout.partition("TASK [Status]")[2]
    assert "not reachable by ssh" in status, done.stdout
    assert said in status, done.stdout
