"""The grammar of service bundles, after the DTD ``service_bundle.dtd.1``, and a validator for it.

One row per element: its content model in the DTD's notation and its attributes. ``#`` marks
character data, an empty model an element without content.
"""

from __future__ import annotations

import re

from ..model import SmfError
from ..values import TYPES
from .xmltree import Node

DTD_PATH = "/usr/share/lib/xml/dtd/service_bundle.dtd.1"
_LISTS = " | ".join(f"{type}_list" for type in TYPES)
_PROPS = "(propval | property)*"
_TRUTH = "true|false"
_TYPES = "|".join(TYPES)
_GROUPINGS = "require_all|require_any|exclude_all|optional_all"
_EVENTS = "error|restart|refresh|none"

MODELS: dict[str, str] = {
    "service_bundle": "(service_bundle* | service*)",
    "service": (
        "(create_default_instance?, single_instance?, restarter?, dependency*, dependent*,"
        " method_context?, exec_method*, notification_parameters*, property_group*, instance*,"
        " stability?, template?)"
    ),
    "instance": (
        "(restarter?, dependency*, dependent*, method_context?, exec_method*,"
        " notification_parameters*, property_group*, template?)"
    ),
    "dependency": f"(service_fmri*, stability?, {_PROPS})",
    "dependent": f"(service_fmri, stability?, {_PROPS})",
    "method_context": "((method_profile | method_credential)?, method_environment?)",
    "method_environment": "(envvar+)",
    "exec_method": f"(method_context?, stability?, {_PROPS})",
    "restarter": "(service_fmri)",
    "property_group": f"(stability?, {_PROPS})",
    "property": f"({_LISTS})?",
    "notification_parameters": "(event, type+)",
    "type": "(parameter | paramval)*",
    "parameter": "(value_node*)",
    "template": "(common_name, description?, documentation?, pg_pattern*)",
    "documentation": "(doc_link | manpage)*",
    "common_name": "(loctext+)",
    "description": "(loctext+)",
    "units": "(loctext+)",
    "value": "(common_name?, description?)",
    "values": "(value+)",
    "constraints": "(value*, range*)",
    "choices": "(value*, range*, include_values*)",
    "pg_pattern": "(common_name?, description?, prop_pattern*)",
    "prop_pattern": (
        "(common_name?, description?, units?, visibility?, cardinality?, internal_separators?,"
        " values?, constraints?, choices?)"
    ),
    "loctext": "#",
    "internal_separators": "#",
    **{f"{type}_list": "(value_node+)" for type in TYPES},
    **dict.fromkeys(
        (
            "stability", "value_node", "propval", "service_fmri", "envvar", "method_profile",
            "method_credential", "doc_link", "manpage", "visibility", "cardinality", "range",
            "include_values", "paramval", "event", "create_default_instance", "single_instance",
        ),
        "",
    ),
}  # fmt: skip

# attribute: None for any text, else its enumeration; a leading "!" in the name: required
ATTRIBUTES: dict[str, dict[str, str | None]] = {
    "service_bundle": {"!type": None, "!name": None},
    "service": {"!name": None, "!version": None, "!type": "service|restarter|milestone"},
    "instance": {"!name": None, "!enabled": _TRUTH},
    "create_default_instance": {"!enabled": _TRUTH},
    "stability": {"!value": "Standard|Stable|Evolving|Unstable|External|Obsolete"},
    "value_node": {"!value": None},
    "property": {"!name": None, "!type": _TYPES, "override": _TRUTH},
    "propval": {"!name": None, "!type": _TYPES, "!value": None, "override": _TRUTH},
    "property_group": {"!name": None, "!type": None, "delete": _TRUTH},
    "service_fmri": {"!value": None},
    "dependency": {
        "!name": None, "!grouping": _GROUPINGS, "!restart_on": _EVENTS, "!type": None,
        "delete": _TRUTH,
    },
    "dependent": {
        "!name": None, "!grouping": _GROUPINGS, "!restart_on": _EVENTS, "delete": _TRUTH,
        "override": _TRUTH,
    },
    "envvar": {"!name": None, "!value": None},
    "method_profile": {"!name": None},
    "method_credential": {
        "!user": None, "group": None, "supp_groups": None, "privileges": None,
        "limit_privileges": None,
    },
    "method_context": {
        "security_flags": None, "working_directory": None, "project": None, "resource_pool": None,
    },
    "exec_method": {
        "!type": "method|monitor", "!name": None, "!exec": None, "!timeout_seconds": None,
        "delete": _TRUTH,
    },
    "doc_link": {"!name": None, "!uri": None},
    "manpage": {"!title": None, "!section": None, "manpath": None},
    "loctext": {"!xml:lang": None},
    "visibility": {"!value": "hidden|readonly|readwrite"},
    "value": {"!name": None},
    "cardinality": {"min": None, "max": None},
    "range": {"!min": None, "!max": None},
    "include_values": {"!type": "constraints|values"},
    "prop_pattern": {"!name": None, "type": _TYPES, "required": _TRUTH},
    "pg_pattern": {
        "name": None, "type": None, "required": _TRUTH, "target": "this|instance|delegate|all",
    },
    "paramval": {"!name": None, "!value": None},
    "parameter": {"!name": None},
    "event": {"!value": None},
    "type": {"!name": None, "active": _TRUTH},
}  # fmt: skip

