"""Other Pythons of this computer, for the tests that need two."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

OWN = "{}.{}".format(*sys.version_info)
PY = f"py{OWN.replace('.', '')}"
"""How names of pkgsrc's packages for it begin."""
VERSIONS = ("3.13", "3.12", "3.11", "3.14")


@dataclass(frozen=True)
class Python:
    """An installed CPython: its version is `3.13`."""

    executable: Path
    version: str


def _candidates(version: str) -> Iterator[Path]:
    for directory in os.get_exec_path():
        yield Path(directory, f"python{version}")
    yield from Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}")


@functools.cache
def _others() -> list[Python]:
    found = []
    for version in VERSIONS:
        for path in _candidates(version) if version != OWN else ():
            probe = [
                str(path),
                "-c",
                "import sys, ssl, venv; print('%d.%d' % sys.version_info[:2])",
            ]
            try:
                done = subprocess.run(probe, capture_output=True, text=True, check=False)
            except OSError:
                continue
            if done.stdout.strip() == version:
                found.append(Python(path.resolve(), version))
                break
    return found


def other_python() -> Python:
    """A Python of another minor version than the running one; skips where there is none."""
    if not _others():
        pytest.skip(f"no second Python ({', '.join(VERSIONS)}) is installed")
    return _others()[0]
