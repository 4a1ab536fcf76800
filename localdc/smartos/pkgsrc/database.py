"""What is installed, and what the repositories were last seen to offer.

`/var/db/pkgin/pkgin.db` is one JSON document, replaced as a whole, so that a
power failure leaves the one from before or the one from after.  It also says
which transaction is under way: `pending` holds the installed set to be, and
whoever opens the database next finishes the work.
"""

# Started dozens of times in a play: pathlib costs more than the work.
# ruff: noqa: PTH103, PTH105, PTH118, PTH123, SIM115

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Any

DIRECTORY = "/var/db/pkgin"


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
        since: float = 0,
    ) -> None:
        self.pkgname = pkgname
        self.comment = comment
        self.depends = depends
        self.location = location
        self.size = size
        self.automatic = automatic
        self.since = since or time.time()

    def document(self) -> dict[str, Any]:
        """The package as it stands in the database."""
        return {name: getattr(self, name) for name in self.__slots__}


class Database:
    """The package database of a zone.

    `root` is where the zone's file system begins.  Opened `writable` it holds
    a lock until `close`.  Raises PermissionError when it may not.
    """

    def __init__(self, root: str = "/", writable: bool = False) -> None:
        self.root = root
        self.directory = os.path.join(root, DIRECTORY.lstrip("/"))
        self._lock = None
        if writable:
            os.makedirs(self.directory, exist_ok=True)
            self._lock = open(os.path.join(self.directory, "lock"), "w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        document = self._read("pkgin")
        self.installed = _packages(document.get("installed", []))
        self.pending: dict[str, Installed] | None = None
        if document.get("pending") is not None:
            self.pending = _packages(document["pending"])

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
        summaries: dict[str, str] = self._read("summaries")
        return summaries

    def set_summaries(self, summaries: dict[str, str]) -> None:
        """Remember what the repositories offer."""
        self._write("summaries", summaries)

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _read(self, name: str) -> dict[str, Any]:
        try:
            with open(os.path.join(self.directory, f"{name}.db")) as file:
                document: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return {}
        return document

    def _write(self, name: str, document: dict[str, Any]) -> None:
        path = os.path.join(self.directory, f"{name}.db")
        with open(f"{path}.new", "w") as file:
            json.dump(document, file, separators=(",", ":"))
        os.replace(f"{path}.new", path)

    def _save(self) -> None:
        pending = None if self.pending is None else _documents(self.pending)
        self._write("pkgin", {"installed": _documents(self.installed), "pending": pending})


def _packages(documents: list[dict[str, Any]]) -> dict[str, Installed]:
    return {document["pkgname"]: Installed(**document) for document in documents}


def _documents(packages: dict[str, Installed]) -> list[dict[str, Any]]:
    return [packages[name].document() for name in sorted(packages)]
