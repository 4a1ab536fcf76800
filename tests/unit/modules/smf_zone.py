"""A real svc.startd as an ordinary process, and its commands on the PATH, for the smf modules."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from embedded.center import SOURCES

HEADER = """<?xml version="1.0"?>
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<service_bundle type="manifest" name="test">
"""
STARTD = "localdc.smartos.smf.startd.startd"
METHOD = 'type="method" timeout_seconds="5"'


def manifest(
    start: str = "/bin/sleep 1000",
    *,
    name: str = "site/job",
    instances: str = '<instance name="one" enabled="false"/>',
    dependency: str = "",
    extra: str = "",
) -> str:
    """A manifest with a service of the wait model."""
    return f"""{HEADER}<service name="{name}" type="service" version="1">
{dependency}
<exec_method name="start" {METHOD} exec="{start}"/>
<exec_method name="stop" {METHOD} exec=":kill"/>
<property_group name="startd" type="framework">
<propval name="duration" type="astring" value="child"/></property_group>
<property_group name="config" type="application">
<propval name="url" type="astring" value="tcp://"/>
<propval name="timeout" type="integer" value="4"/>
<propval name="verbose" type="boolean" value="false"/></property_group>
{extra}{instances}</service></service_bundle>
"""


class Zone:
    """The daemon below a directory, its commands as scripts that note each call."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.bin = directory / "bin"
        self.calls = directory / "calls"
        self.door = self.root / "etc/svc/volatile/repository_door"
        self.root.mkdir(parents=True)
        self.bin.mkdir()
        for command in ("svcs", "svcadm", "svccfg", "svcprop"):
            script = self.bin / command
            script.write_text(
                f"#!{sys.executable} -S\nimport os, sys\nsys.path.insert(0, {str(SOURCES)!r})\n"
                f"os.environ['LOCALDC_SMF_DOOR'] = {str(self.door)!r}\n"
                f"with open({str(self.calls)!r}, 'a') as log:\n"
                f"    log.write(' '.join([{command!r}, *sys.argv[1:]]) + '\\n')\n"
                "from localdc.smartos.command import run\n"
                "from localdc.smartos.smf.commands.client import main\n"
                f"run(lambda: main({command!r}))\n"
            )
            script.chmod(0o755)
        self.process = subprocess.Popen(
            [sys.executable, "-m", STARTD, "--root", str(self.root), "--no-namespaces"],
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
            cwd="/",
        )
        deadline = time.monotonic() + 10
        while not self.door.exists():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(70)

    def run(self, command: str, *args: str) -> str:
        done = subprocess.run(
            [self.bin / command, *args], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def load(self, text: str) -> None:
        file = self.root / "manifest.xml"
        file.write_text(text)
        self.run("svccfg", "import", str(file))

    def commands(self) -> list[str]:
        """Commands since the last question, as `command subcommand`."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return lines

    def prop(self, name: str, fmri: str = "svc:/site/job:one") -> str:
        return self.run("svcprop", "-p", name, fmri).strip()
