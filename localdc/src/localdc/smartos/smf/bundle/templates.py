"""Templates (smf_template(7)): ``<template>`` elements as ``tm_*`` property groups."""

from __future__ import annotations

import re
from _blake2 import blake2b
from collections.abc import Callable

from ..fmri import NAME_MAX
from .xmltree import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Set = Callable[..., None]
    Group = Callable[[Node, str, str], dict[str, Any]]

TEMPLATE = "template"
PG_PATTERN = "template_pg_pattern"
PROP_PATTERN = "template_prop_pattern"


def clean(text: str) -> str:
    """`text` as the tail of a property group name: what the name may not hold becomes ``_``."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def limited(name: str) -> str:
    """`name`, with a hash in place of its end where it is longer than a name may be."""
    if len(name) <= NAME_MAX:
        return name
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name[: NAME_MAX - 17]}_{digest}"


def locale(text: str) -> str:
    """A locale as a property name: ``en_US.UTF-8`` becomes ``en_US,UTF-8``."""
    return ",".join(clean(part) for part in re.split("[.@]", text, maxsplit=1))


def _texts(node: Node | None, set: Set, group: str, type: str, prefix: str = "") -> None:
    if node is None:
        return
    for text in node.children:
        words = " ".join(text.text.split())
        set(text, group, type, prefix + locale(text.attrs["xml:lang"]), "ustring", words)


def template_groups(node: Node, set: Set, group: Group) -> None:
    """Put the groups of a ``<template>`` by the callables of the importer."""
    _texts(node.first("common_name"), set, "tm_common_name", TEMPLATE)
    _texts(node.first("description"), set, "tm_description", TEMPLATE)
    documentation = node.first("documentation")
    for child in documentation.children if documentation else ():
        _document(child, set, group)
    for pattern in node.all("pg_pattern"):
        _pg_pattern(pattern, set)


def _document(node: Node, set: Set, group: Group) -> None:
    if node.name == "manpage":
        title, section = node.attrs["title"].strip(), node.attrs["section"].strip()
        name = limited("tm_man_" + clean(title + section))
        values = {"title": title, "section": section,
                  "manpath": node.attrs.get("manpath", ":default")}  # fmt: skip
    else:
        name = limited("tm_doc_" + clean(node.attrs["name"].strip()))
        values = {"name": node.attrs["name"], "uri": node.attrs["uri"]}
    # the same page named twice says nothing new
    if group(node, name, TEMPLATE)["props"]:
        return
    for key, value in values.items():
        set(node, name, TEMPLATE, key, "astring", value)


def _pg_pattern(node: Node, set: Set) -> None:
    wanted, type = node.attrs.get("name", ""), node.attrs.get("type", "")
    kind = ("n" if wanted else "") + ("t" if type else "")
    tail = clean("_".join(filter(None, (wanted, type))))
    name = limited(f"tm_pgpatt_{kind}_{tail}" if kind else "tm_pgpatt_")
    for key, default in (("name", ""), ("type", ""), ("target", "this")):
        set(node, name, PG_PATTERN, key, "astring", node.attrs.get(key, default))
    set(node, name, PG_PATTERN, "required", "boolean", node.attrs.get("required", "false"))
    _texts(node.first("common_name"), set, name, PG_PATTERN, "common_name_")
    _texts(node.first("description"), set, name, PG_PATTERN, "description_")
    for child in node.all("prop_pattern"):
        _prop_pattern(child, name, set)


def _prop_pattern(node: Node, pg_pattern: str, set: Set) -> None:
    owner = pg_pattern.removeprefix("tm_pgpatt_")
    name = limited(f"tm_proppat_{owner}_{clean(node.attrs['name'])}")
    put = _Putter(node, name, set)
    put("name", "astring", node.attrs["name"])
    put("pg_pattern", "astring", pg_pattern)
    if "type" in node.attrs:
        put("type", "astring", node.attrs["type"])
    put("required", "boolean", node.attrs.get("required", "false"))
    for label in ("common_name", "description", "units"):
        _texts(node.first(label), set, name, PROP_PATTERN, label + "_")
    for child in node.children:
        if child.name == "visibility":
            put("visibility", "astring", child.attrs["value"])
        elif child.name == "cardinality":
            put("cardinality_min", "count", child.attrs.get("min", "0"))
            put("cardinality_max", "count", child.attrs.get("max", "18446744073709551615"))
        elif child.name == "internal_separators":
            put("internal_separators", "astring", child.text)
        elif child.name in ("constraints", "choices"):
            _limits(child, put)
        if child.name in ("values", "constraints", "choices"):
            _described(child, name, set)


class _Putter:
    def __init__(self, node: Node, group: str, set: Set) -> None:
        self.node, self.group, self.set = node, group, set

    def __call__(self, prop: str, type: str, *values: str) -> None:
        self.set(self.node, self.group, PROP_PATTERN, prop, type, *values)


def _limits(node: Node, put: _Putter) -> None:
    kind = "constraint" if node.name == "constraints" else "choice"
    names = [value.attrs["name"] for value in node.all("value")]
    ranges = [f"{item.attrs['min']},{item.attrs['max']}" for item in node.all("range")]
    included = [item.attrs["type"] for item in node.all("include_values")]
    for prop, values in (("name", names), ("range", ranges), ("include_values", included)):
        if values:
            put(f"{kind}_{prop}", "astring", *values)


def _described(node: Node, group: str, set: Set) -> None:
    """Texts of single values; the ones below constraints, choices and values are kept apart."""
    prefix = {"values": "value", "constraints": "constraint", "choices": "choice"}[node.name]
    if node.name == "values":
        names = [value.attrs["name"] for value in node.children]
        set(node, group, PROP_PATTERN, "values_name", "astring", *names)
    for value in node.all("value"):
        for label in ("common_name", "description"):
            tail = limited(f"{prefix}_{clean(value.attrs['name'])}_{label}_")
            _texts(value.first(label), set, group, PROP_PATTERN, tail)
