"""How pip is called, and what it says when it fails."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

# seconds without a byte: PIP_DEFAULT_TIMEOUT may be minutes, which pip waits for six times a wheel
OPTIONS = ("--disable-pip-version-check", "--no-input", "--timeout", "20")
ATTEMPTS = 3
# pip tries again what does not begin; where a transfer breaks off it ends with a traceback, or,
# before 25.1, takes the half for the whole (its news, 25.1: --resume-retries)
_TRACEBACK = "ERROR: Exception:"
_HALF = re.compile(r"ERROR: Wheel .* is invalid\.")


class PipError(Exception):
    """pip could not do it; the message is its own."""


def run(
    command: Sequence[str],
    line: Callable[[str], None] = lambda _line: None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run pip, again where a transfer broke off: what has arrived is in its cache.

    line: told every line of pip's output, without its end.
    variables: what its environment has besides.
    Raises PipError with pip's own reasons.
    """
    for attempt in range(1, ATTEMPTS + 1):
        lines = _output(command, line, variables)
        if lines is None:
            return
        if attempt == ATTEMPTS or not any(map(_broken_off, lines)):
            raise PipError("\n  ".join(_reasons(lines)))


def _output(
    command: Sequence[str], line: Callable[[str], None], variables: Mapping[str, str]
) -> list[str] | None:
    """What pip said where it failed."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **variables},
    ) as pip:
        assert pip.stdout is not None
        lines = []
        for text in pip.stdout:
            lines.append(text.rstrip())
            line(lines[-1])
    return lines or [f"pip ended with {pip.returncode}"] if pip.returncode else None


def _broken_off(text: str) -> bool:
    return text == _TRACEBACK or _HALF.fullmatch(text) is not None


def _reasons(lines: list[str]) -> list[str]:
    """Errors, and of a traceback what it ends with."""
    errors = [text for text in lines if text.startswith("ERROR")]
    if _TRACEBACK in errors:
        return [*errors, lines[-1]]
    return errors or lines[-5:]
