"""Log files of service instances and of svc.startd itself (/var/svc/log)."""

# ruff: noqa: PTH103, PTH105, PTH116, PTH110, PTH123 (pathlib costs start-up time)
from __future__ import annotations

import os
import time

from .. import fmri as fmris

STARTD = "svc.startd.log"
# /etc/logadm.conf, smf_logs: -C 8 -s 1m -c
ROTATE_SIZE = 1 << 20
ROTATE_KEEP = 8


class Logs:
    """Writes the bracketed lines of svc.startd; every line opens and closes its file."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        os.makedirs(directory, mode=0o755, exist_ok=True)

    def path(self, fmri: str) -> str:
        """Where the log of an instance is."""
        return f"{self.directory}/{fmris.log_name(fmri)}"

    def open(self, fmri: str) -> int:
        """A descriptor that appends to the log of an instance; the caller closes it.

        Where that cannot be written the output of the method is lost, not the service.
        """
        path = self.path(fmri)
        try:
            if os.path.exists(path) and os.stat(path).st_size > ROTATE_SIZE:
                self._rotate(path)
            return _open(path)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    @staticmethod
    def _rotate(path: str) -> None:
        """As logadm(8) does for these logs: copy and truncate, since daemons hold them open."""
        for number in range(ROTATE_KEEP - 1, 0, -1):
            if os.path.exists(f"{path}.{number - 1}"):
                os.replace(f"{path}.{number - 1}", f"{path}.{number}")
        with open(path, "rb") as source, open(f"{path}.0", "wb") as target:
            while chunk := source.read(1 << 16):
                target.write(chunk)
        os.truncate(path, 0)

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
