"""svcprop(1): print the properties of services and instances, or wait until they change."""

from __future__ import annotations

import sys

from . import fmri as fmris
from .client import EXIT_USAGE, Usage
from .door import Door
from .model import Groups, Property, PropertyGroup, SmfError, decode
from .options import parse
from .quoting import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = """\
Usage: svcprop [-fqtv] [-C | -c | -s snapshot] [-p [name/]name]... {FMRI | pattern}...
       svcprop -w [-fqtv] [-p [name/]name] {FMRI | pattern}
Options:
\t-?  print this message
\t-C  print values without composition
\t-c  print composed values
\t-f  output full FMRI
\t-p  name of property or property group to print
\t-q  quiet mode
\t-s  use the properties in named snapshot
\t-t  print property type
\t-v  verbose
\t-w  wait for modification before printing"""
_PROPERTIES = "/:properties/"


def main(connect: Callable[[], Door], argv: list[str]) -> int:
    """Run svcprop; returns the exit status."""
    options, words = parse(argv, "Ccfp:qs:tvwa", USAGE)
    flags = {letter for letter, _value in options}
    if not words or len(flags & set("Ccs")) > 1:
        raise Usage(USAGE)
    paths = [value for letter, value in options if letter == "p"]
    view = "direct" if "C" in flags else "current" if "c" in flags else "running"
    view = next((value for letter, value in options if letter == "s"), view)
    if "w" in flags and (len(paths) > 1 or len(words) > 1 or "s" in flags):
        raise Usage(USAGE)
    command = Svcprop(connect(), view, paths, flags)
    try:
        return command.run(words)
    except SmfError as error:
        if "q" in flags and error.code in ("not-found", "permission"):
            return 1
        raise


class Svcprop:
    """One run of the command."""

    def __init__(self, door: Door, view: str, paths: list[str], flags: set[str]) -> None:
        self.door = door
        self.view = view
        self.paths = paths
        self.flags = flags
        self.failed = False
        self.full = self.typed = False

    def run(self, words: list[str]) -> int:
        """Print what was asked for; 1 where something does not exist."""
        names = self.door.call("fmris")
        targets: list[tuple[str, list[str]]] = []
        for word in words:
            pattern, mark, path = word.partition(_PROPERTIES)
            hits = _entities(pattern, names)
            if not hits:
                self._complain(f"Pattern '{word}' doesn't match any entities")
            targets += [(fmri, [path] if mark else self.paths) for fmri in hits]
        if "w" in self.flags:
            if len(targets) != 1:
                self._complain("-w cannot be used with more than one entity")
                return EXIT_USAGE
            self._wait(*targets[0])
        several = len(targets) > 1
        for fmri, paths in targets:
            self._show(fmri, paths, several)
        return 1 if self.failed else 0

    def _complain(self, message: str) -> None:
        self.failed = True
        if "q" not in self.flags:
            sys.stderr.write(f"svcprop: {message}\n")

    def _wait(self, fmri: str, paths: list[str]) -> None:
        group = paths[0].partition("/")[0] if paths else None
        first: tuple[Groups, int] | None = None
        while True:
            answer = self.door.call("get", fmri=fmri, view="direct",
                                    **({"group": group} if group else {}))  # fmt: skip
            groups = decode(answer["groups"])
            if first is None:
                first = groups, answer["generation"]
                if group is not None and group not in groups:
                    raise SmfError(_no_group(fmri, group), "not-found")
            elif groups != first[0]:
                return
            self.door.call("watch", fmri=fmri, generation=answer["generation"])

    def _show(self, fmri: str, paths: list[str], several: bool) -> None:
        view = self.view
        if fmris.split(fmri)[1] is None and view == "running":
            view = "current"
        wanted = {path.partition("/")[0] for path in paths}
        only = {"group": next(iter(wanted))} if len(wanted) == 1 else {}
        answer = self.door.call("get", fmri=fmri, view=view, **only)
        groups = decode(answer["groups"])
        self.full = several or "f" in self.flags
        self.typed = self.full or "t" in self.flags or len(paths) > 1
        if not paths:
            for name in sorted(groups):
                self._group(fmri, name, groups[name])
        for path in paths:
            self._path(fmri, path, groups, answer["denied"])

    def _path(self, fmri: str, path: str, groups: Groups, denied: list[str]) -> None:
        name, slash, prop = path.partition("/")
        if not slash and name in groups:
            self._group(fmri, name, groups[name])
        elif not slash:
            self._complain(_no_group(fmri, name))
        elif name not in groups or prop not in groups[name].props:
            self._complain(_no_property(fmri, path))
        elif name in denied:
            self._complain("Permission denied.")
        else:
            self._print(fmri, path, groups[name].props[prop], self.typed)

    def _group(self, fmri: str, name: str, group: PropertyGroup) -> None:
        for prop in sorted(group.props):
            self._print(fmri, f"{name}/{prop}", group.props[prop], True)

    def _print(self, fmri: str, path: str, prop: Property, typed: bool) -> None:
        if "q" in self.flags:
            return
        values = " ".join(quote(value) for value in prop.values)
        if not typed:
            sys.stdout.write(values + "\n")
            return
        label = f"{fmri}{_PROPERTIES}{path}" if self.full else path
        sys.stdout.write(f"{label} {prop.type} {values}".rstrip() + "\n")


def _entities(pattern: str, names: dict[str, list[str]]) -> list[str]:
    if pattern.startswith("svc:") and not fmris.is_glob(pattern):
        full = fmris.normalise(pattern.rstrip("/"))
        return [full] if full in names["instances"] or full in names["services"] else []
    return fmris.select(pattern, names["instances"]) or fmris.select(pattern, names["services"])


def _kind(fmri: str) -> str:
    return "service" if fmris.split(fmri)[1] is None else "instance"


def _no_group(fmri: str, name: str) -> str:
    return f"Couldn't find property group `{name}' for {_kind(fmri)} `{fmri}'."


def _no_property(fmri: str, path: str) -> str:
    return f"Couldn't find property `{path}' for {_kind(fmri)} `{fmri}'."
