"""pkg_info(1): what is installed."""

from __future__ import annotations

import sys

from . import versions
from .database import Database, Installed

VERSION = "20241128"
_USAGE = "usage: pkg_info [-aeEqQLkdnNRsVc...] [-Q variable] [package ...]"
_FLAGS = frozenset("aceEkLnNpqQRsSuvVdDFfiIbBhmrxX")
_SUPPORTED = frozenset("aceELnqQRsuIdv")


class Usage(Exception):
    """The command line cannot be understood."""


class Query:
    """A parsed command line."""

    def __init__(self, argv: list[str]) -> None:
        self.flags: set[str] = set()
        self.variable = self.exists = ""
        rest = list(argv)
        while rest and rest[0].startswith("-") and len(rest[0]) > 1:
            letters = rest.pop(0)[1:]
            for position, letter in enumerate(letters):
                if letter not in _FLAGS:
                    raise Usage(f"pkg_info: unknown option -- {letter}")
                if letter == "V" or letter in _SUPPORTED:
                    self.flags.add(letter)
                else:
                    raise Usage(f"pkg_info: -{letter} is not supported by the embedded data center")
                if letter in "eEQ":
                    value = letters[position + 1 :] or (rest.pop(0) if rest else "")
                    if not value:
                        raise Usage(f"pkg_info: option requires an argument -- {letter}")
                    if letter == "Q":
                        self.variable = value
                    else:
                        self.exists = value
                    break
        self.patterns = rest

    @property
    def quiet(self) -> bool:
        """-q: no headings, no names."""
        return "q" in self.flags


def main(argv: list[str] | None = None, root: str = "/") -> int:
    """Run pkg_info; returns its exit status."""
    try:
        query = Query(sys.argv[1:] if argv is None else argv)
    except Usage as error:
        print(f"{error}\n{_USAGE}", file=sys.stderr)
        return 1
    if "V" in query.flags:
        print(VERSION)
        return 0
    installed = Database(root).installed
    if query.exists:
        return _exists(query, installed)
    return _show(query, installed)


def _exists(query: Query, installed: dict[str, Installed]) -> int:
    found = [name for name in sorted(installed) if versions.matches(query.exists, name)]
    if not found:
        return 1
    if "E" in query.flags:
        print(versions.newest(found))
    elif not query.quiet:
        print(*found, sep="\n")
    return 0


def _show(query: Query, installed: dict[str, Installed]) -> int:
    if query.patterns:
        names, status = [], 0
        for pattern in query.patterns:
            found = [name for name in sorted(installed) if versions.matches(pattern, name)]
            if not found:
                print(f"pkg_info: can't find package `{pattern}'", file=sys.stderr)
                status = 1
            names += found
    else:
        if query.flags - {"a", "I", "u", "q"} and "a" not in query.flags:
            print(f"pkg_info: missing package name(s)\n{_USAGE}", file=sys.stderr)
            return 1
        names, status = sorted(installed), 0
    for name in names:
        _show_one(query, installed[name], installed, whole=bool(query.patterns))
    return status


def _show_one(
    query: Query, package: Installed, installed: dict[str, Installed], whole: bool
) -> None:
    flags = query.flags
    if query.variable:
        print(_fields(package).get(query.variable, ""))
        return
    detail = flags & set("LncRsdv")
    if not detail and not whole:
        print(package.pkgname if query.quiet else f"{package.pkgname:<19} {package.comment}")
        return
    if not query.quiet:
        print(f"Information for {package.pkgname}:\n")
    everything = not detail or "v" in flags
    if everything or "c" in flags:
        _section(query, "Comment:", [package.comment])
    if everything or "n" in flags:
        _section(query, "Requires:", package.depends)
    if everything or "R" in flags:
        needed_by = [
            name
            for name, other in sorted(installed.items())
            if any(versions.matches(pattern, package.pkgname) for pattern in other.depends)
        ]
        _section(query, "Required by:", needed_by)
    if everything or "d" in flags:
        fields = _fields(package)
        _section(query, "Description:", [fields.get("DESCRIPTION", package.comment)])
    if "s" in flags or "v" in flags:
        _section(query, "Size of this package in bytes:", [str(package.size)])
    if "L" in flags or "v" in flags:
        from . import linker

        paths = [f"{linker.PREFIX}/{path}" for path in linker.files(package.location)]
        _section(query, "Files:", paths)


def _section(query: Query, title: str, lines: list[str]) -> None:
    if not lines:
        return
    if not query.quiet:
        print(title)
    print(*lines, sep="\n")
    if not query.quiet:
        print()


def _fields(package: Installed) -> dict[str, str]:
    """The variables -Q knows: those of the package's build and of its installation."""
    import time

    from . import summary

    # ruff: noqa: PTH123
    try:
        with open(f"{package.location}/+SUMMARY") as file:
            fields = summary.parse(file.read(), "")[0].fields
    except OSError:
        fields = {"PKGNAME": package.pkgname, "COMMENT": package.comment}
    fields["automatic"] = "yes" if package.automatic else "no"
    fields["INSTALL_DATE"] = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(package.since))
    return fields
