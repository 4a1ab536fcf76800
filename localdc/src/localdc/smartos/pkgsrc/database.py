"""What is installed, and what the repositories were last seen to offer.

`/var/db/pkgin/pkgin.db` is replaced as a whole, so that a power failure
leaves the one from before or the one from after.  It also says which
transaction is under way: lines of the installed set to be, after a line
`pending`; whoever opens the database for writing next finishes the work.

One package is one line of fields between tabs.  JSON would be nicer to look
at, and importing it would take as long as all the rest of `pkg_info`.
"""

# Started dozens of times in a play: pathlib costs more than the work.
# ruff: noqa: PTH103, PTH105, PTH118, PTH123, SIM115

from __future__ import annotations

import fcntl
import os
import time

DIRECTORY = "/var/db/pkgin"
_PENDING = "pending"
_URL = "@ "


class Installed:
    """An installed package; `automatic` if it came only as a dependency."""

    __slots__ = ("automatic", "comment", "depends", "location", "pkgname", "since", "size")

    def __init__(
        self,
        pkgname: str,
        comment: str,
        depends: list[str],
        location: str,
        size: int,
        automatic: bool,
        since: int = 0,
    ) -> None:
        self.pkgname = pkgname
        self.comment = comment
        self.depends = depends
        self.location = location
        self.size = size
        self.automatic = automatic
        self.since = since or int(time.time())

    def line(self) -> str:
        """The package as it stands in the database."""
        kind = "automatic" if self.automatic else "keep"
        numbers = (str(self.size), str(self.since))
        return "\t".join(
            (self.pkgname, kind, *numbers, self.location, " ".join(self.depends), self.comment)
        )


class Database:
    """The package database of a zone.

    `root` is where the zone's file system begins.  Opened `writable` it holds
    a lock until `close`.  Raises PermissionError when it may not.
    """

    def __init__(self, root: str = "/", writable: bool = False) -> None:
        self.directory = os.path.join(root, DIRECTORY.lstrip("/"))
        self._lock = None
        if writable:
            os.makedirs(self.directory, exist_ok=True)
            self._lock = open(os.path.join(self.directory, "lock"), "w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        lines = self._read("pkgin.db").splitlines()
        self.pending: dict[str, Installed] | None = None
        if _PENDING in lines:
            middle = lines.index(_PENDING)
            self.pending = _packages(lines[middle + 1 :])
            lines = lines[:middle]
        self.installed = _packages(lines)

    def begin(self, target: dict[str, Installed]) -> None:
        """Record that the installed set is about to become `target`."""
        self.pending = target
        self._save()

    def commit(self) -> None:
        """The transaction that `begin` announced is done."""
        if self.pending is not None:
            self.installed = self.pending
        self.pending = None
        self._save()

    def summaries(self) -> dict[str, str]:
        """The pkg_summary text of each repository as last fetched, by URL."""
        result = {}
        for part in self._read("summary.db").split(f"\n{_URL}")[1:]:
            url, _, text = part.partition("\n")
            result[url] = text
        return result

    def set_summaries(self, summaries: dict[str, str]) -> None:
        """Remember what the repositories offer."""
        parts = (f"\n{_URL}{url}\n{text}" for url, text in summaries.items())
        self._write("summary.db", "".join(parts))

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.directory, name)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.new", path)

    def _save(self) -> None:
        lines = _lines(self.installed)
        if self.pending is not None:
            lines += [_PENDING, *_lines(self.pending)]
        self._write("pkgin.db", "".join(f"{line}\n" for line in lines))


def _packages(lines: list[str]) -> dict[str, Installed]:
    packages = {}
    for line in lines:
        pkgname, kind, size, since, location, depends, comment = line.split("\t", 6)
        packages[pkgname] = Installed(
            pkgname,
            comment,
            depends.split(),
            location,
            int(size),
            kind == "automatic",
            int(since),
        )
    return packages


def _lines(packages: dict[str, Installed]) -> list[str]:
    return [packages[name].line() for name in sorted(packages)]
