"""pkgin(1): install packages from the repositories.

Output and exit codes follow pkgin 24 (main.c, actions.c, pkglist.c of
NetBSDfr/pkgin); what is different underneath is that installing is linking.
"""

# Started dozens of times in a play: pathlib costs more than the work.
# ruff: noqa: PTH112, PTH123

from __future__ import annotations

import os
import sys

from . import listing, summary
from .cmdline import Failure, NotOffered, Options, command, parse, usage
from .database import Database
from .queries import Queries
from .resolve import Impact, Resolver, dependents, find_installed, orphans
from .transaction import Transaction, TransactionError, recover

NO_RIGHTS = "You don't have enough rights for this operation."

_NEEDS_ARGUMENT = {
    "search": "missing search string",
    "install": "specify at least one package to install",
    "remove": "specify at least one package to remove",
    "keep": "specify at least one package to keep",
    "unkeep": "specify at least one package to unkeep",
    "import": "missing file name",
    "show-category": "missing category",
    "show-pkg-category": "missing package name",
    "show-deps": "missing package name",
    "show-full-deps": "missing package name",
    "show-rev-deps": "missing package name",
    "pkg-content": "missing package name",
    "pkg-descr": "missing package name",
}
_METHODS = {"list": "list_", "import": "import_", "full-upgrade": "upgrade"}
# these ask the repositories in any case
_REFRESHING = ("update", "install", "upgrade", "full-upgrade")
_WRITING = frozenset(
    {
        *("install", "import", "upgrade", "full-upgrade", "remove", "autoremove"),
        *("update", "keep", "unkeep"),
    }
)


