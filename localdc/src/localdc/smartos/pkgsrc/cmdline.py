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
    ("export", "ex", 'Export "non auto-removable" packages to stdout'),
    ("import", "im", 'Import "non auto-removable" package list from file'),
    ("show-deps", "sd", "Display direct dependencies"),
    ("show-full-deps", "sfd", "Display dependencies recursively"),
    ("show-rev-deps", "srd", "Display reverse dependencies recursively"),
    ("show-category", "sc", "Show packages belonging to category"),
    ("show-pkg-category", "spc", "Show package's category"),
    ("show-all-categories", "sac", "Show all categories"),
    ("pkg-content", "pc", "Show remote package content"),
    ("pkg-descr", "pd", "Show remote package long-description"),
    ("clean", "cl", "Clean packages cache"),
)
_FLAGS = {
    "f": "force",
    "p": "parsable",
    "V": "verbose",
    "d": "download_only",
    "P": "versions",
    # there is no network between a zone and its repository, so either will do
    "4": "any_protocol",
    "6": "any_protocol",
}
_USAGE = "Usage: pkgin [-46dfhnPpVvy] [-c chroot] [-l limit] [-t log] command [package ...]"
_VALUES = {"c": "chroot", "l": "limit", "t": "trace"}


class Failure(Exception):
    """Ends the command with status 1 and the message after `pkgin: `."""


class NotOffered(Exception):
    """Ends the command with status 1: no repository has the package."""

    def __str__(self) -> str:
        return f"{self.args[0]} is not available in the repository"


class Options:
    """The command line before the command's own arguments."""

    def __init__(self) -> None:
        self.force = self.yes = self.no = self.parsable = self.verbose = False
        self.download_only = self.versions = self.any_protocol = False
        self.chroot = self.limit = self.trace = ""


def parse(arguments: list[str], options: Options) -> tuple[int | None, list[str]]:
    """Read `options`; returns the exit status, if it is settled already, and the rest."""
    rest = list(arguments)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        for position, letter in enumerate(word[1:], 2):
            if letter == "v":
                # the database is a text file, where the real one is SQLite
                print(f"pkgin {VERSION} (using text)")
                return 0, rest
            if letter == "h":
                return usage(0), rest
            if letter in _VALUES:
                value = word[position:] or (rest.pop(0) if rest else "")
                if not value:
                    print(f"pkgin: option requires an argument -- {letter}", file=sys.stderr)
                    return usage(1), rest
                setattr(options, _VALUES[letter], value)
                break
            if letter in "yn":
                options.yes, options.no = letter == "y", letter == "n"
            elif letter in _FLAGS:
                setattr(options, _FLAGS[letter], True)
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
    print(f"{_USAGE}\n\nCommands and shortcuts:", file=stream)
    for name, shortcut, text in COMMANDS:
        print(f"{name:<19} ({shortcut:<4}) - {text}", file=stream)
    return status
