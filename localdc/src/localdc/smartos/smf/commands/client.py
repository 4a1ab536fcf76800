"""Entry point of the SMF commands: the name by which it is called says which one it is."""

# ruff: noqa: PTH119 (pathlib costs start-up time)
from __future__ import annotations

import os
import sys

from ..door import connect
from ..model import SmfError
from .usage import EXIT_FATAL, EXIT_USAGE, Usage


def main(argv0: str | None = None) -> int:
    """Run the command `argv0` (default: the name of the script); returns its exit status."""
    return run(os.path.basename(argv0 or sys.argv[0]), sys.argv[1:])


def run(program: str, argv: list[str]) -> int:
    """Run the command called `program`; returns its exit status."""
    try:
        return _run(program, argv)
    except Usage as usage:
        sys.stdout.flush()
        sys.stderr.write(f"{usage}\n")
        return EXIT_USAGE
    except SmfError as error:
        sys.stdout.flush()
        for line in str(error).splitlines():
            sys.stderr.write(f"{program}: {line}\n")
        return EXIT_FATAL


def _run(program: str, argv: list[str]) -> int:
    # one module each: a command pays only for its own
    if program == "svcs":
        from .svcs import main as svcs

        return svcs(connect, argv)
    if program == "svcadm":
        from .svcadm import main as svcadm

        return svcadm(connect, argv)
    if program == "svcprop":
        from .svcprop import main as svcprop

        return svcprop(connect, argv)
    if program == "svccfg":
        from .svccfg import main as svccfg

        return svccfg(connect, argv)
    from .halt import PROGRAMS
    from .halt import main as halt

    if program in PROGRAMS:
        return halt(connect, program, argv)
    raise SmfError(f"not a command of SMF; known: svcs svcadm svcprop svccfg {' '.join(PROGRAMS)}")
