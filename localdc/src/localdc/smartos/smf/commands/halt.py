"""halt, reboot, poweroff, shutdown and init: ask svc.startd to bring the zone down."""

from __future__ import annotations

import sys
import time

from ..door import Door
from .options import parse
from .usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = ("halt", "poweroff", "reboot", "shutdown", "init", "telinit")
_LEVELS = {"0": "halt", "5": "halt", "6": "reboot"}
_SHUTDOWN_USAGE = "Usage: shutdown [-y] [-g grace-period] [-i 0|5|6] [message]"
_INIT_USAGE = "Usage: init 0|5|6"


def main(connect: Callable[[], Door], program: str, argv: list[str]) -> int:
    """Run one of `PROGRAMS`; returns when the request has been taken."""
    if program in ("halt", "poweroff", "reboot"):
        parse(argv, "dlnqyfep", f"Usage: {program} [-dlnqy]")
        how = "reboot" if program == "reboot" else "halt"
    elif program == "shutdown":
        how = _shutdown(argv)
    else:
        if len(argv) != 1 or argv[0] not in _LEVELS:
            raise Usage(_INIT_USAGE)
        how = _LEVELS[argv[0]]
    if not how:
        return 1
    connect().call("shutdown", how=how)
    return 0


def _shutdown(argv: list[str]) -> str:
    options, _message = parse(argv, "yg:i:", _SHUTDOWN_USAGE)
    values = dict(options)
    level, grace = values.get("i", "0"), values.get("g", "60")
    if level not in _LEVELS or not grace.isdigit():
        raise Usage(_SHUTDOWN_USAGE)
    if int(grace):
        sys.stdout.write(f"The system will be shut down in {grace} seconds.\n")
        sys.stdout.flush()
        time.sleep(int(grace))
    if "y" not in values:
        sys.stdout.write("Do you want to continue? (y or n):   ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            sys.stdout.write("False Alarm:  The system will not be brought down.\n")
            return ""
    return _LEVELS[level]
