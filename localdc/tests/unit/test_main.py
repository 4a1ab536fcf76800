"""`python -m localdc` by a Python that cannot run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
# no site-packages: a Python that nothing was installed for
PYTHON = [sys.executable, "-S", "-m", "localdc", "doctor"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "localdc is not installed in this Python"), (str(HOUSE / "src"), "needs the package")],
)
def test_one_line_says_what_to_do(path: str, said: str) -> None:
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        PYTHON, cwd=HOUSE.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr and sys.executable in done.stderr and "make setup" in done.stderr
    assert len(done.stderr.splitlines()) == 1
