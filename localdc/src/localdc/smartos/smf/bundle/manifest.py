"""Service bundles (manifests and profiles) to what the repository keeps (service_bundle(5)).

The result of `load` is plain data that goes to ``svc.startd`` in one message::

    {"type": "manifest", "name": …, "services": [
        {"name": …, "groups": {pg: {"type", "props": {name: [type, value…]}, "delete"?,
                               "override"?: [name…]}},
         "dependents": [{"name", "target", "props", "delete"?, "override"?}],
         "instances": [{"name", "enabled", "groups", "dependents"}]}]}
"""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import os

from ..fmri import valid_name, valid_service
from ..model import SmfError
from ..values import normalise
from . import dtd
from .templates import template_groups
from .xmltree import Node, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wire = dict[str, Any]
    Props = dict[str, list[str]]

_CONTEXT = ("working_directory", "project", "resource_pool", "security_flags")
_CREDENTIAL = ("user", "group", "supp_groups", "privileges", "limit_privileges")


def load(path: os.PathLike[str] | str, validate: bool = True) -> Wire:
    """Read and check the bundle in file `path`.

    Raises SmfError with the messages of svccfg(8); OSError where the file cannot be read.
    """
    with open(path, "rb") as file:
        return loads(file.read(), os.fspath(path), validate)


def loads(text: bytes, file: str, validate: bool = True) -> Wire:
    """Read and check a bundle from `text`; `file` names it in messages."""
    try:
        document = parse(text, file)
    except SmfError as error:
        raise SmfError(f"{error}\ncouldn't parse document", error.code) from None
    dtd.check_doctype(document.root, document.system_id, file)
    root = document.root
    kind = root.attrs.get("type", "")
    if validate:
        found = dtd.problems(root, kind == "profile")
        if found:
            raise SmfError("\n".join([*found, "Document is not valid."]), "dtd")
    if kind not in ("manifest", "profile", "archive"):
        raise SmfError(f'unknown service bundle type "{kind}"', "dtd")
    return {"type": kind, "name": root.attrs.get("name", ""), "services": _services(root)}


def _services(root: Node) -> list[Wire]:
    found: list[Wire] = []
    for child in root.children:
        if child.name == "service_bundle":
            if child.attrs.get("type") != root.attrs.get("type"):
                raise SmfError("included bundle of different type. aborting", "dtd")
            found.extend(_services(child))
        elif child.name == "service":
            found.append(_service(child))
    names = [service["name"] for service in found]
    for name in names:
        if names.count(name) > 1:
            raise SmfError(f"Multiple definitions for service {name}", "dtd")
    return found


def _where(node: Node, message: str) -> SmfError:
    return SmfError(f"{node.file}:{node.line}: {message}\nValidation failed.")


class _Groups:
    """Property groups of one entity while its elements are read."""

    def __init__(self) -> None:
        self.out: dict[str, Wire] = {}

    def group(self, node: Node, name: str, type: str) -> Wire:
        if not valid_name(name):
            raise _where(node, f'property group name "{name}" is invalid')
        found = self.out.setdefault(name, {"type": type, "props": {}})
        if found["type"] != type:
            raise _where(
                node, f'property group "{name}" redefined with type "{type}", was {found["type"]}'
            )
        return found

    def set(self, node: Node, name: str, type: str, prop: str, ptype: str, *values: str) -> None:
        group = self.group(node, name, type)
        if prop in group["props"]:
            raise _where(node, f'property "{prop}" of property group "{name}" is defined twice')
        if not valid_name(prop):
            raise _where(node, f'property name "{prop}" is invalid')
        try:
            known = (normalise(ptype, value) for value in values) if ptype else values
            group["props"][prop] = [ptype, *known]
        except SmfError as error:
            raise _where(node, f"{name}/{prop}: {error}") from None


def _service(node: Node) -> Wire:
    name = node.attrs["name"]
    if not valid_service(name):
        raise _where(node, f'service name "{name}" is invalid')
    groups = _Groups()
    instances: list[Wire] = []
    for child in node.children:
        if child.name == "create_default_instance":
            enabled = child.attrs["enabled"] == "true"
            instances.append(
                {"name": "default", "enabled": enabled, "groups": {}, "dependents": []}
            )
        elif child.name == "single_instance":
            groups.set(child, "general", "framework", "single_instance", "boolean", "true")
        elif child.name == "instance":
            instances.append(_instance(child))
        elif child.name == "stability":
            value = child.attrs["value"]
            groups.set(child, "general", "framework", "entity_stability", "astring", value)
    dependents = _common(node, groups)
    names = [instance["name"] for instance in instances]
    if len(set(names)) != len(names):
        raise _where(node, f"Instance {max(names, key=names.count)} is defined more than once.")
    return {"name": name, "groups": groups.out, "dependents": dependents, "instances": instances}


def _instance(node: Node) -> Wire:
    name = node.attrs["name"]
    if not valid_name(name):
        raise _where(node, f'instance name "{name}" is invalid')
    groups = _Groups()
    dependents = _common(node, groups)
    enabled = {"true": True, "false": False}.get(node.attrs.get("enabled", ""))
    return {"name": name, "enabled": enabled, "groups": groups.out, "dependents": dependents}


