"""Affinity and locality, on a data center with one compute node.

Wishes to be near another machine always come true here, and wishes to be far
from one never do: a strict one is refused, an optional one is passed over, as
a data center without a fitting compute node would do.

Source: sdc-cloudapi, docs/index.md, Affinity rules and Locality hints; lib/triton-affinity.js.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from localdc.api.engine.firewall import tag_text
from localdc.api.errors import ApiError, insufficient_capacity, invalid_argument
from localdc.api.model import Machine
from localdc.api.validate import is_uuid

_OPERATOR = re.compile(r"(==~|!=~|==|!=)")
_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE)
_ITSELF = ("instance", "container")


@dataclass(frozen=True, slots=True)
class Rule:
    """`key OP value`: key is `instance` or a tag; near: `==`; strict: without `~`."""

    text: str
    key: str
    value: str
    near: bool
    strict: bool

    def means(self, machine: Machine) -> bool:
        if self.key in _ITSELF:
            names = [machine.name, machine.uuid, machine.uuid.partition("-")[0]]
            return any(_matches(self.value, name) for name in names)
        return self.key in machine.tags and _matches(self.value, tag_text(machine.tags[self.key]))


def parse(text: object) -> Rule:
    """Raises 409."""
    match = _OPERATOR.search(text) if isinstance(text, str) else None
    if match is None or not isinstance(text, str):
        raise invalid_argument(
            "could not find operator in affinity rule: expected one of "
            f'"==", "!=": {json.dumps(text)}'
        )
    key, value = text[: match.start()].strip(), text[match.end() :].strip()
    if _KEY.fullmatch(key) is None:
        raise invalid_argument(f'invalid key "{key}" in affinity rule: {json.dumps(text)}')
    if not value:
        raise invalid_argument(f"no value in affinity rule: {json.dumps(text)}")
    if value.startswith("/"):
        try:
            re.compile(value.strip("/"))
        except re.error as error:
            raise invalid_argument(f"affinity rule {json.dumps(text)}: {error}") from None
    operator = match[0]
    return Rule(text, key, value, operator.startswith("="), not operator.endswith("~"))


def _matches(pattern: str, text: str) -> bool:
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        return re.search(pattern[1:-1], text) is not None
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def check(params: Mapping[str, Any], machines: Iterable[Machine]) -> None:
    """Refuse what cannot be satisfied; `machines` are those the account has.

    Raises 409 InvalidArgument for what makes no sense, InsufficientCapacity
    for what this data center cannot do.
    """
    affinity, locality = params.get("affinity"), params.get("locality")
    if affinity and locality:
        raise invalid_argument("locality and affinity are mutually exclusive parameters.")
    if affinity:
        rules = [parse(text) for text in (affinity if isinstance(affinity, list) else [affinity])]
        _check_rules(rules, list(machines))
    elif locality:
        _check_locality(locality, {machine.uuid for machine in machines})


def _check_rules(rules: list[Rule], machines: list[Machine]) -> None:
    for rule in rules:
        if not rule.strict:
            continue
        meant = any(rule.means(machine) for machine in machines)
        if rule.near and not meant:
            raise _impossible(f'affinity rule "{rule.text}": there is no such instance')
        if not rule.near and meant:
            raise _impossible(
                f'affinity rule "{rule.text}": the data center has one compute node, '
                "so the instances cannot be kept apart"
            )


def _check_locality(locality: object, machines: set[str]) -> None:
    if isinstance(locality, str):
        try:
            locality = json.loads(locality)
        except ValueError:
            locality = None
    if not isinstance(locality, dict) or locality.keys() - {"strict", "near", "far"}:
        raise invalid_argument("locality must be an object with strict, near and far")
    far = _uuids(locality, "far")
    _uuids(locality, "near")
    if locality.get("strict") in (True, "true") and machines & set(far):
        raise _impossible(
            "locality: the data center has one compute node, so the machines in `far` are near"
        )


def _uuids(locality: dict[str, Any], name: str) -> list[str]:
    given = locality.get(name) or []
    uuids = given if isinstance(given, list) else [given]
    if not all(is_uuid(uuid) for uuid in uuids):
        raise invalid_argument("locality contains malformed UUIDs")
    return uuids


def _impossible(why: str) -> ApiError:
    return insufficient_capacity(f"No compute resources available: {why}")
