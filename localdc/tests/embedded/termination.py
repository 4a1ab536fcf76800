"""What a test run does that is told to end."""

from __future__ import annotations

import signal
from types import FrameType

import psutil
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """A test run that is told to end ends like one that is interrupted: fixtures clean up."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        # pytest-xdist kills the processes that run its tests; told themselves, they clean up
        if config.pluginmanager.hasplugin("dsession"):
            for process in psutil.Process().children():
                process.terminate()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
