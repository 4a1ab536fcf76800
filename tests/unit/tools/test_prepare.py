"""`tools/prepare` on machines that lack this or that; only apt-get and id are not the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PREPARE = Path(__file__).parents[3] / "tools" / "prepare"
ALWAYS = ("sh", "dirname", "mktemp", "rm", "touch", "cat", "ssh", "nft", "newuidmap")


class Computer:
    """A checkout that is set up, and a PATH with nothing but what a test puts there."""

    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "checkout"
        self.programs = directory / "bin"
        self.calls = directory / "apt-get-calls"
        for made in (self.checkout / "tools", self.checkout / ".venv/bin", self.programs):
            made.mkdir(parents=True)
        shutil.copy(PREPARE, self.checkout / "tools/prepare")
        (self.checkout / "pyproject.toml").touch()
        (self.checkout / ".venv/.prepared").touch()
        (self.checkout / ".venv/bin/python").symlink_to(sys.executable)
        for name in ALWAYS:
            (self.programs / name).symlink_to(shutil.which(name) or "/bin/true")
        (self.programs / "python3").symlink_to(sys.executable)
        self.program("apt-get", f'echo "$*" >>{self.calls}')

    def program(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def prepare(self, *arguments: str, uid: int) -> subprocess.CompletedProcess[str]:
        self.program("id", f"echo {uid}")
        return subprocess.run(
            [str(self.checkout / "tools/prepare"), *arguments],
            env={**os.environ, "PATH": str(self.programs)},
            capture_output=True,
            text=True,
            check=False,
        )

    def installed(self) -> set[str]:
        """The packages that apt-get was told to install."""
        if not self.calls.exists():
            return set()
        lines = self.calls.read_text().splitlines()
        words = [word for line in lines if line.startswith("install") for word in line.split()[1:]]
        return {word for word in words if not word.startswith("-")} - {"openssh-server"}


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def test_a_user_of_the_project_gets_no_node(computer: Computer) -> None:
    done = computer.prepare(uid=0)
    assert done.returncode == 0, done.stderr
    assert computer.installed() == set()


def test_tests_get_what_runs_the_real_clients_and_the_shell_of_illumos(computer: Computer) -> None:
    done = computer.prepare("tests", uid=0)
    assert done.returncode == 0, done.stderr
    assert computer.installed() == {"nodejs", "npm", "ksh"}


def test_what_is_there_will_do(computer: Computer) -> None:
    computer.program("node", "true")
    computer.program("ksh93", "true")
    assert computer.prepare("tests", uid=0).returncode == 0
    assert computer.installed() == {"npm", "ksh"}


def test_who_is_not_root_is_told(computer: Computer) -> None:
    done = computer.prepare("tests", uid=1000)
    assert done.returncode == 1
    assert "these packages are missing; install them with:" in done.stderr
    assert done.stderr.rstrip().endswith("nodejs npm ksh")
    assert computer.installed() == set()


def test_an_unknown_purpose_is_refused(computer: Computer) -> None:
    done = computer.prepare("test", uid=0)
    assert done.returncode == 2
    assert "unknown argument test; give none, or: tests" in done.stderr
