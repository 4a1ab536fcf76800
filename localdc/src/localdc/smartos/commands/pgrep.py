"""pgrep(1) and pkill(1): options, matching, messages and statuses of illumos, cmd/pgrep/pgrep.c.

A process is known by the first 15 characters of its command and the first 79 of its arguments,
PRFNSZ and PRARGSZ of <sys/procfs.h>; `-c` takes contracts of svc.startd.
"""

# ruff: noqa: PTH119, PTH123, PTH208 (pathlib costs start-up time)
from __future__ import annotations

import os
import re
import signal
import sys
from getopt import GetoptError, getopt

from ..smf.door import connect
from ..smf.model import SmfError
from . import ARGUMENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Criteria = dict[str, set[int]]

MATCH, NO_MATCH, USAGE, ERROR = range(4)
_LISTS = {"P": "ppid", "g": "pgrp", "s": "sid", "u": "euid", "U": "uid", "G": "gid", "c": "ctid"}
# lists of things that no process here has
_ELSEWHERE = "JTtzD"
# regcomp(3C) in the locale C; re knows none of them
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t-\r ", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_USAGE = """\
Usage: {program} {own} [-P ppidlist] [-g pgrplist] [-s sidlist]
\t[-u euidlist] [-U uidlist] [-G gidlist] [-J projidlist]
\t[-T taskidlist] [-t termlist] [-z zonelist] [-c ctidlist] [pattern]"""
_OWN = {"pgrep": "[-flnovx] [-d delim]", "pkill": "[-signal] [-fnovx]"}


class UsageError(Exception):
    """Wrong usage; the text is the message, and the usage follows it where `usage` is true."""

    def __init__(self, text: str, usage: bool = True) -> None:
        super().__init__(text)
        self.usage = usage


class Process:
    """One process, as /proc shows it; FileNotFoundError or ProcessLookupError when it has gone."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        fields = rest.split()
        self.alive = fields[0] not in "ZX"
        self.name = name[:15]
        self.ppid, self.pgrp, self.sid = map(int, fields[1:4])
        self.started = int(fields[19])

    def arguments(self) -> str:
        """What -f looks at, pr_psargs: what lies beyond it does not exist."""
        with open(f"/proc/{self.pid}/cmdline", errors="replace") as file:
            words = file.read().rstrip("\0").replace("\0", " ")
        return (words or self.name)[:ARGUMENTS]

    def number(self, what: str) -> int:
        """The value that a list of ids is compared with."""
        if what in ("ppid", "pgrp", "sid"):
            found: int = getattr(self, what)
            return found
        line, column = {"uid": ("Uid:", 1), "euid": ("Uid:", 2), "gid": ("Gid:", 1)}[what]
        with open(f"/proc/{self.pid}/status", errors="replace") as file:
            return next(int(text.split()[column]) for text in file if text.startswith(line))


