"""Log files of service instances and of svc.startd itself (/var/svc/log)."""

# ruff: noqa: PTH103 (pathlib costs start-up time)
from __future__ import annotations

import os
import time

from . import fmri as fmris

STARTD = "svc.startd.log"


class Logs:
    """Writes the bracketed lines of svc.startd; every line opens and closes its file."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        os.makedirs(directory, mode=0o755, exist_ok=True)

    def path(self, fmri: str) -> str:
        """Where the log of an instance is."""
        return f"{self.directory}/{fmris.log_name(fmri)}"

    def open(self, fmri: str) -> int:
        """A descriptor that appends to the log of an instance; the caller closes it."""
        return _open(self.path(fmri))

    def instance(self, fmri: str, message: str) -> None:
        """Append a line to the log of an instance."""
        _append(self.path(fmri), f"[ {stamp()} {message} ]\n")

    def startd(self, message: str) -> None:
        """Append a line to svc.startd.log."""
        _append(f"{self.directory}/{STARTD}", f"{stamp()} svc.startd: {message}\n")


def stamp() -> str:
    """The time as log lines carry it, ``Mar  3 19:44:10``."""
    return time.strftime("%b %e %T")


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _append(path: str, line: str) -> None:
    # a full disk must not stop the restarter: the line is lost, as it is on illumos
    try:
        fd = _open(path)
    except OSError:
        return
    try:
        os.write(fd, line.encode("utf-8", "replace"))
    except OSError:
        pass
    finally:
        os.close(fd)