def _common(node: Node, groups: _Groups) -> list[Wire]:
    """The elements that services and instances share; returns the dependents."""
    dependents = []
    for child in node.children:
        if child.name == "restarter":
            target = child.children[0].attrs["value"]
            groups.set(child, "general", "framework", "restarter", "fmri", target)
        elif child.name == "dependency":
            _dependency(child, groups)
        elif child.name == "dependent":
            dependents.append(_dependent(child))
        elif child.name == "method_context":
            groups.group(child, "method_context", "framework")
            _context(child, groups, "method_context", "framework")
        elif child.name == "exec_method":
            _exec_method(child, groups)
        elif child.name == "notification_parameters":
            _notification(child, groups)
        elif child.name == "property_group":
            name, type = child.attrs["name"], child.attrs.get("type", "")
            _mark(child, groups.group(child, name, type))
            _properties(child, groups, name, type)
        elif child.name == "template":
            template_groups(child, groups.set, groups.group)
    return dependents


def _mark(node: Node, group: Wire) -> None:
    if node.attrs.get("delete") == "true":
        group["delete"] = True


def _properties(node: Node, groups: _Groups, group: str, type: str) -> None:
    for child in node.children:
        if child.name == "stability":
            groups.set(child, group, type, "stability", "astring", child.attrs["value"])
            continue
        if child.name not in ("propval", "property"):
            continue
        name = child.attrs["name"]
        # only a profile may leave the type out; "" stands for the one that the repository has
        ptype = child.attrs.get("type", "")
        if child.name == "propval":
            values = [child.attrs["value"]]
        else:
            values = [v.attrs["value"] for items in child.children for v in items.children]
            listed = child.children[0].name.removesuffix("_list") if child.children else ptype
            if listed != ptype and child.attrs.get("type"):
                raise _where(child, f'property "{name}": type {ptype} does not match {listed}_list')
            ptype = listed
        groups.set(child, group, type, name, ptype, *values)
        if child.attrs.get("override") == "true":
            groups.out[group].setdefault("override", []).append(name)


def _dependency(node: Node, groups: _Groups) -> None:
    name = node.attrs["name"]
    _mark(node, groups.group(node, name, "dependency"))
    for prop in ("grouping", "restart_on", "type"):
        groups.set(node, name, "dependency", prop, "astring", node.attrs[prop])
    entities = [child.attrs["value"] for child in node.all("service_fmri")]
    groups.set(node, name, "dependency", "entities", "fmri", *entities)
    _properties(node, groups, name, "dependency")


def _dependent(node: Node) -> Wire:
    groups = _Groups()
    name = node.attrs["name"]
    groups.set(node, name, "dependency", "grouping", "astring", node.attrs["grouping"])
    groups.set(node, name, "dependency", "restart_on", "astring", node.attrs["restart_on"])
    groups.set(node, name, "dependency", "type", "astring", "service")
    groups.set(node, name, "dependency", "external", "boolean", "true")
    _properties(node, groups, name, "dependency")
    dependent: Wire = {
        "name": name, "target": node.children[0].attrs["value"], "props": groups.out[name]["props"],
    }  # fmt: skip
    for flag in ("delete", "override"):
        if node.attrs.get(flag) == "true":
            dependent[flag] = True
    return dependent


def _context(node: Node, groups: _Groups, group: str, type: str) -> None:
    for name in _CONTEXT:
        if name in node.attrs:
            groups.set(node, group, type, name, "astring", node.attrs[name])
    for child in node.children:
        if child.name == "method_environment":
            pairs = [f"{var.attrs['name']}={var.attrs['value']}" for var in child.children]
            groups.set(child, group, type, "environment", "astring", *pairs)
        elif child.name == "method_profile":
            groups.set(child, group, type, "use_profile", "boolean", "true")
            groups.set(child, group, type, "profile", "astring", child.attrs["name"])
        elif child.name == "method_credential":
            groups.set(child, group, type, "use_profile", "boolean", "false")
            for name in _CREDENTIAL:
                if name in child.attrs:
                    groups.set(child, group, type, name, "astring", child.attrs[name])


def _exec_method(node: Node, groups: _Groups) -> None:
    name = node.attrs["name"]
    _mark(node, groups.group(node, name, "method"))
    # -1 is the deprecated spelling of "no limit"
    seconds = node.attrs["timeout_seconds"].strip()
    seconds = "0" if seconds == "-1" else seconds
    groups.set(node, name, "method", "type", "astring", node.attrs["type"])
    groups.set(node, name, "method", "exec", "astring", node.attrs["exec"])
    groups.set(node, name, "method", "timeout_seconds", "count", seconds)
    context = node.first("method_context")
    if context is not None:
        _context(context, groups, name, "method")
    _properties(node, groups, name, "method")


def _notification(node: Node, groups: _Groups) -> None:
    for event in node.children[0].attrs["value"].split(","):
        name = f"{event.strip()},swfma"
        groups.group(node, name, "notify_params")
        for child in node.all("type"):
            kind = child.attrs["name"]
            active = child.attrs.get("active", "true")
            groups.set(child, name, "notify_params", f"{kind},active", "boolean", active)
            for param in child.children:
                if param.name == "paramval":
                    values = [param.attrs["value"]]
                else:
                    values = [value.attrs["value"] for value in param.children]
                prop = f"{kind},{param.attrs['name']}"
                groups.set(param, name, "notify_params", prop, "astring", *values)
