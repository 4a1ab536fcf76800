"""The Python that machines are made for: chosen by LOCALDC_PYTHON at a start, and kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from localdc import LocalDCError
from localdc.paths import StateDir, write_atomically
from localdc.pkgsrc import interpreter


def use_kept(paths: StateDir, say: Callable[[str], None]) -> None:
    """Where LOCALDC_PYTHON is not set, set it to what an earlier start chose.

    It holds for this process and those that it starts.  Raises LocalDCError when that Python is
    not there any more.
    """
    if os.environ.get(interpreter.VARIABLE) or not paths.python.exists():
        return
    kept = paths.python.read_text().strip()
    if not Path(kept).exists():
        raise LocalDCError(
            f"{kept}, which the machines in {paths.root} are made for, is gone. Choose another: "
            f"{interpreter.VARIABLE}=python3 python -m localdc start"
        )
    os.environ[interpreter.VARIABLE] = kept
    if kept != str(_executable(interpreter.current)):
        say(f"machines are made for {kept}, as before; {interpreter.VARIABLE} chooses another")


def keep(paths: StateDir) -> None:
    """Remember what LOCALDC_PYTHON names for those who come without it.

    Raises LocalDCError when it names no Python.
    """
    if os.environ.get(interpreter.VARIABLE):
        write_atomically(paths.python, f"{_executable(interpreter.chosen)}\n")


def check_running(paths: StateDir) -> None:
    """Raise LocalDCError when LOCALDC_PYTHON names another than the running data center has."""
    if not os.environ.get(interpreter.VARIABLE):
        return
    wanted = str(_executable(interpreter.chosen))
    kept = paths.python.read_text().strip() if paths.python.exists() else ""
    has = kept or str(_executable(interpreter.current))
    if wanted != has:
        raise LocalDCError(
            f"The data center makes machines for {has}, not for {wanted}. "
            "Stop it first: python -m localdc stop"
        )


def _executable(find: Callable[[], interpreter.Interpreter]) -> Path:
    try:
        return find().executable
    except interpreter.InterpreterError as error:
        raise LocalDCError(str(error)) from error
