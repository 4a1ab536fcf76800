"""Commands of Ansible as a user gives them, in the repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ...unit.modules.modules_support import ROOT, without_settings


def command(
    program: str, *words: str, environment: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever that is.

    :param environment: what names the data center, and whatever else differs from here
    :param timeout: seconds
    """
    return subprocess.run(
        [Path(sys.executable).with_name(program), *words],
        cwd=ROOT,
        env={**without_settings(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
