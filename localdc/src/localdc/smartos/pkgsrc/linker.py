"""Installing is linking: /opt/local as symbolic links into the package store.

A directory that belongs to one package alone is one link; a directory that
several packages share is a real one with links in it.  What is linked where
follows from the set of installed packages and nothing else, so a transaction
that was cut short is finished by doing it again.

The standard library of Python would be two hundred links, because packages
add `site-packages` to it.  So the library is one link, and `site-packages` in
it is itself a link that leads back to a real directory in /opt/local.
"""

# ruff: noqa: PTH103, PTH105, PTH106, PTH108
# ruff: noqa: PTH112, PTH114, PTH115, PTH116, PTH118, PTH123, PTH208, PTH211

from __future__ import annotations

import os
import stat

PREFIX = "/opt/local"
COPY = "+COPY"

# Real directories from the start, because other packages and administrators
# put files there.
_SHARED = frozenset(
    {
        *("bin", "etc", "include", "info", "lib", "libexec", "man", "sbin", "share", "var"),
        *("share/doc", "share/examples", "share/man", "share/man/man1"),
        *("share/jupyter", "share/jupyter/kernels"),
    }
)
_NEVER_REMOVED = frozenset({"bin", "etc", "lib", "sbin", "share"})


class ConflictError(Exception):
    """A file of a package is in the way of another package, or of a file of the zone."""


class Plan:
    """What /opt/local holds for a set of packages; paths are relative to it."""

    __slots__ = ("copies", "directories", "links")

    def __init__(self) -> None:
        self.links: dict[str, str] = {}
        self.copies: dict[str, str] = {}
        self.directories: list[str] = []


def plan(trees: list[str]) -> Plan:
    """The plan for the packages unpacked in `trees`.

    Raises ConflictError when two packages have the same file, and OSError
    when one is missing from the store.
    """
    result = Plan()
    copied: dict[str, str] = {}
    for tree in trees:
        try:
            with open(os.path.join(tree, COPY)) as file:
                for line in file:
                    copied[line.strip()] = os.path.join(tree, line.strip())
        except FileNotFoundError:
            os.stat(tree)
    _merge("", trees, result, copied)
    return result


def _is_shared(path: str) -> bool:
    return path in _SHARED or not path or _is_python(path.removesuffix("/__pycache__"))


def _is_python(path: str) -> bool:
    """Is it lib/python3.11, or the real directory behind its site-packages?"""
    directory, _, name = path.partition("/")
    return directory in ("lib", "lib64") and name.startswith("python") and "/" not in name


def _merge(path: str, sources: list[str], result: Plan, copied: dict[str, str]) -> None:
    if len(sources) == 1 and not _is_shared(path):
        result.links[path] = sources[0]
        return
    if _is_python(path) and _merge_python(path, sources, result, copied):
        return
    if path:
        result.directories.append(path)
    children: dict[str, list[tuple[str, bool]]] = {}
    for source in sources:
        with os.scandir(source) as entries:
            for entry in entries:
                if path or not entry.name.startswith("+"):
                    is_dir = entry.is_dir(follow_symlinks=False)
                    children.setdefault(entry.name, []).append((entry.path, is_dir))
    for name in sorted(children):
        below = f"{path}/{name}" if path else name
        found = children[name]
        if all(is_dir for _, is_dir in found):
            _merge(below, [source for source, _ in found], result, copied)
        elif len(found) > 1:
            raise ConflictError(f"{PREFIX}/{below} is in {found[0][0]} and in {found[1][0]}")
        elif below in copied:
            result.copies[below] = copied[below]
        else:
            result.links[below] = found[0][0]


