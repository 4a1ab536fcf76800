"""Carrying out what the resolver found, so that no moment of it is beyond repair."""

# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import os
import sys
import time

from . import linker
from .database import Database, Installed
from .resolve import UPGRADE, Impact

ERROR_LOG = "pkg_install-err.log"


class TransactionError(Exception):
    """The installed packages cannot be changed; the message says why."""


def recover(database: Database, prefix: str) -> None:
    """Finish the transaction that was under way when the zone went down.

    Raises TransactionError when something is in the way.
    """
    if database.pending is None:
        return
    old, new = _plans(database, database.pending)
    try:
        # no check: files that belong to no package are what the transaction had copied
        linker.apply(old, new, prefix)
    except linker.ConflictError as error:
        raise TransactionError(f"cannot finish what was interrupted: {error}") from None
    database.commit()


def _transform(database: Database, target: dict[str, Installed], prefix: str) -> None:
    old, new = _plans(database, target)
    linker.check(old, new, prefix)
    database.begin(target)
    linker.apply(old, new, prefix)
    database.commit()


def _plans(database: Database, target: dict[str, Installed]) -> tuple[linker.Plan, linker.Plan]:
    """What /opt/local holds before and after; raises TransactionError."""
    try:
        old = linker.plan([package.location for package in database.installed.values()])
        new = linker.plan([package.location for package in target.values()])
    except OSError as error:
        raise TransactionError(
            f"{error.filename}: package is missing from the package store"
        ) from None
    return old, new


class Transaction:
    """A change of the installed packages of one zone, below `prefix`."""

    def __init__(self, database: Database, prefix: str) -> None:
        self.database = database
        self.prefix = prefix

    def install(self, impact: Impact) -> bool:
        """Put packages in place; False, with the reason in the log, when it failed."""
        target = dict(self.database.installed)
        for name in impact.asked & target.keys():
            target[name].automatic = False
        for package in impact.order:
            replaced = impact.replaced.get(package.pkgname)
            automatic = package.pkgname not in impact.asked
            if replaced is not None:
                automatic = automatic and replaced.automatic
                del target[replaced.pkgname]
            target[package.pkgname] = Installed(
                package.pkgname,
                package.comment,
                package.depends,
                package.location,
                package.size,
                automatic,
            )
        lines = []
        for package in impact.order:
            verb = "upgrading" if impact.actions[package.pkgname] == UPGRADE else "installing"
            lines.append(f"{verb} {package.pkgname}...")
        return self._run(target, lines)

    def remove(self, names: list[str]) -> bool:
        """Take packages away; False, with the reason in the log, when it failed."""
        target = {k: v for k, v in self.database.installed.items() if k not in names}
        return self._run(target, [f"removing {name}..." for name in names])

    def keep(self, names: set[str]) -> None:
        """Mark installed packages as asked for by the user."""
        automatic = [
            package
            for name, package in self.database.installed.items()
            if name in names and package.automatic
        ]
        for package in automatic:
            package.automatic = False
        if automatic:
            self.database.commit()

    def _run(self, target: dict[str, Installed], lines: list[str]) -> bool:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        log = os.path.join(self.database.directory, ERROR_LOG)
        errors = 0
        with open(log, "a") as file:
            for number, line in enumerate(lines, 1):
                print(f"[{number}/{len(lines)}] {line}")
                file.write(f"---{stamp}: [{number}/{len(lines)}] {line}\n")
            try:
                _transform(self.database, target, self.prefix)
            except (linker.ConflictError, TransactionError) as error:
                file.write(f"pkg_add: {error}\npkg_add: {len(lines)} package addition failed\n")
                errors = 1
        print(f"pkg_install warnings: 0, errors: {errors}")
        if errors:
            print(f"pkg_install error log can be found in {log}")
        else:
            print("reading local summary...\nprocessing local summary...")
        sys.stdout.flush()
        return not errors
