"""Service bundles from the repository: ``svccfg export``, ``archive`` and ``extract``."""

from __future__ import annotations

from .. import fmri as fmris
from ..bundle.dtd import DTD_PATH
from ..bundle.xmltree import Node, serialise
from ..door import Door
from ..model import Groups, Property, PropertyGroup, boolean_of, value_of
from .export_templates import template

_HEADER = f"<?xml version='1.0'?>\n<!DOCTYPE service_bundle SYSTEM '{DTD_PATH}'>\n"
_CONTEXT = ("working_directory", "project", "resource_pool", "security_flags")
_CREDENTIAL = ("user", "group", "supp_groups", "privileges", "limit_privileges")
_IN_CONTEXT = {*_CONTEXT, *_CREDENTIAL, "use_profile", "profile", "environment"}
_IN_METHOD = {"type", "exec", "timeout_seconds"}
_IN_DEPENDENCY = {"grouping", "restart_on", "type", "entities"}
_IN_DEPENDENT = {"grouping", "restart_on", "type", "entities", "external"}


def document(door: Door, services: list[str], type: str, everything: bool = False) -> str:
    """The text of a bundle with `services`.

    Values of groups with ``read_authorization`` are left out unless `everything` (-a) is asked
    for, as svccfg(8) does.
    """
    name = "export" if type == "manifest" else "archive"
    root = Node("service_bundle", {"type": type, "name": name})
    for fmri in services:
        root.children.append(_Exporter(door, everything).service(fmri))
    return _HEADER + serialise(root)


def profile(door: Door) -> str:
    """A profile that says of every instance whether it is enabled."""
    root = Node("service_bundle", {"type": "profile", "name": "extract"})
    for fmri in door.call("fmris")["services"]:
        node = Node("service", {"name": fmris.split(fmri)[0], "type": "service", "version": "0"})
        for row in door.call("list"):
            if fmris.service_of(row["fmri"]) == fmri and row["enabled"] is not None:
                enabled = "true" if row["enabled"] else "false"
                instance = fmris.instance_name(row["fmri"])
                node.children.append(Node("instance", {"name": instance, "enabled": enabled}))
        if node.children:
            root.children.append(node)
    return _HEADER + serialise(root)


class _Exporter:
    def __init__(self, door: Door, everything: bool) -> None:
        self.door = door
        self.everything = everything

    def _groups(self, fmri: str) -> Groups:
        groups = self.door.groups(fmri, "direct")
        kept = {name: group for name, group in groups.items() if not group.volatile}
        if self.everything:
            return kept
        return {name: _veiled(group) for name, group in kept.items()}

    def service(self, fmri: str) -> Node:
        groups = self._groups(fmri)
        node = Node("service", {"name": fmris.split(fmri)[0], "type": "service", "version": "0"})
        if boolean_of(groups, "general", "single_instance"):
            node.children.append(Node("single_instance", {}))
        node.children += self._common(fmri, groups)
        for name in self.door.call("fmris")["instances"]:
            if fmris.service_of(name) == fmri:
                node.children.append(self._instance(name))
        stability = value_of(groups, "general", "entity_stability")
        if stability:
            node.children.append(Node("stability", {"value": stability}))
        node.children += template(groups)
        return node

    def _instance(self, fmri: str) -> Node:
        groups = self._groups(fmri)
        enabled = "true" if boolean_of(groups, "general", "enabled") else "false"
        node = Node("instance", {"name": fmris.instance_name(fmri), "enabled": enabled})
        node.children = [*self._common(fmri, groups), *template(groups)]
        return node

    def _common(self, fmri: str, groups: Groups) -> list[Node]:
        """The children that services and instances share, in the order of the DTD."""
        by_type: dict[str, list[str]] = {}
        for name in sorted(groups):
            by_type.setdefault(groups[name].type, []).append(name)
        found: list[Node] = []
        restarter = value_of(groups, "general", "restarter")
        if restarter:
            found.append(_parent("restarter", Node("service_fmri", {"value": restarter})))
        for name in by_type.get("dependency", ()):
            if not boolean_of(groups, name, "external"):
                found.append(_dependency(name, groups[name]))
        found += self._dependents(groups)
        if "method_context" in groups:
            found.append(_context(groups["method_context"]))
        found += [_method(name, groups[name]) for name in by_type.get("method", ())]
        found += _notifications(groups, by_type.get("notify_params", []))
        for name in sorted(groups):
            node = _plain(name, groups[name])
            if node is not None:
                found.append(node)
        return found

    def _dependents(self, groups: Groups) -> list[Node]:
        found = []
        own = groups.get("dependents")
        for name, prop in sorted(own.props.items()) if own is not None else ():
            target = fmris.normalise(prop.values[0])
            group = self.door.groups(target, "direct", name).get(name)
            if group is None:
                continue
            node = Node("dependent", {"name": name, "grouping": group.first("grouping") or "",
                                      "restart_on": group.first("restart_on") or ""})  # fmt: skip
            node.children = [Node("service_fmri", {"value": prop.values[0]})]
            node.children += _properties(group, _IN_DEPENDENT)
            found.append(node)
        return found


