"""What holds for all tests."""

from __future__ import annotations

import signal
from types import FrameType


def pytest_configure() -> None:
    """A test run that is told to end ends like one that is interrupted: fixtures clean up."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
