"""ps(1): options and formats of illumos, cmd/ps/ps.c, and the arguments that pr_psargs holds.

The processes are shown by the host's program.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from . import ARGUMENTS
from .options import UsageError, parse, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTIONS = "jlfeAadLyt:p:g:u:U:G:s:o:"
_USAGE = "[ -aAdefHlcjLPWyZ ] [ -o format ] [ -t termlist ] [ -u userlist ] [ -p proclist ]"
_STATUS = 1
# fname[] of ps.c
_FORMATS = frozenset(
    [
        *("user", "ruser", "group", "rgroup", "uid", "ruid", "gid", "rgid", "pid", "ppid", "pgid"),
        *("sid", "psr", "lwp", "nlwp", "opri", "pri", "f", "s", "c", "pcpu", "pmem", "osz", "vsz"),
        *("rss", "nice", "class", "stime", "etime", "time", "tty", "addr", "wchan", "fname"),
        *("comm", "args", "taskid", "projid", "project", "pset", "zone", "zoneid", "ctid", "lgrp"),
        "dmodel",
    ]
)
# the last column of the host's program has no width of its own
_SENTINEL = ["-o", "s="]
_SENTINEL_COLUMN = re.compile(rb" .$")


def main(program: str, words: Sequence[str]) -> int:
    """Show processes by the host's program of this path; its exit status."""
    try:
        options, count = parse(words, _OPTIONS)
        if count < len(words):
            raise UsageError(f"illegal argument -- {words[count]}")
        formats = [_format(value or "") for letter, value in options if letter == "o"]
    except UsageError as error:
        refuse("ps", error, _USAGE)
        return _STATUS
    others = [f"-{letter}{value or ''}" for letter, value in options if letter != "o"]
    chosen = [word for names, header in formats for word in ("-o", names + _passed(header))]
    shown = subprocess.run(
        [program, *others, *chosen, *(_SENTINEL if chosen else [])],
        env={**os.environ, "COLUMNS": "1000"},
        stdout=subprocess.PIPE,
        check=False,
    )
    lines = shown.stdout.splitlines()
    if chosen:
        lines = [_SENTINEL_COLUMN.sub(b"", line).rstrip() for line in lines]
        for _, header in formats:
            if "," in header:
                there, wanted = (os.fsencode(text[1:]) for text in (_passed(header), header))
                lines[0] = lines[0].replace(there, wanted, 1)
    elif lines and (command := re.search(rb"(CMD|COMMAND)$", lines[0])):
        lines = [line[: command.start() + ARGUMENTS] for line in lines]
    sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
    sys.stdout.buffer.flush()
    return shown.returncode


def _passed(header: str) -> str:
    """A header for the host's program, which sees another format begin after a comma."""
    return header.replace(",", ";")


def _format(text: str) -> tuple[str, str]:
    """Names for the host's program, and the header of the last: `=` and all that follows."""
    names, equals, header = text.partition("=")
    columns = re.split(r"[,\s]+", names.strip(", \t\n"))
    for name in columns:
        if name not in _FORMATS:
            raise UsageError(f"unknown output format: -o {name}")
    widths = [f"args:{ARGUMENTS}" if name == "args" else name for name in columns]
    return ",".join(widths), f"{equals}{header.strip()}"