def _veiled(group: PropertyGroup) -> PropertyGroup:
    """A protected group as those without the authorization see it."""
    if "read_authorization" not in group.props:
        return group
    open_ = ("read_authorization", "value_authorization", "modify_authorization", "stability")
    props = {
        name: prop if name in open_ else Property(prop.type) for name, prop in group.props.items()
    }
    return PropertyGroup(group.type, props)


def _parent(name: str, *children: Node) -> Node:
    node = Node(name, {})
    node.children = list(children)
    return node


def _properties(group: PropertyGroup, leave_out: set[str]) -> list[Node]:
    """``stability?, (propval | property)*``."""
    found: list[Node] = []
    stability = group.first("stability")
    if stability:
        found.append(Node("stability", {"value": stability}))
    for name, prop in sorted(group.props.items()):
        if name in leave_out or name == "stability":
            continue
        if len(prop.values) == 1:
            attrs = {"name": name, "type": prop.type, "value": prop.values[0]}
            found.append(Node("propval", attrs))
            continue
        node = Node("property", {"name": name, "type": prop.type})
        if prop.values:
            values = [Node("value_node", {"value": value}) for value in prop.values]
            node.children = [_parent(f"{prop.type}_list", *values)]
        found.append(node)
    return found


def _dependency(name: str, group: PropertyGroup) -> Node:
    attrs = {key: group.first(key) or "" for key in ("grouping", "restart_on", "type")}
    node = Node("dependency", {"name": name, **attrs})
    entities = group.props.get("entities")
    for value in entities.values if entities is not None else ():
        node.children.append(Node("service_fmri", {"value": value}))
    node.children += _properties(group, _IN_DEPENDENCY)
    return node


def _context(group: PropertyGroup) -> Node:
    attrs = {name: group.first(name) or "" for name in _CONTEXT if name in group.props}
    node = Node("method_context", attrs)
    if group.first("use_profile") == "true":
        node.children.append(Node("method_profile", {"name": group.first("profile") or ""}))
    elif "user" in group.props:
        names = [name for name in _CREDENTIAL if name in group.props]
        node.children.append(Node("method_credential", {n: group.first(n) or "" for n in names}))
    environment = group.props.get("environment")
    if environment is not None and environment.values:
        pairs = (value.partition("=") for value in environment.values)
        variables = [Node("envvar", {"name": name, "value": value}) for name, _eq, value in pairs]
        node.children.append(_parent("method_environment", *variables))
    return node


def _method(name: str, group: PropertyGroup) -> Node:
    attrs = {key: group.first(key) or "" for key in ("type", "exec", "timeout_seconds")}
    node = Node("exec_method", {"name": name, **attrs})
    if _IN_CONTEXT & set(group.props):
        node.children.append(_context(group))
    node.children += _properties(group, _IN_METHOD | _IN_CONTEXT)
    return node


def _notifications(groups: Groups, names: list[str]) -> list[Node]:
    found = []
    for name in names:
        kinds: dict[str, Node] = {}
        for key, prop in sorted(groups[name].props.items()):
            kind, _comma, param = key.partition(",")
            node = kinds.setdefault(kind, Node("type", {"name": kind}))
            if param == "active":
                node.attrs["active"] = prop.values[0]
            elif len(prop.values) == 1:
                node.children.append(Node("paramval", {"name": param, "value": prop.values[0]}))
            else:
                values = [Node("value_node", {"value": value}) for value in prop.values]
                parameter = Node("parameter", {"name": param})
                parameter.children = values
                node.children.append(parameter)
        if kinds:
            event = Node("event", {"value": name.removesuffix(",swfma")})
            found.append(_parent("notification_parameters", event, *kinds.values()))
    return found


def _plain(name: str, group: PropertyGroup) -> Node | None:
    """A ``property_group`` element for what no other element stands for."""
    special = ("dependency", "method", "notify_params", "template", "template_pg_pattern",
               "template_prop_pattern")  # fmt: skip
    if group.type in special or name in ("method_context", "dependents"):
        return None
    leave_out: set[str] = set()
    if name == "general":
        leave_out = {"enabled", "restarter", "single_instance", "entity_stability"}
        if not set(group.props) - leave_out:
            return None
    node = Node("property_group", {"name": name, "type": group.type})
    node.children = _properties(group, leave_out)
    return node