def main(argv: list[str] | None = None, root: str = "/") -> int:
    """Run pkgin; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    options = Options()
    try:
        status, rest = parse(arguments, options)
        if status is not None:
            return status
        name = command(rest[0]) if rest else None
        if name is None:
            return usage(1)
        if name in _NEEDS_ARGUMENT and len(rest) < 2:
            raise Failure(_NEEDS_ARGUMENT[name])
        if options.chroot:
            _enter(options.chroot)
        return Pkgin(options, root).run(name, rest[1:])
    except PermissionError:
        print(f"pkgin: {NO_RIGHTS}", file=sys.stderr)
        return 1
    except NotOffered as error:
        print(error, file=sys.stderr)
        return 1
    except (Failure, TransactionError, summary.RepositoryError) as error:
        sys.stdout.flush()
        print(f"pkgin: {error}", file=sys.stderr)
        return 1


def _enter(directory: str) -> None:
    try:
        os.chroot(directory)
        os.chdir("/")
    except OSError:
        raise Failure("Unable to chroot") from None


class Pkgin(Queries):
    """One run of pkgin in the zone whose file system is at `root`."""

    def run(self, name: str, arguments: list[str]) -> int:
        """Run one command; returns the exit status."""
        half_done = self.database.pending is not None
        if name in _WRITING or (half_done and os.access(self.database.directory, os.W_OK)):
            self._open_for_writing()
        try:
            if name not in _REFRESHING and set(self.database.summaries()) != set(self.repositories):
                self._open_for_writing()
                self._update(verbose=False)
            method = _METHODS.get(name, name)
            status: int = getattr(self, method.replace("-", "_"))(arguments)
        finally:
            self.database.close()
        return status

    def _open_for_writing(self) -> None:
        self.database.close()
        self.database = Database(self.root, writable=True)
        recover(self.database, self._in_root("/opt/local"))

    # Repositories

    def update(self, _: list[str]) -> int:
        """pkgin update"""
        self._update(verbose=True)
        return 0

    def _update(self, verbose: bool) -> None:
        old = self.database.summaries()
        for url in old:
            if url not in self.repositories:
                print(f"cleaning database from {url} entries...")
        new = {}
        for url in self.repositories:
            self._check_repository(url)
            text = summary.fetch(url)
            new[url] = text
            if old.get(url) == text and not self.options.force:
                if verbose:
                    print(f"database for {url} is up-to-date")
                continue
            print(f"processing remote summary ({url})...")
            print(f"downloading {summary.SUMMARY}.xz done.")
        if new != old:
            self.database.set_summaries(new)

    # Changes

    def install(self, arguments: list[str]) -> int:
        """pkgin install"""
        self._update(verbose=False)
        self._say_calculating()
        impact = Resolver(self.available(), self.database.installed).install(arguments)
        return self._carry_out(impact)

    def import_(self, arguments: list[str]) -> int:
        """pkgin import: install what `export` wrote"""
        try:
            with open(arguments[0]) as file:
                wanted = file.read().split()
        except OSError as error:
            raise Failure(f"{arguments[0]}: {error.strerror}") from None
        paths = {package.fields.get("PKGPATH"): package.name for package in self.available()}
        names = [paths.get(path, path) for path in wanted]
        if not names:
            raise Failure("Empty import list.")
        return self.install(names)

    def upgrade(self, _: list[str]) -> int:
        """pkgin upgrade"""
        self._update(verbose=False)
        if not self.database.installed:
            raise Failure("empty local package list.")
        self._say_calculating()
        return self._carry_out(Resolver(self.available(), self.database.installed).upgrade())

    def _say_calculating(self) -> None:
        print("calculating dependencies...done.")

    def _carry_out(self, impact: Impact) -> int:
        status = 1 if impact.errors else 0
        sys.stdout.flush()
        for error in impact.errors:
            print(error, file=sys.stderr)
        transaction = Transaction(self.database, self._in_root("/opt/local"))
        if not impact.order:
            transaction.keep(impact.asked)
            print("nothing to do.")
            return status
        absent = [package for package in impact.order if not os.path.isdir(package.location)]
        self._check_space(absent)
        if self.options.download_only:
            listing.download(absent, self.options.no)
        else:
            listing.impact(impact, absent, self.options.no)
        if not self._confirmed():
            return status
        self._trace(impact)
        self._download(absent)
        if not self.options.download_only and not transaction.install(impact):
            status = 1
        return status

    def _trace(self, impact: Impact) -> None:
        if self.options.trace:
            try:
                with open(self.options.trace, "w") as file:
                    for package in impact.order:
                        needs = " ".join(package.depends)
                        file.write(f"{package.pkgname}: {needs}\n")
            except OSError:
                raise Failure(f"Couldn't open {self.options.trace} for writing.") from None

    def remove(self, arguments: list[str]) -> int:
        """pkgin remove"""
        installed = self.database.installed
        if not installed:
            raise Failure("empty local package list.")
        status, names = 0, []
        for pattern in arguments:
            name = find_installed(pattern, installed)
            if name is None:
                print(f"no such installed package {pattern}")
                status = 1
            else:
                names.append(name)
        doomed = dependents(names, installed)
        if not doomed:
            print("no packages to delete")
            return status
        print(f"{len(doomed)} packages to delete: ")
        print(listing.wrapped(doomed, self.options.no))
        self._remove(doomed)
        return status

    def autoremove(self, _: list[str]) -> int:
        """pkgin autoremove"""
        installed = self.database.installed
        if not any(package.automatic for package in installed.values()):
            print('all packages are marked as "keepable"\n.', end="")
            return 0
        doomed = orphans(installed)
        if not doomed:
            print("no orphan dependencies found.")
            return 0
        print(f"{len(doomed)} packages to be autoremoved:")
        print(listing.wrapped(doomed, self.options.no))
        self._remove(doomed)
        return 0

    def _remove(self, names: list[str]) -> None:
        if not self.options.no:
            print()
        if self._confirmed():
            Transaction(self.database, self._in_root("/opt/local")).remove(names)

    def _confirmed(self) -> bool:
        if self.options.yes or self.options.no:
            return self.options.yes
        print("proceed ? [Y/n] ", end="", flush=True)
        answer = sys.stdin.readline()
        return bool(answer) and not answer.lower().startswith("n")

    def keep(self, arguments: list[str]) -> int:
        """pkgin keep"""
        return self._mark(arguments, automatic=False)

    def unkeep(self, arguments: list[str]) -> int:
        """pkgin unkeep"""
        return self._mark(arguments, automatic=True)

    def _mark(self, arguments: list[str], automatic: bool) -> int:
        installed = self.database.installed
        for pattern in arguments:
            name = find_installed(pattern, installed)
            if name is None:
                print(f"no such installed package {pattern}")
            elif installed[name].automatic is not automatic:
                kind = "auto-removable" if automatic else "non auto-removable"
                print(f"marking {name} as {kind}")
                installed[name].automatic = automatic
        self.database.commit()
        return 0

    def clean(self, _: list[str]) -> int:
        """pkgin clean: nothing is ever cached, packages are linked from the repository"""
        return 0
