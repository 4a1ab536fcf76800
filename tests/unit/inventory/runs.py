"""Runs of `ansible-inventory` with the plugin of this repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ..modules.modules_support import ROOT, without_settings

TOOL = Path(sys.executable).with_name("ansible-inventory")


def inventory(directory: Path, text: str, environment, *arguments: str, warnings: bool = False):
    folder = directory / "inventory"
    folder.mkdir(exist_ok=True)
    (folder / "sdc.yml").write_text(text)
    return run_inventory(directory, folder / "sdc.yml", environment, *arguments, warnings=warnings)


def run_inventory(
    directory: Path, source: Path, environment, *arguments: str, warnings: bool = False
):
    done = subprocess.run(
        [TOOL, "-i", source, "--list", *arguments],
        cwd=directory,
        env={
            **without_settings(),
            "HOME": str(directory),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INVENTORY_PLUGINS": str(ROOT / "plugins/inventory"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if not warnings:
        assert done.stderr == "", done.stderr
    return json.loads(done.stdout, object_hook=_unwrap), done.stderr


def _unwrap(item):
    """ansible-inventory marks strings from elsewhere, which are never templates."""
    return item["__ansible_unsafe"] if set(item) == {"__ansible_unsafe"} else item