# in profiles these may be left out: the repository knows them
_PROFILE_OPTIONAL = {("property", "type"), ("propval", "type"), ("property_group", "type")}
_compiled: dict[str, re.Pattern[str]] = {}


def _pattern(name: str) -> re.Pattern[str]:
    if name not in _compiled:
        # names become "name;", so that a sequence of children is one text to match
        body = re.sub(r"[A-Za-z0-9_:]+", lambda match: f"(?:{match.group()};)", MODELS[name])
        _compiled[name] = re.compile(re.sub(r"[\s,]", "", body) + r"\Z")
    return _compiled[name]


def _problem(node: Node, profile: bool) -> str | None:
    model = MODELS.get(node.name)
    if model is None:
        return f"No declaration for element {node.name}"
    known = ATTRIBUTES.get(node.name, {})
    for name, value in node.attrs.items():
        if name in ("xmlns:xi", "xml:base"):
            continue
        allowed = known.get("!" + name, known.get(name, ""))
        if allowed == "":
            return f"No declaration for attribute {name} of element {node.name}"
        if allowed is not None and value not in allowed.split("|"):
            return (
                f'Value "{value}" for attribute {name} of {node.name}'
                " is not among the enumerated set"
            )
    for name in known:
        optional = profile and (node.name, name[1:]) in _PROFILE_OPTIONAL
        if name[0] == "!" and name[1:] not in node.attrs and not optional:
            return f"Element {node.name} does not carry attribute {name[1:]}"
    return _content_problem(node, model)


def _content_problem(node: Node, model: str) -> str | None:
    if model == "#":
        return None if not node.children else (
            f"Element {node.children[0].name} is not declared in {node.name} list of possible"
            " children"
        )  # fmt: skip
    text = node.text.strip()
    if not model:
        full = node.children or text
        return f"Element {node.name} was declared EMPTY this one has content" if full else None
    names = [child.name for child in node.children]
    if text:
        got = " ".join([*names, "CDATA"])
    elif _pattern(node.name).match("".join(name + ";" for name in names)):
        return None
    else:
        got = " ".join(names)
    return f"Element {node.name} content does not follow the DTD, expecting {model}, got ({got})"


def problems(root: Node, profile: bool = False) -> list[str]:
    """Every violation of the DTD below `root`, in the wording and order of libxml2."""
    found = []
    queue = [root]
    while queue:
        node = queue.pop()
        message = _problem(node, profile)
        if message is not None:
            found.append(
                f"{node.file}:{node.line}: element {node.name}: validity error : {message}"
            )
        queue.extend(reversed(node.children))
    return found


def check_doctype(root: Node, system_id: str | None, file: str) -> None:
    """Refuse what svccfg(8) refuses before it validates: no DTD, or another one."""
    if system_id is None:
        raise SmfError(f'"{file}" document has no DTD')
    if system_id != DTD_PATH:
        raise SmfError(f'"{file}" document DTD unknown; not service bundle?')
    if root.name != "service_bundle":
        raise SmfError(f'"{file}" is not a service bundle')
