"""``<template>`` elements from ``tm_*`` property groups; the inverse of ``templates``."""

from __future__ import annotations

from ..bundle.templates import PG_PATTERN, PROP_PATTERN, TEMPLATE, clean, limited
from ..bundle.xmltree import Node
from ..model import Groups, PropertyGroup


def template(groups: Groups) -> list[Node]:
    """The element as a list of one, or nothing where there is no common name."""
    names = groups.get("tm_common_name")
    if names is None:
        return []
    node = Node("template", {})
    node.children = _texts("common_name", names, "")
    if "tm_description" in groups:
        node.children += _texts("description", groups["tm_description"], "")
    documents = Node("documentation", {})
    keys: tuple[str, ...]
    for name in sorted(groups):
        group = groups[name]
        if group.type != TEMPLATE:
            continue
        if name.startswith("tm_man_"):
            keys, element = ("title", "section", "manpath"), "manpage"
        elif name.startswith("tm_doc_"):
            keys, element = ("name", "uri"), "doc_link"
        else:
            continue
        documents.children.append(Node(element, {key: group.first(key) or "" for key in keys}))
    if documents.children:
        node.children.append(documents)
    patterns = [name for name in sorted(groups) if groups[name].type == PG_PATTERN]
    node.children += [_pg_pattern(name, groups) for name in patterns]
    return [node]


def _texts(element: str, group: PropertyGroup, prefix: str) -> list[Node]:
    node = Node(element, {})
    for name, prop in sorted(group.props.items()):
        if not name.startswith(prefix) or prop.type != "ustring":
            continue
        text = Node("loctext", {"xml:lang": name[len(prefix) :].replace(",", ".")})
        text.text = prop.values[0] if prop.values else ""
        node.children.append(text)
    return [node] if node.children else []


def _pg_pattern(name: str, groups: Groups) -> Node:
    group = groups[name]
    keys = ("name", "type", "required", "target")
    node = Node("pg_pattern", {key: group.first(key) or "" for key in keys})
    node.children = [
        *_texts("common_name", group, "common_name_"), *_texts("description", group, "description_")
    ]  # fmt: skip
    for other in sorted(groups):
        pattern = groups[other]
        if pattern.type == PROP_PATTERN and pattern.first("pg_pattern") == name:
            node.children.append(_prop_pattern(pattern))
    return node


def _prop_pattern(group: PropertyGroup) -> Node:
    attrs = {"name": group.first("name") or "", "required": group.first("required") or "false"}
    if "type" in group.props:
        attrs["type"] = group.first("type") or ""
    node = Node("prop_pattern", attrs)
    for label in ("common_name", "description", "units"):
        node.children += _texts(label, group, label + "_")
    if "visibility" in group.props:
        node.children.append(Node("visibility", {"value": group.first("visibility") or ""}))
    if "cardinality_min" in group.props:
        bounds = {key: group.first(f"cardinality_{key}") or "" for key in ("min", "max")}
        node.children.append(Node("cardinality", bounds))
    if "internal_separators" in group.props:
        separators = Node("internal_separators", {})
        separators.text = group.first("internal_separators") or ""
        node.children.append(separators)
    if "values_name" in group.props:
        values = Node("values", {})
        values.children = _values(group, "values_name", "value")
        node.children.append(values)
    for element, kind in (("constraints", "constraint"), ("choices", "choice")):
        limits = _limits(group, element, kind)
        if limits.children:
            node.children.append(limits)
    return node


def _limits(group: PropertyGroup, element: str, kind: str) -> Node:
    node = Node(element, {})
    node.children = _values(group, f"{kind}_name", kind)
    for text in _all(group, f"{kind}_range"):
        low, _comma, high = text.partition(",")
        node.children.append(Node("range", {"min": low, "max": high}))
    for text in _all(group, f"{kind}_include_values"):
        node.children.append(Node("include_values", {"type": text}))
    return node


def _values(group: PropertyGroup, names: str, prefix: str) -> list[Node]:
    found = []
    for text in _all(group, names):
        value = Node("value", {"name": text})
        for label in ("common_name", "description"):
            stem = limited(f"{prefix}_{clean(text)}_{label}_")
            value.children += _texts(label, group, stem)
        found.append(value)
    return found


def _all(group: PropertyGroup, name: str) -> tuple[str, ...]:
    prop = group.props.get(name)
    return prop.values if prop is not None else ()