def _merge_python(path: str, sources: list[str], result: Plan, copied: dict[str, str]) -> bool:
    for owner in sources:
        link = f"{owner}/site-packages"
        if not os.path.islink(link):
            continue
        result.links[path] = owner
        below = []
        for source in sources:
            if source != owner:
                if os.listdir(source) != ["site-packages"]:
                    raise ConflictError(f"{source} has files for {PREFIX}/{path}")
                below.append(f"{source}/site-packages")
        _merge(os.readlink(link).removeprefix(f"{PREFIX}/"), below, result, copied)
        return True
    return False


def check(old: Plan, new: Plan, prefix: str = PREFIX) -> None:
    """Raises ConflictError when a file that is no package's is where `new` wants one."""
    for path in (*new.links, *new.copies):
        if path in old.links or path in old.copies:
            continue
        target = os.path.join(prefix, path)
        wanted = new.links.get(path) or new.copies[path]
        if os.path.lexists(target) and not _acceptable(target, wanted, old, path):
            raise ConflictError(f"{target} exists and belongs to no package")


def _acceptable(target: str, wanted: str, old: Plan, path: str) -> bool:
    if os.path.islink(target):
        return os.readlink(target) == wanted
    if os.path.isdir(target):
        return path in old.directories or os.path.isdir(wanted)
    return False


def apply(old: Plan, new: Plan, prefix: str = PREFIX) -> None:
    """Change `prefix` from what `old` says to what `new` says; safe to repeat."""
    for path, target in old.links.items():
        if new.links.get(path) != target:
            _unlink(os.path.join(prefix, path), target)
    for path, source in old.copies.items():
        if new.copies.get(path) != source:
            _remove_file(os.path.join(prefix, path))
    kept = {*new.directories, *_NEVER_REMOVED}
    for path in reversed(old.directories):
        if path not in kept:
            _remove_directory(os.path.join(prefix, path))
    for path in new.directories:
        os.makedirs(os.path.join(prefix, path), exist_ok=True)
    for path, target in new.links.items():
        _link(os.path.join(prefix, path), target)
    for path, source in new.copies.items():
        _copy(source, os.path.join(prefix, path))


def files(tree: str) -> list[str]:
    """Every file of a package, relative to /opt/local, in order."""
    result = []
    for directory, directories, names in os.walk(tree):
        directories.sort()
        below = os.path.relpath(directory, tree)
        for name in sorted(names):
            path = name if below == "." else f"{below}/{name}"
            if not path.startswith("+"):
                result.append(path)
    return sorted(result)


def _link(path: str, target: str) -> None:
    try:
        os.symlink(target, path)
        return
    except FileExistsError:
        pass
    if os.path.islink(path):
        if os.readlink(path) == target:
            return
        # another version of the package, or half of a transaction
        os.unlink(path)
        os.symlink(target, path)
    elif os.path.isdir(path) and os.path.isdir(target):
        # the zone has files of its own in the directory
        for name in os.listdir(target):
            _link(f"{path}/{name}", f"{target}/{name}")
    else:
        raise ConflictError(f"{path} exists and belongs to no package")


def _unlink(path: str, target: str) -> None:
    if os.path.islink(path):
        if os.readlink(path) == target:
            os.unlink(path)
    elif os.path.isdir(path) and os.path.isdir(target):
        for name in os.listdir(target):
            _unlink(f"{path}/{name}", f"{target}/{name}")
        _remove_directory(path)


def _remove_file(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _remove_directory(path: str) -> None:
    """Remove a directory unless the zone has files of its own in it."""
    try:
        os.rmdir(path)
    except OSError:
        return


def _copy(source: str, path: str) -> None:
    status = os.stat(source)
    try:
        present = os.stat(path)
        if present.st_size == status.st_size and present.st_mtime_ns == status.st_mtime_ns:
            return
    except FileNotFoundError:
        pass
    temporary = f"{path}.new"
    with open(source, "rb") as reader, open(temporary, "wb", buffering=0) as writer:
        while os.sendfile(writer.fileno(), reader.fileno(), None, 1 << 30):
            continue
        os.fchmod(writer.fileno(), stat.S_IMODE(status.st_mode))
    os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(temporary, path)
