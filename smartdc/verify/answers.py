"""What a probe keeps of an answer of CloudAPI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Probe = Mapping[str, Any]
Answer = dict[str, Any]

ASPECTS = frozenset({"status", "code", "message", "headers", "shape", "body", "fields", "values"})
KINDS = {bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "object"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, headers and JSON, an error's as well."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


def kept(probe: Probe, reply: Reply) -> Answer:
    """The aspects of the answer that the probe names under `keep`, beside the status.

    `code` and `message` are an error's, `headers` says of which kind each of the named ones is,
    `shape` is :func:`shape` of the body, `body` the body itself, `fields` named fields of it, and
    `values` the sorted values of one field of all elements of a list.
    """
    wanted: Mapping[str, Any] = probe.get("keep", {})
    body = reply.body
    error = body if isinstance(body, Mapping) else {}
    answer: Answer = {"status": reply.status}
    for aspect, detail in wanted.items():
        if aspect in ("code", "message"):
            answer[aspect] = error.get(aspect)
        elif aspect == "headers":
            answer[aspect] = {name: _header(reply.headers, name) for name in detail}
        elif aspect == "fields":
            answer[aspect] = {name: error.get(name, "absent") for name in detail}
        elif aspect == "values":
            answer[aspect] = sorted({str(item.get(detail)) for item in _objects(body)})
        else:
            answer[aspect] = body if aspect == "body" else shape(body)
    return answer


def shape(value: Any) -> Any:
    """The kinds of a value's fields; of a list those of its elements together.

    A field that only some elements have ends in `?`.  An empty list is `"empty"`: it says nothing
    of its elements.
    """
    if isinstance(value, Mapping):
        return {name: kind(item) for name, item in sorted(value.items())}
    if isinstance(value, list):
        objects = list(_objects(value))
        if not objects:
            return "empty" if not value else sorted({kind(item) for item in value})
        return _together(objects)
    return kind(value)


def kind(value: Any) -> str:
    """What JSON calls the value."""
    return KINDS.get(type(value), "null")


def _together(objects: list[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for item in objects:
        for name, value in item.items():
            found.setdefault(name, set()).add(kind(value))
    return {
        name + ("" if all(name in item for item in objects) else "?"): " or ".join(sorted(kinds))
        for name, kinds in sorted(found.items())
    }


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def _header(headers: Mapping[str, str], name: str) -> str:
    if name not in headers:
        return "absent"
    text = headers[name]
    return text if name.lower() == "content-type" else "number" if text.isdigit() else "text"
