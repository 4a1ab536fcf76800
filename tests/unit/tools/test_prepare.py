"""`tools/prepare` on machines that lack this or that; only apt-get and id are not the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = ("prepare", "data-center")
ALWAYS = ("sh", "dirname", "mktemp", "rm", "touch", "cat", "ssh", "uname")
ZONES = ("nft", "newuidmap")
REAL = {"SDC_URL": "https://cloudapi.example.com", "SDC_ACCOUNT": "me", "SDC_KEY_ID": "ab" * 16}


class Computer:
    """A checkout that is set up, and a PATH with nothing but what a test puts there."""

    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "checkout"
        self.programs = directory / "bin"
        self.calls = directory / "apt-get-calls"
        for made in (self.checkout / "tools", self.checkout / ".venv/bin", self.programs):
            made.mkdir(parents=True)
        for name in TOOLS:
            shutil.copy(ROOT / "tools" / name, self.checkout / "tools" / name)
        (self.checkout / "localdc").mkdir()
        for name in ("pyproject.toml", "localdc/pyproject.toml"):
            (self.checkout / name).touch()
        for purpose in ("use", "tests"):
            (self.checkout / f".venv/.prepared-{purpose}").touch()
        self.own = self.checkout / ".venv/bin/python"
        self.own.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self.own.chmod(0o755)
        for name in (*ALWAYS, *ZONES):
            (self.programs / name).symlink_to(shutil.which(name) or "/bin/true")
        (self.programs / "python3").symlink_to(sys.executable)
        self.program("apt-get", f'echo "$*" >>{self.calls}')

    def program(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def prepare(
        self, *arguments: str, uid: int, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        self.program("id", f"echo {uid}")
        own = {"PATH": str(self.programs), "HOME": str(self.checkout), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [str(self.checkout / "tools/prepare"), *arguments],
            env={**without_settings(), **own, **variables},
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


def without_settings() -> dict[str, str]:
    """The environment without anything that names a data center."""
    prefixes = ("SDC_", "TRITON_", "LOCALDC_")
    return {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}


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
    assert computer.installed() == {"npm"}


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


def laptop(computer: Computer) -> None:
    """As on macOS, or where a company gives no root: nothing of Linux is there."""
    for name in (*ZONES, "apt-get"):
        (computer.programs / name).unlink()


def test_a_data_center_of_others_needs_nothing_of_linux(computer: Computer) -> None:
    laptop(computer)
    done = computer.prepare(uid=501, **REAL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_embedded_data_center_needs_it(computer: Computer) -> None:
    laptop(computer)
    done = computer.prepare(uid=501)
    assert done.returncode == 1
    assert "uidmap" in done.stderr


@pytest.mark.parametrize("version", ["3.14", "3.12"])
def test_a_python_of_any_name_is_found(computer: Computer, version: str) -> None:
    shutil.rmtree(computer.checkout / ".venv")
    (computer.programs / "python3").unlink()
    computer.program(
        f"python{version}", 'case "$*" in *"-m venv"*) echo "made $*" >&2; exit 3 ;; esac; exit 0'
    )
    done = computer.prepare(uid=0)
    assert done.returncode == 3 and "made -m venv .venv" in done.stderr, done.stderr


def test_another_python_makes_the_environment_anew(computer: Computer) -> None:
    script = 'case "$*" in *"-m venv"*) exit 3 ;; *print*) echo 3.99 ;; esac'
    computer.program("python3.99", script)
    done = computer.prepare(uid=0, PYTHON="python3.99")
    assert done.returncode == 3
    assert "and is made anew" in done.stdout and not computer.own.exists()
    assert computer.prepare(uid=0).returncode != 3


def confirm(computer: Computer, answer: str | None, **variables: str) -> tuple[int, str]:
    """tools/data-center confirm, at a terminal where this answer is typed, or without one."""
    env = {**without_settings(), "HOME": str(computer.checkout), **REAL, **variables}
    command = [sys.executable, str(computer.checkout / "tools/data-center"), "confirm"]
    if answer is None:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command, env=env, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        said = process.communicate(timeout=30)[0]
    os.close(ours)
    os.close(theirs)
    return process.returncode, said


def test_machines_that_cost_money_are_asked_for_once(computer: Computer) -> None:
    status, said = confirm(computer, None)
    assert status == 1 and "cost money" in said and "yes=1" in said
    assert confirm(computer, "n")[0] == 1
    status, said = confirm(computer, "y")
    assert status == 0 and "https://cloudapi.example.com" in said and "account me" in said
    assert confirm(computer, None) == (0, "")
    assert confirm(computer, None, SDC_ACCOUNT="other")[0] == 1
    assert confirm(computer, None, SDC_ACCOUNT="other", yes="1")[0] == 0


def test_the_embedded_data_center_needs_no_word(computer: Computer) -> None:
    assert confirm(computer, None, SDC_URL="", SDC_ACCOUNT="", SDC_KEY_ID="") == (0, "")
