"""The commands of pkgin that change nothing: lists, searches, dependencies."""

# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import os
import sys

from . import listing, request, summary
from .cmdline import Failure, NotOffered, Options
from .database import Database
from .resolve import Available, dependents, find_installed

CACHE = "/var/db/pkgin/cache"


class Queries:
    """What pkgin knows in the zone whose file system is at `root`."""

    def __init__(self, options: Options, root: str) -> None:
        self.options = options
        self.root = root
        self.database = Database(root)
        self.repositories = summary.configured(os.environ, self._in_root(summary.REPOSITORIES))

    def _in_root(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def available(self) -> Available:
        """What the repositories offer, as of the last update."""
        summaries = self.database.summaries()
        packages = []
        for url in self.repositories:
            packages += summary.parse(summaries.get(url, ""), url)
        return Available(packages)

    # What only the compute node can do

    def _socket(self) -> str:
        path = request.path(self.root)
        if path is None:
            raise Failure("this zone has no compute node that could provide packages")
        return path

    def _check_repository(self, url: str) -> None:
        """Ask the compute node whether its repository is up."""
        directory = summary.directory(url) or ""
        if directory.startswith(request.STORE) and request.path(self.root) is not None:
            try:
                list(request.ask(self._socket(), request.SUMMARY))
            except request.RequestError as error:
                raise summary.RepositoryError(
                    f"Could not fetch {url}/{summary.SUMMARY}.gz: {error}"
                ) from None

    def _download(self, absent: list[summary.Package]) -> None:
        """Have the compute node put packages into the store."""
        if not absent:
            return
        compute_node, begun = self._socket(), 0
        names = [self._in_store(package) for package in absent]
        try:
            for name in request.ask(compute_node, request.FETCH, *names):
                if begun:
                    print(" done.")
                begun += 1
                print(f"[{begun}/{len(names)}] downloading {name}.tgz", end="", flush=True)
        except request.RequestError as error:
            if begun:
                print()
            first, _, rest = str(error).partition("\n")
            raise Failure(f"error downloading packages: {first}\n{rest}".rstrip()) from None
        if begun:
            print(" done.", flush=True)

    def _in_store(self, package: summary.Package) -> str:
        """How the compute node knows a package of one of its repositories."""
        tag = package.location.removeprefix(request.STORE).partition("/")[0]
        if not tag:
            raise Failure(f"{package.repository}/{package.pkgname}.tgz: Not Found")
        return f"{tag}/{package.pkgname}"

    def _check_space(self, absent: list[summary.Package]) -> None:
        size = sum(package.size for package in absent)
        if not size:
            return
        status = os.statvfs(os.path.dirname(os.path.dirname(absent[0].location)))  # noqa: PTH120
        free = status.f_bavail * status.f_frsize
        if free < size:
            raise Failure(
                f"{CACHE} does not have enough space for download, "
                f"({listing.humanize(size)} required but only {listing.humanize(free)} "
                "are available)"
            )

    # Lists

    def list_(self, _: list[str]) -> int:
        """pkgin list"""
        installed = self.database.installed
        if self.options.limit:
            if not installed:
                print("empty local package list.", file=sys.stderr)
                return 0
            found = listing.with_status(self.available(), installed)
            chosen = [row for row in found if row[1] == self.options.limit[0]]
            listing.status_rows(chosen, self.options.parsable)
            return 0
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
        self._print_dependencies(package.depends)
        return 0

    def show_full_deps(self, arguments: list[str]) -> int:
        """pkgin show-full-deps"""
        package = self._offered(arguments[0])
        print(f"full dependency tree for {package.pkgname}")
        self._print_dependencies(listing.full_dependencies(package, self.available()))
        return 0

    def _print_dependencies(self, patterns: list[str]) -> None:
        available = self.available() if self.options.versions else None
        for pattern in patterns:
            package = available.find(pattern) if available else None
            print(f"\t{package.pkgname if package else pattern}")

    def show_rev_deps(self, arguments: list[str]) -> int:
        """pkgin show-rev-deps"""
        name = find_installed(arguments[0], self.database.installed)
        if name is None:
            raise NotOffered(arguments[0])
        print(f"local reverse dependency tree for {name}")
        for other in dependents([name], self.database.installed)[:-1]:
            print(f"\t{other}")
        return 0

    def pkg_content(self, arguments: list[str]) -> int:
        """pkgin pkg-content"""
        from .linker import PREFIX, files

        package = self._offered(arguments[0])
        if not os.path.isdir(package.location):
            self._download([package])
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

    def show_category(self, arguments: list[str]) -> int:
        """pkgin show-category"""
        rows = [
            (package.pkgname, package.comment)
            for package in self.available()
            if arguments[0] in package.fields.get("CATEGORIES", "").split()
        ]
        return listing.packages(rows, self.options.parsable)

    def show_pkg_category(self, arguments: list[str]) -> int:
        """pkgin show-pkg-category"""
        package = self._offered(arguments[0])
        print(f"{package.fields.get('CATEGORIES', ''):<12} - {package.pkgname}")
        return 0

    def show_all_categories(self, _: list[str]) -> int:
        """pkgin show-all-categories"""
        found = {package.fields.get("CATEGORIES", "") for package in self.available()}
        print(*sorted(found - {""}), sep="\n")
        return 0

    def export(self, _: list[str]) -> int:
        """pkgin export: the pkgsrc paths of what the user asked for"""
        paths = {package.name: package.fields.get("PKGPATH", "") for package in self.available()}
        for name, package in sorted(self.database.installed.items()):
            if not package.automatic:
                base = name.rpartition("-")[0]
                print(paths.get(base) or base)
        return 0

    def _offered(self, pattern: str) -> summary.Package:
        package = self.available().find(pattern)
        if package is None:
            raise NotOffered(pattern)
        return package

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
