"""env(1), xargs(1) and find(1): the command lines of illumos, for the host's programs.

What these start gets the environment as it is.  A shell in front of them would not hand it on:
it adds to it, and drops names that are none of its own.
"""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

# `signal` without its enumerations, which cost start-up time
import _signal  # type: ignore[import-not-found]
import os

from .options import UsageError, parse, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_OPTIONS = {"env": "i", "xargs": "0tpe::E:I:i::L:l::n:P:s:x"}
_USAGE = {
    "env": "[-i] [name=value ...] [utility [argument ...]]",
    "find": "[-H | -L] path-list predicate-list",
    "xargs": "[-t] [-p] [-0] [-n number] command",
}
_STATUS = 1
# find/find.c: commands[]
_PREDICATES = (
    "-H -L -a -amin -and -atime -cmin -ctime -depth -delete -follow -fstype -group -inum -links"
    " -ls -maxdepth -mindepth -mmin -mount -mtime -newer -nogroup -not -nouser -o -or -print"
    " -print0 -prune -size -type -user -xdev"
)
_WITH_A_VALUE = ("-perm", "-name", "-iname", "-path", "-ipath", "-regex", "-iregex")
_COMMANDS = ("-exec", "-ok")


def main(program: str, words: Sequence[str]) -> int:
    """Become the host's program of this path; the exit status where the usage is wrong.

    Raises OSError when it cannot be run.
    """
    name = os.path.basename(program)  # noqa: PTH119
    words = list(words)
    try:
        if name == "find":
            _check_predicates(words)
        else:
            _, count = parse(words, _OPTIONS[name])
            if words[count - 1 : count] != ["--"] and count < len(words):
                # what follows is no option, whatever it looks like
                words.insert(count, "--")
    except UsageError as error:
        refuse(name, error, _USAGE[name])
    else:
        _become(program, [name, *words])
    return _STATUS


def _check_predicates(words: Sequence[str]) -> None:
    """Refuse what find does not know; the words of commands and values are not looked at."""
    inside, skip = False, False
    for word in words:
        if skip:
            skip = False
        elif inside:
            inside = word not in (";", "+")
        elif word in _COMMANDS:
            inside = True
        elif word in _WITH_A_VALUE:
            skip = True
        elif word[:1] == "-" and word[1:2].isalpha() and word not in _PREDICATES.split():
            raise UsageError(f"bad option {word}")


def _become(program: str, argv: list[str]) -> NoReturn:
    """Run a program instead, without what an interpreter does to its process when it starts.

    That is the variable of PEP 538, and two signals that are ignored.
    """
    with open("/proc/self/environ", "rb") as file:
        entries = file.read().split(b"\0")
    for entry in entries:
        if entry.startswith(b"LC_CTYPE="):
            os.putenv(b"LC_CTYPE", entry.partition(b"=")[2])
            break
    else:
        os.unsetenv(b"LC_CTYPE")
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    os.execv(program, argv)
