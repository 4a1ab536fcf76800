"""What a test run does that is told to end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """A test run that is told to end ends like one that is interrupted: fixtures clean up."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        # pytest-xdist kills the processes that run its tests; told themselves, they clean up
        if config.pluginmanager.hasplugin("dsession"):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
            for process in children.split():
                os.kill(int(process), signal.SIGTERM)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
