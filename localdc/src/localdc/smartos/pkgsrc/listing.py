"""What pkgin prints: lists, search results and plans (pkglist.c, actions.c of pkgin 24)."""

from __future__ import annotations

import sys

from . import versions
from .database import Installed
from .resolve import INSTALL, UPGRADE, Available, Impact
from .summary import Package

WIDTH = 80
LEGEND = """
=: package is installed and up-to-date
<: package is installed but newer version is available
>: installed package has a greater version than available package"""


def packages(rows: list[tuple[str, str]], parsable: bool) -> int:
    """Print PKGNAMEs with their comments; the status is always 0."""
    if not rows:
        print("Requested list is empty.", file=sys.stderr)
    for name, comment in rows:
        print(f"{name};{comment}" if parsable else f"{name:<20} {comment}")
    return 0


def search(
    pattern: str, available: Available, installed: dict[str, Installed]
) -> list[tuple[str, str, str]]:
    """Packages whose name or comment matches, as PKGNAME, status and comment.

    Raises ValueError for an invalid expression.
    """
    from .expression import Expression

    matcher = Expression(pattern)
    found = []
    for row, package in zip(with_status(available, installed), available, strict=True):
        if any(matcher.search(text) for text in (package.name, package.pkgname, package.comment)):
            found.append(row)
    return found


def with_status(
    available: Available, installed: dict[str, Installed]
) -> list[tuple[str, str, str]]:
    """Every package of the repositories as PKGNAME, status and comment."""
    present = {versions.split(name)[0]: name for name in installed}
    return [(package.pkgname, _status(package, present), package.comment) for package in available]


def _status(package: Package, present: dict[str, str]) -> str:
    if package.name not in present:
        return ""
    order = versions.compare(versions.split(present[package.name])[1], package.version)
    return "=" if order == 0 else "<" if order < 0 else ">"


def search_results(found: list[tuple[str, str, str]], parsable: bool) -> None:
    """Print the result of `search` and the legend below it."""
    status_rows(found, parsable)
    print(LEGEND)


def status_rows(found: list[tuple[str, str, str]], parsable: bool) -> None:
    """Print PKGNAMEs with their status and comment."""
    for name, status, comment in found:
        if parsable:
            print(f"{name};{status};{comment}")
        else:
            print(f"{f'{name} {status}':<20} {comment}")


def full_dependencies(package: Package, available: Available) -> list[str]:
    """The dependency patterns of a package and of all it needs, nearest first."""
    patterns: list[str] = []
    queue = list(package.depends)
    while queue:
        pattern = queue.pop(0)
        if pattern in patterns:
            continue
        patterns.append(pattern)
        needed = available.find(pattern)
        if needed is not None:
            queue += needed.depends
    return patterns


def download(absent: list[Package], one_per_line: bool) -> None:
    """Print what -d is about to do."""
    print()
    if absent:
        names = sorted(package.pkgname for package in absent)
        noun = "package" if len(names) == 1 else "packages"
        print(f"{len(names)} {noun} to download:\n{wrapped(names, one_per_line)}\n")
    print(f"{humanize(_file_size(absent))} to download")
    if not one_per_line:
        print()


def _file_size(packages: list[Package]) -> int:
    return sum(int(package.fields.get("FILE_SIZE") or 0) for package in packages)


def impact(plan: Impact, absent: list[Package], one_per_line: bool) -> None:
    """Print what is about to happen; `absent` must be downloaded first."""
    print()
    for action in (UPGRADE, INSTALL):
        names = plan.names(action)
        if names:
            noun = "package" if len(names) == 1 else "packages"
            print(f"{len(names)} {noun} to {action}:\n{wrapped(names, one_per_line)}\n")
    upgrades, installs = len(plan.names(UPGRADE)), len(plan.names(INSTALL))
    print(f"0 to remove, 0 to refresh, {upgrades} to upgrade, {installs} to install")
    size = sum(package.size for package in plan.order)
    size -= sum(package.size for package in plan.replaced.values())
    effect = (
        "of additional disk space will be used" if size >= 0 else "of disk space will be freed up"
    )
    print(f"{humanize(_file_size(absent))} to download, {humanize(abs(size))} {effect}")
    if not one_per_line:
        print()


def wrapped(names: list[str], one_per_line: bool) -> str:
    """Names indented and broken at the width of a terminal, or one per line for -n."""
    if one_per_line:
        return "\n".join(names)
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) >= WIDTH:
            lines.append("")
        lines[-1] += f" {name}" if lines[-1] else f"  {name}"
    return "\n".join(lines)


def humanize(size: int) -> str:
    """Bytes as humanize_number(3) prints them into six characters: 4.5K, 31M, 183M."""
    value, units = float(size), "BKMGT"
    while value >= 1000 and len(units) > 1:
        value, units = value / 1024, units[1:]
    decimals = 0 if units[0] == "B" or value >= 10 else 1
    return f"{value:.{decimals}f}{units[0]}"
