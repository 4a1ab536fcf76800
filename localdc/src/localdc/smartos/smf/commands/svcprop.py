"""svcprop(1): print the properties of services and instances, or wait until they change."""

from __future__ import annotations

import sys

from .. import fmri as fmris
from ..door import Door
from ..model import Groups, Property, PropertyGroup, SmfError, decode
from ..quoting import quote
from .options import parse
from .usage import EXIT_FATAL, Usage

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
    options, words = parse(argv, "Ccfp:qs:tvw", USAGE)
    flags = {letter for letter, _value in options}
    paths = [_checked(value) for letter, value in options if letter == "p"]
    if not words or len(flags & set("Ccsw")) > 1:
        raise Usage(USAGE)
    if "w" in flags and (len(paths) > 1 or len(words) > 1):
        raise Usage(USAGE)
    view = "direct" if "C" in flags else "current" if "c" in flags else "running"
    view = next((value for letter, value in options if letter == "s"), view)
    command = Svcprop(connect(), view, paths, flags)
    try:
        return command.run(words)
    except SmfError:
        if "q" in flags:
            return EXIT_FATAL
        raise


def _checked(path: str) -> str:
    parts = path.split("/")
    if len(parts) > 2:
        raise Usage(f"svcprop: -p argument `{path}' has too many components.\n{USAGE}")
    for part in parts:
        if not fmris.valid_name(part):
            raise Usage(f"svcprop: Invalid component name `{part}'.")
    return path


class Svcprop:
    """One run of the command."""

    def __init__(self, door: Door, view: str, paths: list[str], flags: set[str]) -> None:
        self.door = door
        self.view = view
        self.paths = paths
        self.flags = flags
        self.failed = False
        self.full = "f" in flags
        # types are printed when group names and property names are asked for together, too
        mixed = len({"/" in path for path in paths}) > 1
        self.typed = mixed or bool(flags & set("ft"))

    def run(self, words: list[str]) -> int:
        """Print what was asked for; 1 where something does not exist."""
        names = self.door.call("fmris")
        targets: list[tuple[str, str]] = []
        for word in words:
            pattern, _mark, below = word.partition(_PROPERTIES)
            hits = _entities(pattern, names)
            if not hits:
                self._complain(f"Pattern '{word}' doesn't match any entities", "q" in self.flags)
            targets += [(fmri, below) for fmri in hits]
        if "w" in self.flags:
            if len(targets) > 1:
                raise SmfError("-w cannot be used with more than one entity.")
            for fmri, below in targets:
                self._wait(fmri, below)
            return EXIT_FATAL if self.failed else 0
        if len(targets) > 1:
            self.full = self.typed = True
        for fmri, below in targets:
            self._show(fmri, self._wanted(fmri, below))
        return EXIT_FATAL if self.failed else 0

    def _wanted(self, fmri: str, below: str) -> list[str]:
        """What is asked for of an operand, which may name a property group or a property."""
        if not below:
            return self.paths
        if "/" in below:
            if self.paths:
                raise Usage("svcprop: The -p option cannot be used with property operands.\n"
                            + USAGE)  # fmt: skip
            return [below]
        for path in self.paths:
            if "/" in path:
                raise Usage(f"svcprop: -p argument `{path}' has too many components for property"
                            f" group `{fmri}{_PROPERTIES}{below}'.")  # fmt: skip
        return [f"{below}/{path}" for path in self.paths] or [below]

    def _complain(self, message: str, quiet: bool) -> None:
        self.failed = True
        if not quiet:
            sys.stderr.write(f"svcprop: {message}\n")

    def _wait(self, fmri: str, below: str) -> None:
        """Wait for a change of a property group, and print the group or the property."""
        if not self.paths and not below:
            kind = _kind(fmri)
            article = "an" if kind == "instance" else "a"
            raise Usage(f"svcprop: Cannot wait for {article} {kind}.")
        (path,) = self._wanted(fmri, below)
        name, _slash, prop = path.partition("/")
        first: PropertyGroup | None = None
        while True:
            answer = self.door.call("get", fmri=fmri, view="direct", group=name)
            group = decode(answer["groups"]).get(name)
            if group is None or (first is None and prop and prop not in group.props):
                raise SmfError("Not found.", "not-found")
            if first is not None and group != first:
                break
            first = group
            self.door.call("watch", fmri=fmri, generation=answer["generation"])
        if not prop:
            self._group(fmri, name, group)
        elif prop in group.props:
            self._print(fmri, path, group.props[prop])
        else:
            self._complain("Not found.", self._silent)

    @property
    def _silent(self) -> bool:
        """Are properties that do not exist passed over without a word?"""
        return "q" in self.flags and "v" not in self.flags

    def _show(self, fmri: str, paths: list[str]) -> None:
        view = self.view
        if fmris.split(fmri)[1] is None:
            if view not in ("direct", "current", "running"):
                raise SmfError("Only instances have snapshots.")
            view = "direct"
        wanted = {path.partition("/")[0] for path in paths}
        only = {"group": next(iter(wanted))} if len(wanted) == 1 else {}
        answer = self.door.call("get", fmri=fmri, view=view, **only)
        groups = decode(answer["groups"])
        if wanted - set(groups) and view != "direct":
            # what does not survive a boot is in no snapshot
            now = self.door.groups(fmri, "current")
            groups = {**{n: g for n, g in now.items() if g.volatile and n in wanted}, **groups}
        if not paths:
            for name in sorted(groups):
                self._group(fmri, name, groups[name])
        for path in paths:
            self._path(fmri, path, groups, answer["denied"])

    def _path(self, fmri: str, path: str, groups: Groups, denied: list[str]) -> None:
        name, slash, prop = path.partition("/")
        if name not in groups:
            self._complain(_no_group(fmri, name), self._silent)
        elif slash and prop not in groups[name].props:
            self._complain(_no_property(fmri, path), self._silent)
        elif name in denied and "q" not in self.flags:
            raise SmfError("Permission denied.", "permission")
        elif not slash:
            self._group(fmri, name, groups[name])
        else:
            self._print(fmri, path, groups[name].props[prop])

    def _group(self, fmri: str, name: str, group: PropertyGroup) -> None:
        self.typed = True
        for prop in sorted(group.props):
            self._print(fmri, f"{name}/{prop}", group.props[prop])

    def _print(self, fmri: str, path: str, prop: Property) -> None:
        if "q" in self.flags:
            return
        values = " ".join(quote(value) for value in prop.values)
        label = f"{fmri}{_PROPERTIES}{path}" if self.full else path
        sys.stdout.write(f"{label} {prop.type} {values}\n" if self.typed else values + "\n")


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
