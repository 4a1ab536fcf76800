"""pkgin's command line: options, command names and usage, as in its main.c."""

from __future__ import annotations

import sys

VERSION = "24.12.0"
# name, shortcut, what it does
COMMANDS = (
    ("list", "ls", "List installed packages"),
    ("avail", "av", "List all available packages"),
    ("search", "se", "Search for a package"),
    ("install", "in", "Perform packages installation or upgrade"),
    ("update", "up", "Refresh the list of available packages"),
    ("upgrade", "ug", "Upgrade all packages"),
    ("full-upgrade", "fug", "Upgrade all packages"),
    ("remove", "rm", "Remove packages and depending packages"),
    ("keep", "ke", 'Mark package as "non auto-removable"'),
    ("unkeep", "uk", 'Mark package as "auto-removable"'),
    ("show-keep", "sk", 'Display "non auto-removable" packages'),
    ("show-no-keep", "snk", 'Display "auto-removable" packages'),
    ("autoremove", "ar", "Remove orphan dependencies"),
    ("show-deps", "sd", "Display direct dependencies"),
    ("show-full-deps", "sfd", "Display dependencies recursively"),
    ("show-rev-deps", "srd", "Display reverse dependencies recursively"),
    ("pkg-content", "pc", "Show remote package content"),
    ("pkg-descr", "pd", "Show remote package long-description"),
    ("clean", "cl", "Clean packages cache"),
)
_UNSUPPORTED = "64cltPd"


class Failure(Exception):
    """Ends the command with status 1 and the message after `pkgin: `."""


class Options:
    """The command line before the command's own arguments."""

    def __init__(self) -> None:
        self.force = self.yes = self.no = self.parsable = self.verbose = False


def parse(arguments: list[str], options: Options) -> tuple[int | None, list[str]]:
    """Read `options`; returns the exit status, if it is settled already, and the rest.

    Raises Failure for an option that only the real pkgin has.
    """
    rest = list(arguments)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        for letter in word[1:]:
            if letter == "v":
                # the database is a text file, where the real one is SQLite
                print(f"pkgin {VERSION} (using text)")
                return 0, rest
            if letter == "h":
                return usage(0), rest
            if letter in _UNSUPPORTED:
                raise Failure(f"-{letter} is not supported by the embedded data center")
            if letter == "f":
                options.force = True
            elif letter == "y":
                options.yes, options.no = True, False
            elif letter == "n":
                options.yes, options.no = False, True
            elif letter == "p":
                options.parsable = True
            elif letter == "V":
                options.verbose = True
            else:
                print(f"pkgin: illegal option -- {letter}", file=sys.stderr)
                return usage(1), rest
    return None, rest


def command(word: str) -> str | None:
    """The command that a name or shortcut stands for."""
    for name, shortcut, _ in COMMANDS:
        if word in (name, shortcut):
            return name
    return None


def usage(status: int) -> int:
    """Print how to use pkgin, to stderr when `status` is an error; returns `status`."""
    stream = sys.stderr if status else sys.stdout
    print("Usage: pkgin [-fhnpVvy] command [package ...]\n\nCommands and shortcuts:", file=stream)
    for name, shortcut, text in COMMANDS:
        print(f"{name:<19} ({shortcut:<4}) - {text}", file=stream)
    return status
