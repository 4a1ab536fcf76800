"""Subcommands of svccfg(8) that edit entities, property groups, properties and values."""

from __future__ import annotations

import sys

from .. import fmri as fmris
from ..model import Groups, SmfError
from ..quoting import listed
from ..values import TYPES
from .lexer import Word
from .svccfg_session import Session, need

_QUOTE_RULE = "Multiple string values or string values with spaces must be quoted with '\"'."
_QUOTED_TYPES = ("astring", "ustring")


class EditCommands:
    """Entities, property groups, properties, values and snapshots."""

    def __init__(self, session: Session) -> None:
        self.session = session

    # --- entities

    def do_add(self, words: list[Word]) -> None:
        """add NAME: a service, or an instance of the selected service"""
        need(words, 1, 1, "add name")
        name = str(words[0])
        if self.session.selected is None:
            if not fmris.valid_service(name):
                raise SmfError(f'Invalid service name "{name}".')
            self.session.door.call("create", fmri=fmris.SCHEME + name)
            return
        if fmris.split(self.session.selected)[1] is not None:
            raise SmfError("Cannot add entities to instances.")
        if not fmris.valid_name(name):
            raise SmfError(f'Invalid instance name "{name}".')
        self.session.door.call("create", fmri=f"{self.session.selected}:{name}")

    def do_delete(self, words: list[Word]) -> None:
        """delete [-f] NAME|FMRI|pattern"""
        force = bool(words) and words[0] == "-f"
        words = words[1:] if force else words
        need(words, 1, 1, "delete [-f] {FMRI | pattern}")
        word = str(words[0])
        found: list[str] = []
        if self.session.selected is not None and fmris.split(self.session.selected)[1] is None:
            below = f"{self.session.selected}:{word.removeprefix(':')}"
            found = [below] if below in self.session.door.call("fmris")["instances"] else []
        found = found or self.session.find(word)
        if not found:
            raise SmfError(f"Pattern '{word}' doesn't match any instances or services")
        if len(found) > 1 and not fmris.is_glob(word):
            lines = "".join(f"\n\t{fmri}" for fmri in found)
            raise SmfError(f"Partial FMRI '{word}' matches multiple instances:{lines}")
        for fmri in found:
            self.session.door.call("delete", fmri=fmri, force=force)
            if self.session.selected is not None and self.session.selected.startswith(fmri):
                self.session.selected = None

    def do_refresh(self, words: list[Word]) -> None:
        """refresh: make the edited configuration the running one"""
        need(words, 0, 0, "refresh")
        self.session.door.call("action", fmri=self.session.instance(), verb="refresh")

    # --- property groups

    def do_addpg(self, words: list[Word]) -> None:
        """addpg NAME TYPE [FLAGS]"""
        need(words, 2, 3, "addpg name type [flags]")
        flags = words[2] if len(words) > 2 else ""
        if set(flags) - set("Pp"):
            raise SmfError('Invalid property group flag "' + flags + '".')
        self.session.door.call(
            "addpg",
            fmri=self.session.target(),
            group=words[0],
            type=words[1],
            volatile="p" in flags,
        )

    def do_delpg(self, words: list[Word]) -> None:
        """delpg NAME"""
        need(words, 1, 1, "delpg name")
        self.session.door.call("delpg", fmri=self.session.target(), group=words[0])

    def do_listpg(self, words: list[Word]) -> None:
        """listpg [pattern]"""
        need(words, 0, 1, "listpg [glob_pattern]")
        pattern = words[0] if words else "*"
        groups = self._groups()
        names = [name for name in sorted(groups) if fmris.glob(name, pattern)]
        width = max(map(len, names), default=0)
        for name in names:
            mark = "\tNONPERSISTENT" if groups[name].volatile else ""
            sys.stdout.write(f"{name:<{width}}  {groups[name].type}{mark}\n")

    def _groups(self) -> Groups:
        return self.session.door.groups(self.session.target(), self.session.snapshot or "direct")

    # --- properties

    def do_listprop(self, words: list[Word]) -> None:
        """listprop [pattern]: property groups and properties of the selected entity only"""
        need(words, 0, 1, "listprop [glob_pattern]")
        pattern = words[0] if words else "*"
        groups = self._groups()
        lines: list[tuple[str, str]] = []
        for name in sorted(groups):
            group = groups[name]
            if fmris.glob(name, pattern):
                mark = "\tNONPERSISTENT" if group.volatile else ""
                lines.append((name, group.type + mark))
            for key in sorted(group.props):
                path = f"{name}/{key}"
                if fmris.glob(path, pattern):
                    prop = group.props[key]
                    values = listed(prop.type, prop.values)
                    lines.append((path, f"{prop.type:<7} {values}".rstrip()))
        width = max((len(label) for label, _text in lines), default=0)
        for label, text in lines:
            sys.stdout.write(f"{label:<{width}}  {text}\n")

    def do_setprop(self, words: list[Word]) -> None:
        """setprop GROUP/NAME = [type:] value|(values)"""
        usage = "setprop pg/name = [type:] value\n       setprop pg/name = [type:] ([value...])"
        if len(words) < 2 or not (words[1].mark and words[1] == "="):
            raise SmfError(f"Syntax error.\nUsage: {usage}")
        group, name = self._path(words[0])
        rest = words[2:]
        type: str | None = None
        if rest and not rest[0].quoted and rest[0].endswith(":") and not rest[0].mark:
            type, rest = str(rest[0])[:-1], rest[1:]
            if type not in TYPES:
                raise SmfError(f'Unknown type "{type}".')
        values = self._values(rest, type or self._type(group, name), usage)
        self.session.door.call(
            "setprop", fmri=self.session.target(), group=group, name=name, type=type, values=values
        )

    def _values(self, words: list[Word], type: str | None, usage: str) -> list[str]:
        if words and words[0].mark and words[0] == "(":
            if not (words[-1].mark and words[-1] == ")"):
                raise SmfError(f"Syntax error.\nUsage: {usage}")
            words = words[1:-1]
            unquoted = any(not word.quoted for word in words)
            if type in _QUOTED_TYPES and unquoted:
                raise SmfError(_QUOTE_RULE)
        elif len(words) > 1 and type in _QUOTED_TYPES:
            raise SmfError(_QUOTE_RULE)
        elif len(words) != 1:
            raise SmfError(f"Syntax error.\nUsage: {usage}")
        if any(word.mark for word in words):
            raise SmfError(f"Syntax error.\nUsage: {usage}")
        return [str(word) for word in words]

    def _type(self, group: str, name: str) -> str | None:
        found = self.session.door.groups(self.session.target(), "current", group).get(group)
        return found.props[name].type if found and name in found.props else None

    @staticmethod
    def _path(word: str) -> tuple[str, str]:
        group, slash, name = word.partition("/")
        if not slash or not group or not name:
            raise SmfError(f'Property name "{word}" must be of the form property-group/property.')
        return group, name

    def do_delprop(self, words: list[Word]) -> None:
        """delprop GROUP[/NAME]"""
        need(words, 1, 1, "delprop pg[/name]")
        if "/" not in words[0]:
            self.do_delpg(words)
            return
        group, name = self._path(words[0])
        self.session.door.call("delprop", fmri=self.session.target(), group=group, name=name)

    def do_addpropvalue(self, words: list[Word]) -> None:
        """addpropvalue GROUP/NAME [type:] value"""
        need(words, 2, 3, "addpropvalue pg/name [type:] value")
        group, name = self._path(words[0])
        type = str(words[1])[:-1] if len(words) == 3 else None
        if type is None and self._type(group, name) is None:
            raise SmfError("Type required for new properties.")
        self.session.door.call(
            "setprop", fmri=self.session.target(), group=group, name=name, type=type,
            values=[str(words[-1])], add=True,
        )  # fmt: skip

    def do_delpropvalue(self, words: list[Word]) -> None:
        """delpropvalue GROUP/NAME pattern: succeeds even if nothing matches"""
        need(words, 2, 2, "delpropvalue pg/name glob_pattern")
        group, name = self._path(words[0])
        found = self._groups().get(group)
        if found is None or name not in found.props:
            raise SmfError(f"No such property {group}/{name}.")
        gone = [v for v in found.props[name].values if fmris.glob(v, words[1])]
        if gone:
            self.session.door.call(
                "delprop", fmri=self.session.target(), group=group, name=name, values=gone
            )

    # --- environment of methods

    def _environment(
        self, words: list[Word], operands: int, usage: str
    ) -> tuple[str, str, list[str], list[str]]:
        """Entity and property group whose environment is meant, the operands, and what is there."""
        method, rest, levels = "", list(words), ""
        while rest and rest[0].startswith("-") and not rest[0].quoted:
            flag = rest.pop(0)
            if flag == "-m" and rest:
                method = str(rest.pop(0))
            elif flag in ("-i", "-s"):
                levels += flag[1]
            else:
                raise SmfError(f"Syntax error.\nUsage: {usage}")
        need(rest, operands, operands, usage)
        if len(levels) > 1:
            raise SmfError(f"Syntax error.\nUsage: {usage}")
        entity, group = self._environment_group(method, levels)
        found = self.session.door.groups(entity, "direct", group).get(group)
        if found is None:
            usual = "method" if method else "framework"
            self.session.door.call("addpg", fmri=entity, group=group, type=usual)
        prop = found.props.get("environment") if found else None
        return entity, group, [str(word) for word in rest], list(prop.values) if prop else []

    def _environment_group(self, method: str, level: str) -> tuple[str, str]:
        """Where setenv(-i, -s, -m) looks, as svccfg(8) has it."""
        target = self.session.target()
        if level == "i":
            return self.session.instance(), method or "method_context"
        if level == "s":
            return fmris.service_of(target), method or "method_context"
        entities = dict.fromkeys((target, fmris.service_of(target)))
        for group in [method] if method else ["start", "method_context"]:
            for entity in entities:
                if group in self.session.door.groups(entity, "direct", group):
                    return entity, group
        if method:
            raise SmfError(f'No such property group "{method}".')
        raise SmfError('No such property group "method_context".')

    def do_setenv(self, words: list[Word]) -> None:
        """setenv [-i | -s] [-m method] VARIABLE value"""
        usage = "setenv [-i | -s] [-m method] NAME value"
        entity, group, (name, value), old = self._environment(words, 2, usage)
        if "=" in name:
            raise SmfError(f'Invalid environment variable "{name}".')
        kept = [pair for pair in old if not pair.startswith(name + "=")]
        self.session.door.call(
            "setprop", fmri=entity, group=group, name="environment", type="astring",
            values=[*kept, f"{name}={value}"],
        )  # fmt: skip

    def do_unsetenv(self, words: list[Word]) -> None:
        """unsetenv [-i | -s] [-m method] VARIABLE"""
        usage = "unsetenv [-i | -s] [-m method] NAME"
        entity, group, (name,), old = self._environment(words, 1, usage)
        kept = [pair for pair in old if not pair.startswith(name + "=")]
        if kept != old:
            self.session.door.call(
                "setprop", fmri=entity, group=group, name="environment", type="astring",
                values=kept,
            )  # fmt: skip

    # --- snapshots

    def do_listsnap(self, words: list[Word]) -> None:
        """listsnap"""
        need(words, 0, 0, "listsnap")
        for name in self.session.door.groups(self.session.instance(), "names"):
            sys.stdout.write(name + "\n")

    def do_selectsnap(self, words: list[Word]) -> None:
        """selectsnap [NAME]: listprop and export then show the snapshot"""
        need(words, 0, 1, "selectsnap [snapshot]")
        if words:
            self.session.door.groups(self.session.instance(), str(words[0]))
        self.session.snapshot = str(words[0]) if words else None

    def do_revert(self, words: list[Word]) -> None:
        """revert [SNAPSHOT]"""
        need(words, 0, 1, "revert [snapshot]")
        name = str(words[0]) if words else self.session.snapshot or "running"
        self.session.door.call("revert", fmri=self.session.instance(), snapshot=name)
        self.session.snapshot = None
