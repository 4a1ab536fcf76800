"""All state of the data center, in one SQLite file.

Write-ahead log, one transaction per change: what was committed survives the
sudden death of the process, and nothing else is ever seen.  The connection
belongs to one thread (the event loop's); no call awaits, so transactions never
interleave.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localdc.api.model import dns_label
from localdc.api.store.accounts import Accounts
from localdc.api.store.addresses import Addresses
from localdc.api.store.documents import Documents
from localdc.api.store.jobs import Jobs
from localdc.api.store.machines import MachineChange, Machines
from localdc.api.store.schema import MIGRATIONS, SCHEMA, VERSION
from localdc.api.vmtags import tagged

__all__ = ["Store", "StoreError"]


class StoreError(Exception):
    """The state file cannot be used; the message says what to do."""


class Store:
    """Opens (and makes, when missing) the state file `path`.

    Raises StoreError for a file that is damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._changes: list[MachineChange] = []
        # Called after the commit with each machine that was changed in it.
        self.listeners: list[Callable[[MachineChange], None]] = []
        self.db = sqlite3.connect(path, isolation_level=None)
        try:
            self._prepare(path)
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise StoreError(f"{path}: {error}; move the file away to start afresh") from error
        path.chmod(0o600)
        self.db.create_function("dns_label", 1, dns_label, deterministic=True)
        self.db.create_function("tagged", 3, tagged, deterministic=True)
        self.accounts = Accounts(self.db)
        self.addresses = Addresses(self.db)
        self.jobs = Jobs(self.db)
        self.documents = Documents(self.db)
        self.machines = Machines(self.db, self._changes)

    def _prepare(self, path: Path) -> None:
        self.db.execute("PRAGMA journal_mode = WAL")
        # Enough against the death of the process, which is what a crash of the
        # data center is; only a crash of the host could lose the last moments.
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("PRAGMA foreign_keys = ON")
        self.db.execute("PRAGMA busy_timeout = 5000")
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            self.db.close()
            raise StoreError(
                f"{path} has version {version}, this program reads {VERSION}; "
                "move the file away to start afresh"
            )
        if version == VERSION:
            return
        with self.transaction():
            for statement in SCHEMA if version == 0 else ():
                self.db.execute(statement)
            for step in range(max(1, version), VERSION):
                for statement in MIGRATIONS[step]:
                    self.db.execute(statement)
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing of it."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            # a full disk makes SQLite itself roll back
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self._changes.clear()
            raise
        changes = self._changes[:]
        self._changes.clear()
        for change in changes:
            for listener in self.listeners:
                listener(change)

    def close(self) -> None:
        self.db.close()
