"""SMF through its own commands: properties read with svcprop, written with svccfg.

Formats are those of svcprop(1) and svccfg(8). Nothing but the standard library is used, because
this runs with whatever Python the zone has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

FMRI = re.compile(r"svc:/(?P<service>[A-Za-z][\w,/-]*)(?::(?P<instance>[A-Za-z][\w,-]*))?")
PROPERTY = re.compile(r"[A-Za-z][\w,-]*/[A-Za-z][\w,-]*")
TYPES = frozenset(
    ["astring", "boolean", "count", "fmri", "host", "hostname", "integer", "net_address"]
) | {"net_address_v4", "net_address_v6", "opaque", "time", "uri", "ustring"}


class SmfError(Exception):
    """A command failed, or something cannot be expressed in SMF."""


@dataclass(frozen=True)
class Property:
    """A property as the repository has it: its type and its values as text."""

    type: str
    values: tuple[str, ...]

    @property
    def value(self) -> str:
        """The value of a single-valued property; values joined by a blank otherwise."""
        return " ".join(self.values)


Properties = dict[str, Property]


def parse_properties(output: str) -> Properties:
    r"""Parse the `group/name type value...` lines of svcprop.

    Values are separated by blanks; special characters, newlines included, have a backslash
    before them; an empty string is `""`.
    """
    properties: Properties = {}
    for words in _lines_of_words(output):
        name, _, rest = words[0].partition("/:properties/")
        key = rest or name
        if len(words) > 1 and "/" in key:
            values = tuple("" if word == '""' else _unquote(word) for word in words[2:])
            properties[key] = Property(words[1], values)
    return properties


def _lines_of_words(output: str) -> Iterable[list[str]]:
    for line in re.findall(r"(?:[^\\\n]|\\.)+", output, re.DOTALL):
        words = re.findall(r"(?:[^\\ ]|\\.)+", line, re.DOTALL)
        if words:
            yield words


def _unquote(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL)


def wanted_property(name: str, value: Any, present: Property | None) -> Property:
    """The property that a task's value stands for.

    A plain value takes the type that the property has already, else the type of the value.
    """
    if not PROPERTY.fullmatch(name):
        raise SmfError(f"{name!r} is not a property name; write group/property")
    kind = None
    if isinstance(value, Mapping):
        if set(value) != {"type", "value"} or value["type"] not in TYPES:
            raise SmfError(
                f"property {name}: a dict needs the keys type and value, type being one of "
                f"{', '.join(sorted(TYPES))}"
            )
        kind, value = str(value["type"]), value["value"]
    values = value if isinstance(value, list) else [value]
    if kind is None:
        kind = present.type if present else _type_of(values)
    return Property(kind, tuple(_text(name, item) for item in values))


def _type_of(values: list[Any]) -> str:
    if values and all(isinstance(item, bool) for item in values):
        return "boolean"
    if values and all(isinstance(item, int) for item in values):
        return "integer"
    return "astring"


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        text = str(value)
        if len(text.encode()) > 4095:
            raise SmfError(f"property {name}: a value is longer than SMF's 4095 bytes")
        return text
    raise SmfError(f"property {name}: a value must be a string, an integer or a boolean")


def quote(value: str) -> str:
    """A value as svccfg's lexer reads it back."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def setprop(name: str, prop: Property) -> str:
    """The svccfg subcommand that sets a property."""
    values = " ".join(quote(value) for value in prop.values)
    if len(prop.values) != 1:
        values = f"({values})"
    return f"setprop {name} = {prop.type}: {values}"


class Smf:
    """Runs the SMF commands with an AnsibleModule."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def run(self, *command: str, stdin: str | None = None) -> tuple[int, str, str]:
        """Run one command; return (exit code, stdout, stderr)."""
        path = self.module.get_bin_path(command[0], opt_dirs=["/usr/sbin", "/usr/bin", "/sbin"])
        if path is None:
            raise SmfError(
                f"there is no {command[0]} on this machine; SMF modules work in SmartOS zones"
            )
        environment = {"LC_ALL": "C", "LANG": "C"}
        done: tuple[int, str, str] = self.module.run_command(
            [path, *command[1:]], data=stdin, environ_update=environment, binary_data=True
        )
        return done

    def check(self, *command: str, stdin: str | None = None) -> str:
        """Run one command that has to succeed; return its stdout."""
        code, stdout, stderr = self.run(*command, stdin=stdin)
        if code != 0:
            reason = " ".join((stderr or stdout).split()) or f"exit code {code}"
            if "ermission denied" in reason:
                reason += " (SMF is changed by root)"
            raise SmfError(reason)
        return stdout

    def read(self, fmri: str) -> Properties | None:
        """All properties of an instance as edited, and its state; None when there is none."""
        code, stdout, stderr = self.run("svcprop", "-c", fmri)
        if code == 0:
            return parse_properties(stdout)
        if "doesn't match any" in stderr:
            return None
        raise SmfError(" ".join(stderr.split()) or f"svcprop: exit code {code}")

    def own_groups(self, fmri: str) -> set[str]:
        """Property groups of the instance itself, not those of its service."""
        listing = self.check("svccfg", "-s", fmri, "listprop")
        return set(re.findall(r"^([A-Za-z][\w,-]*)[ \t]", listing, re.MULTILINE))

    def configure(self, commands: Iterable[str]) -> None:
        """Run svccfg subcommands, through stdin because arguments are public."""
        self.check("svccfg", "-f", "-", stdin="".join(f"{line}\n" for line in commands))
