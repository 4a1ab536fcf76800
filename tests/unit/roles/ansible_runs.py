"""Plugins as Ansible runs them, and as modules of Python."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[3]


def load(path: str) -> ModuleType:
    """A plugin of the repository as a module of Python."""
    file = REPOSITORY / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ansible(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `ansible` or `ansible-playbook`; all that it says is in stdout."""
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *words],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def on_localhost(
    plugin: str, *options: str, inventory: str = "localhost,", **arguments: object
) -> str:
    """What an action plugin says on the user's computer."""
    words = ["localhost", "-i", inventory, "-m", plugin, *options]
    return ansible("ansible", *words, "-a", json.dumps(arguments)).stdout