def main(argv: list[str] | None = None) -> int:
    """Run the program that the script is called; returns its exit status."""
    program, *arguments = argv or [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    try:
        return _run(program, arguments)
    except UsageError as error:
        print(f"{program}: {error}", file=sys.stderr)
        if error.usage:
            print(_USAGE.format(program=program, own=_OWN[program]), file=sys.stderr)
        return USAGE
    except SmfError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return ERROR


def _run(program: str, arguments: list[str]) -> int:
    kill = program == "pkill"
    number = _signal(arguments[0]) if kill and arguments else None
    options, pattern = _options(arguments[number is not None :], "" if kill else "ld:")
    flags = {name for name, value in options if not value}
    if {"n", "o"} <= flags:
        raise UsageError("-n and -o are mutually exclusive")
    criteria = _criteria(options)
    if pattern is None and not criteria:
        raise UsageError("No matching criteria specified")
    found = list(_matching(criteria, pattern, flags))
    if flags & {"n", "o"} and found:
        found.sort(key=lambda process: (process.started, process.pid))
        found = found[-1:] if "n" in flags else found[:1]
    for process in found if kill else ():
        _kill(program, process.pid, signal.SIGTERM if number is None else number)
    if found and not kill:
        delimiter = next((value for name, value in options if name == "d"), "\n")
        print(delimiter.join(_line(process, flags) for process in found))
    return MATCH if found else NO_MATCH


def _signal(word: str) -> int | None:
    """The signal that `-TERM` or `-15` means; None for another word."""
    name = word.removeprefix("-") if word.startswith("-") else ""
    if name.isdigit():
        return int(name)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        return None


def _options(arguments: list[str], more: str) -> tuple[list[tuple[str, str]], str | None]:
    """Options, and the pattern, which may stand anywhere."""
    letters = "fnovx" + "".join(f"{name}:" for name in (*_LISTS, *_ELSEWHERE)) + more
    found: list[tuple[str, str]] = []
    pattern = None
    while arguments:
        try:
            options, arguments = getopt(arguments, letters)
        except GetoptError as error:
            missing = "argument" in error.msg
            word = "missing argument" if missing else "illegal option"
            # what getopt(3C) leaves in optopt for a long option
            raise UsageError(f"{word} -- {error.opt if len(error.opt) == 1 else '-'}") from None
        found += [(name[1:], value) for name, value in options]
        if arguments:
            if pattern is not None:
                raise UsageError(f"illegal argument -- {arguments[0]}")
            pattern = arguments.pop(0)
    for name, _ in found:
        if name in _ELSEWHERE:
            raise UsageError(f"option -{name} is not supported in this data center", usage=False)
    return found, pattern


def _criteria(options: list[tuple[str, str]]) -> Criteria:
    criteria: Criteria = {}
    for name, value in options:
        if name in _LISTS:
            words = [word for word in re.split("[,\t ]", value) if word]
            numbers = {_id(name, word) for word in words}
            criteria.setdefault(_LISTS[name], set()).update(numbers)
    return criteria


def _id(option: str, word: str) -> int:
    """One id; names of users and groups, and 0 for one's own parent, group or session."""
    if word.isdigit():
        return int(word) or _own(option)
    try:
        if option in "uU":
            import pwd

            return pwd.getpwnam(word).pw_uid
        if option == "G":
            import grp

            return grp.getgrnam(word).gr_gid
    except KeyError:
        kind = "group" if option == "G" else "user"
        raise UsageError(f"invalid {kind} name -- {word}", usage=False) from None
    raise UsageError(f"invalid argument for option '{option}' -- {word}", usage=False)


def _own(option: str) -> int:
    return {"P": os.getppid(), "g": os.getpgrp(), "s": os.getsid(0)}.get(option, 0)


def _matching(criteria: Criteria, pattern: str | None, flags: set[str]) -> Iterator[Process]:
    expression = None if pattern is None else _expression(pattern)
    members = _members(criteria.pop("ctid")) if "ctid" in criteria else None
    for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            process = Process(int(name))
            if not process.alive or process.pid == os.getpid():
                continue
            fits = members is None or process.pid in members
            fits = fits and all(process.number(what) in ids for what, ids in criteria.items())
            if fits and expression is not None:
                text = process.arguments() if "f" in flags else process.name
                hit = expression.fullmatch(text) if "x" in flags else expression.search(text)
                fits = hit is not None
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fits is not ("v" in flags):
            yield process


def _expression(pattern: str) -> re.Pattern[str]:
    """The pattern, with the character classes of extended regular expressions."""
    try:
        return re.compile(re.sub(r"\[:(\w*):\]", lambda found: _CLASSES[found[1]], pattern))
    except KeyError:
        raise UsageError(f"{pattern}: invalid character class", usage=False) from None
    except re.error as error:
        raise UsageError(f"{pattern}: {error}", usage=False) from None


def _members(contracts: set[int]) -> set[int]:
    """Who is in these contracts, by svc.startd's account."""
    rows = connect().call("list", pids=True)
    return {pid for row in rows if row.get("contract") in contracts for pid in row["pids"]}


def _line(process: Process, flags: set[str]) -> str:
    if "l" not in flags:
        return str(process.pid)
    return f"{process.pid:5d} {process.arguments() if 'f' in flags else process.name}"


def _kill(program: str, pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError as error:
        print(f"{program}: Failed to signal pid {pid}: {error.strerror}", file=sys.stderr)
