"""pkgin(1): install packages from the repositories.

Output and exit codes follow pkgin 24 (main.c, actions.c, pkglist.c of
NetBSDfr/pkgin); what is different underneath is that installing is linking.
"""

# ruff: noqa: PTH118

from __future__ import annotations

import os
import sys

from . import listing, summary
from .cmdline import Failure, Options, command, parse, usage
from .database import Database
from .resolve import Available, Impact, Resolver, dependents, find_installed, orphans
from .transaction import Transaction, TransactionError, recover

NO_RIGHTS = "You don't have enough rights for this operation."

_NEEDS_ARGUMENT = {
    "search": "missing search string",
    "install": "specify at least one package to install",
    "remove": "specify at least one package to remove",
    "keep": "specify at least one package to keep",
    "unkeep": "specify at least one package to unkeep",
    "show-deps": "missing package name",
    "show-full-deps": "missing package name",
    "show-rev-deps": "missing package name",
    "pkg-content": "missing package name",
    "pkg-descr": "missing package name",
}
_WRITING = frozenset(
    {
        *("install", "upgrade", "full-upgrade", "remove", "autoremove"),
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
        return Pkgin(options, root).run(name, rest[1:])
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except PermissionError:
        print(f"pkgin: {NO_RIGHTS}", file=sys.stderr)
        return 1
    except (Failure, TransactionError, summary.RepositoryError) as error:
        sys.stdout.flush()
        print(f"pkgin: {error}", file=sys.stderr)
        return 1


class Pkgin:
    """One run of pkgin in the zone whose file system is at `root`."""

    def __init__(self, options: Options, root: str) -> None:
        self.options = options
        self.root = root
        self.database = Database(root)
        self.repositories = summary.configured(os.environ, self._in_root(summary.REPOSITORIES))

    def run(self, name: str, arguments: list[str]) -> int:
        """Run one command; returns the exit status."""
        half_done = self.database.pending is not None
        if name in _WRITING or (half_done and os.access(self.database.directory, os.W_OK)):
            self._open_for_writing()
        try:
            if name != "update" and set(self.database.summaries()) != set(self.repositories):
                self._open_for_writing()
                self._update(verbose=False)
            method = {"list": "list_", "full-upgrade": "upgrade"}.get(name, name)
            status: int = getattr(self, method.replace("-", "_"))(arguments)
        finally:
            self.database.close()
        return status

    def _in_root(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

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

    def available(self) -> Available:
        """What the repositories offer, as of the last update."""
        summaries = self.database.summaries()
        packages = []
        for url in self.repositories:
            packages += summary.parse(summaries.get(url, ""), url)
        return Available(packages)

    # Lists

    def list_(self, _: list[str]) -> int:
        """pkgin list"""
        installed = self.database.installed
        rows = [(name, installed[name].comment) for name in sorted(installed)]
        return listing.packages(rows, self.options.parsable)

    def avail(self, _: list[str]) -> int:
        """pkgin avail"""
        rows = [(package.pkgname, package.comment) for package in self.available()]
        return listing.packages(rows, self.options.parsable)

    def search(self, arguments: list[str]) -> int:
        """pkgin search"""
        pattern = arguments[0]
        try:
            found = listing.search(pattern, self.available(), self.database.installed)
        except ValueError as error:
            raise Failure(f"regcomp: {pattern}: {error}") from None
        if not found:
            print(f"No results found for {pattern}")
            return 1
        listing.search_results(found, self.options.parsable)
        return 0

    def show_deps(self, arguments: list[str]) -> int:
        """pkgin show-deps"""
        package = self._offered(arguments[0])
        print(f"direct dependencies for {package.pkgname}")
        for pattern in package.depends:
            print(f"\t{pattern}")
        return 0

    def show_full_deps(self, arguments: list[str]) -> int:
        """pkgin show-full-deps"""
        package = self._offered(arguments[0])
        print(f"full dependency tree for {package.pkgname}")
        for pattern in listing.full_dependencies(package, self.available()):
            print(f"\t{pattern}")
        return 0

    def show_rev_deps(self, arguments: list[str]) -> int:
        """pkgin show-rev-deps"""
        name = find_installed(arguments[0], self.database.installed)
        if name is None:
            print(f"{arguments[0]} is not available in the repository", file=sys.stderr)
            return 1
        print(f"local reverse dependency tree for {name}")
        for other in dependents([name], self.database.installed)[:-1]:
            print(f"\t{other}")
        return 0

    def pkg_content(self, arguments: list[str]) -> int:
        """pkgin pkg-content"""
        from .linker import PREFIX, files

        package = self._offered(arguments[0])
        print(f"Information for {package.repository}/{package.pkgname}:\n\nFiles:")
        for path in files(package.location):
            print(f"{PREFIX}/{path}")
        return 0

    def pkg_descr(self, arguments: list[str]) -> int:
        """pkgin pkg-descr"""
        package = self._offered(arguments[0])
        print(f"Information for {package.repository}/{package.pkgname}:\n\nDescription:")
        print(package.fields.get("DESCRIPTION", package.comment))
        print(f"\nHomepage:\n{package.fields.get('HOMEPAGE', '')}")
        return 0

    def _offered(self, pattern: str) -> summary.Package:
        package = self.available().find(pattern)
        if package is None:
            print(f"{pattern} is not available in the repository", file=sys.stderr)
            raise SystemExit(1)
        return package

    # Changes

    def install(self, arguments: list[str]) -> int:
        """pkgin install"""
        self._update(verbose=False)
        self._say_calculating()
        impact = Resolver(self.available(), self.database.installed).install(arguments)
        return self._carry_out(impact)

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
        listing.impact(impact, self.options.no)
        if not self._confirmed():
            return status
        if not transaction.install(impact):
            status = 1
        return status

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

    def show_keep(self, _: list[str]) -> int:
        """pkgin show-keep"""
        return self._show_marked(automatic=False)

    def show_no_keep(self, _: list[str]) -> int:
        """pkgin show-no-keep"""
        return self._show_marked(automatic=True)

    def _show_marked(self, automatic: bool) -> int:
        installed = self.database.installed
        names = [name for name in sorted(installed) if installed[name].automatic is automatic]
        if not names:
            kind = "autoremovable" if automatic else "non-autoremovable"
            print(f"empty {kind} package list")
            return 0
        rows = [(name, installed[name].comment) for name in names]
        return listing.packages(rows, self.options.parsable)

    def clean(self, _: list[str]) -> int:
        """pkgin clean: nothing is ever cached, packages are linked from the repository"""
        return 0
