"""What the host gives machines, and what the doctor says of it."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from localdc.commands import doctor
from localdc.image.host import Host
from localdc.zones.container import OPEN_FILES

LIMITS = """
import resource
from localdc.zones import container
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 3000))
container._set_limits()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_machine_gets_no_more_than_the_host_has() -> None:
    """1024 at first, and as many as the host allows for who asks."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITS], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1024 3000 0 0\n"


def test_doctor_says_which_shell_machines_have(tmp_path: Path) -> None:
    (line, *_) = doctor.host_limits(Host(tmp_path))
    assert "is the host's, not ksh93" in line and "apt-get install ksh" in line
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/ksh93").touch()
    (line, *_) = doctor.host_limits(Host(tmp_path))
    assert line.startswith("/bin/sh of machines is ksh93")


@pytest.mark.parametrize(
    ("hard", "told"), [(3000, True), (OPEN_FILES[1], False), (resource.RLIM_INFINITY, False)]
)
def test_doctor_says_how_many_files_the_host_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: int, told: bool
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    lines = "\n".join(doctor.host_limits(Host(tmp_path)))
    assert (f"{hard} open files at most" in lines) is told
