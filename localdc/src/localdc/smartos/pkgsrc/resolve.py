"""Which packages a request brings in, replaces or takes away."""

from __future__ import annotations

from . import versions
from .database import Installed
from .summary import Package

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INSTALL, UPGRADE = "install", "upgrade"


class Available:
    """The packages of all repositories; where two offer the same one, the first wins."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self.by_name: dict[str, list[Package]] = {}
        for package in packages:
            offers = self.by_name.setdefault(package.name, [])
            if all(package.pkgname != offer.pkgname for offer in offers):
                offers.append(package)

    def __iter__(self) -> Iterator[Package]:
        for name in sorted(self.by_name):
            yield from self.offers(name)

    def offers(self, name: str) -> list[Package]:
        """The versions of one package, newest first."""
        remaining = list(self.by_name.get(name, []))
        result = []
        while remaining:
            best = versions.newest([package.pkgname for package in remaining])
            result += [package for package in remaining if package.pkgname == best]
            remaining = [package for package in remaining if package.pkgname != best]
        return result

    def find(self, pattern: str) -> Package | None:
        """The newest package that `pattern` means."""
        names = [versions.base(pattern)]
        if names[0] not in self.by_name:
            names = sorted(self.by_name)
        for name in names:
            for package in self.offers(name):
                if versions.matches(pattern, package.pkgname):
                    return package
        return None


class Impact:
    """What an installation does.

    `order` holds the packages to put in place, dependencies first, `actions`
    INSTALL or UPGRADE for each PKGNAME, `replaced` the installed package an
    upgrade replaces; `asked` are the PKGNAMEs the user named.
    """

    def __init__(self) -> None:
        self.order: list[Package] = []
        self.actions: dict[str, str] = {}
        self.replaced: dict[str, Installed] = {}
        self.asked: set[str] = set()
        self.errors: list[str] = []

    def names(self, action: str) -> list[str]:
        """The PKGNAMEs that `action` is done to, sorted."""
        return sorted(name for name, what in self.actions.items() if what == action)


class Resolver:
    """Works out the impact of requests on one zone."""

    def __init__(self, available: Available, installed: dict[str, Installed]) -> None:
        self.available = available
        self.installed = {versions.split(name)[0]: package for name, package in installed.items()}
        self.impact = Impact()
        self._chosen: dict[str, Package] = {}

    def install(self, patterns: Iterable[str]) -> Impact:
        """The impact of `pkgin install`: unknown names are errors, the others go ahead."""
        for pattern in patterns:
            package = self.available.find(pattern)
            if package is None:
                self.impact.errors.append(f"{pattern} is not available in the repository")
                continue
            self.impact.asked.add(package.pkgname)
            self._want(package)
        return self.impact

    def upgrade(self) -> Impact:
        """The impact of `pkgin upgrade`: everything the repositories have newer."""
        for name, package in sorted(self.installed.items()):
            newer = self.available.find(name)
            if newer and versions.compare(newer.version, versions.split(package.pkgname)[1]) > 0:
                self._want(newer)
        return self.impact

    def _want(self, package: Package) -> bool:
        present = self.installed.get(package.name)
        if package.name in self._chosen or (present and present.pkgname == package.pkgname):
            return True
        if present and versions.compare(versions.split(present.pkgname)[1], package.version) > 0:
            # never go back to an older version behind the user's back
            return True
        self._chosen[package.name] = package
        for pattern in package.depends:
            if not self._satisfy(package, pattern):
                del self._chosen[package.name]
                return False
        self.impact.order.append(package)
        self.impact.actions[package.pkgname] = UPGRADE if present else INSTALL
        if present:
            self.impact.replaced[package.pkgname] = present
        return True

    def _satisfy(self, package: Package, pattern: str) -> bool:
        name = versions.base(pattern)
        chosen = self._chosen.get(name)
        if chosen and versions.matches(pattern, chosen.pkgname):
            return True
        present = self.installed.get(name)
        if present and versions.matches(pattern, present.pkgname):
            return True
        needed = self.available.find(pattern)
        if needed is None:
            self.impact.errors.append(
                f"{package.pkgname} needs {pattern}, which is not available in the repository"
            )
            return False
        return self._want(needed)


def dependents(names: Iterable[str], installed: dict[str, Installed]) -> list[str]:
    """The PKGNAMEs `names` and everything that needs them, dependents first."""
    found: list[str] = []

    def visit(pkgname: str) -> None:
        if pkgname in found:
            return
        for other in sorted(installed):
            if other != pkgname and any(
                versions.matches(pattern, pkgname) for pattern in installed[other].depends
            ):
                visit(other)
        if pkgname not in found:
            found.append(pkgname)

    for name in names:
        visit(name)
    return found


def orphans(installed: dict[str, Installed]) -> list[str]:
    """Automatic packages that no package the user asked for needs any more."""
    needed: set[str] = set()
    queue = [name for name, package in installed.items() if not package.automatic]
    while queue:
        name = queue.pop()
        if name in needed:
            continue
        needed.add(name)
        for pattern in installed[name].depends:
            queue += [other for other in installed if versions.matches(pattern, other)]
    return dependents(sorted(set(installed) - needed), installed)


def find_installed(pattern: str, installed: dict[str, Installed]) -> str | None:
    """The newest installed PKGNAME that `pattern` means."""
    found = [name for name in installed if versions.matches(pattern, name)]
    return versions.newest(found) if found else None
