"""The boot script: what mdata:execute runs of it, and what the service that it starts runs.

illumos, cmd/svc/startd/method.c: what a start method does beyond its timeout_seconds is killed, and
SmartOS gives svc:/smartdc/mdata:execute, which runs user-scripts, 300 (smartos-live, mdata.xml).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from .conftest import ROOT
from .dtd import real_dtd
from .shells import SHELLS

BOOT = "svc:/pkgsrc/ipyparallel-boot:default"
RECORD = 'printf "%s\\n" "${0##*/} $*" >>"$FAKE/calls"'
COMMANDS = {
    "svcs": 'cat "$FAKE/state"; [ -s "$FAKE/state" ]',
    "svcadm": RECORD,
    "svccfg": f'{RECORD}; [ ! -e "$FAKE/broken" ]',
    "pkgin": f"{RECORD}; exit 1",
}


class Machine:
    """Where a boot script runs; its commands record what they are asked for."""

    def __init__(self, root: Path, shell: str, script: Path) -> None:
        self.root, self.shell = root, shell
        (root / "var/svc").mkdir(parents=True)
        for name, text in COMMANDS.items():
            (root / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / name).chmod(0o755)
        text = script.read_text().replace("PATH=/usr/sbin", f"PATH={root}:/usr/sbin")
        self.script = root / "user-script"
        self.script.write_text(text.replace("/var/svc/", f"{root}/var/svc/"))
        self.manifest = root / "var/svc/ipyparallel-boot.xml"
        self.state("")

    def state(self, sta: str) -> None:
        (self.root / "state").write_text(sta and f"{sta}\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.root / "calls").write_text("")
        return subprocess.run(
            [self.shell, str(self.script), *arguments],
            env={"FAKE": str(self.root), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture(params=SHELLS)
def machine(
    request: pytest.FixtureRequest, tmp_path: Path, boot_scripts: dict[str, Path]
) -> Machine:
    return Machine(tmp_path, request.param, boot_scripts["engine"])


def test_the_user_script_only_starts_a_service(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 0, done.stdout + done.stderr
    new = f"{machine.manifest}.new"
    assert machine.calls() == [f"svccfg import {new}", f"svcadm enable -t {BOOT}"]
    assert machine.manifest.is_file() and not Path(new).exists()


def test_the_service_has_the_time_that_a_download_takes(machine: Machine) -> None:
    machine.run()
    bundle = etree.parse(str(machine.manifest))
    dtd = real_dtd()
    if dtd is not None:
        assert etree.DTD(str(dtd)).validate(bundle)
    service = bundle.find("service")
    assert f"svc:/{service.get('name')}:{service.find('instance').get('name')}" == BOOT
    assert service.find("instance").get("enabled") == "false"
    start = service.find("exec_method[@name='start']")
    assert int(start.get("timeout_seconds")) == 1800
    assert start.get("exec").endswith("/var/svc/mdata-user-script work")
    startd = {p.get("name"): p.get("value") for p in service.iter("propval")}
    assert startd == {"duration": "transient", "timeout_retry": "false"}


@pytest.mark.parametrize(
    ("sta", "asked"),
    [
        ("DIS", [f"svcadm enable -t {BOOT}"]),
        ("ON", [f"svcadm restart {BOOT}"]),
        ("MNT", [f"svcadm clear {BOOT}"]),
    ],
)
def test_it_runs_at_every_boot_and_is_imported_once(
    machine: Machine, sta: str, asked: list[str]
) -> None:
    machine.run()
    machine.state(sta)
    assert (machine.run().returncode, machine.calls()) == (0, asked)
    machine.manifest.write_text("of an earlier version")
    machine.run()
    assert machine.calls() == [f"svccfg import {machine.manifest}.new", *asked]


def test_an_import_that_fails_is_tried_again(machine: Machine) -> None:
    (machine.root / "broken").touch()
    done = machine.run()
    assert done.returncode == 95
    assert "boot script failed: step start, status 1" in done.stdout
    assert not machine.manifest.exists()
    (machine.root / "broken").unlink()
    assert machine.run().returncode == 0
    assert machine.manifest.exists()


def test_the_work_ends_at_the_step_that_fails(machine: Machine) -> None:
    done = machine.run("work")
    assert done.returncode == 95, "SMF_EXIT_ERR_FATAL: no second try"
    assert "boot script: step packages\n" in done.stdout
    assert "boot script failed: step packages, status 1\n" in done.stdout
    assert "step service" not in done.stdout
    assert not machine.manifest.exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_step_that_is_killed_names_the_signal(
    shell: str, tmp_path: Path, render_boot_scripts: Callable[..., dict[str, Path]]
) -> None:
    """`$?` is 256 + 9 in ksh93, 128 + 9 in others (ksh93(1), "Signals")."""
    scripts = render_boot_scripts(boot_script_user_script="#!/bin/sh\nkill -9 $$\n")
    done = Machine(tmp_path, shell, scripts["engine"]).run("work")
    assert done.returncode == 95
    assert "boot script failed: step user-script, killed by signal 9\n" in done.stdout


ENGINE_PART = ROOT / "roles/ipengine/files/boot.sh"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("host", "warned"), [("10.99.0.5", False), ("localhost", False), ("nosuch.invalid", True)]
)
def test_a_controller_whose_name_does_not_resolve(
    tmp_path: Path, shell: str, host: str, warned: bool
) -> None:
    """It is said, and the engine is enabled all the same: it asks again at every start."""
    commands = {
        "mdata-get": f'[ "$1" = ipython.url ] && echo tcp://{host}:20000 || echo secret',
        "svcs": "echo DIS",
        "svcprop": "exit 1",
        "svccfg": "cat >/dev/null",
        "svcadm": RECORD,
    }
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    values = f"instances=engine\npatience=1\npython={sys.executable}\n"
    text = ENGINE_PART.read_text().replace("PATH=/usr/sbin", f"PATH={tmp_path}:/usr/sbin")
    done = subprocess.run(
        [shell, "-s"],
        input=values + text,
        env={"FAKE": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (f"warning: the name of the controller, {host}, does not" in done.stdout) is warned
    assert "secret" not in done.stdout + done.stderr
    assert (tmp_path / "calls").read_text() == "svcadm enable svc:/pkgsrc/ipyparallel:engine\n"
