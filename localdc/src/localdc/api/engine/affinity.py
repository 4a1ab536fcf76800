"""Where a new machine shall be: affinity rules and locality hints.

Rules are read as sdc-cloudapi does (lib/triton-affinity.js), and turned into hints as
sdc-designation does (lib/algorithms/shared/affinity.js): soft rules count only where there is
no strict one.  What the hints lead to is in `localdc.api.engine.placement`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localdc.api.engine.firewall import tag_text
from localdc.api.errors import (
    ApiError,
    insufficient_capacity,
    invalid_argument,
    invalid_field,
    validation_failed,
)
from localdc.api.model import Machine
from localdc.api.validate import is_uuid

OPERATORS = ("==", "!=")
_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9\-_.]+")
_VALUE = re.compile(r"[-a-zA-Z0-9:_\s.*/()?+[\]\\^$|]+")
_KEY_SHOWN = r"/^[a-z_][a-z0-9\-_.]+$/i"
_VALUE_SHOWN = r"/^[-a-z0-9:_\s.*/()?+[\]\\^$|]+$/i"
_ITSELF = ("instance", "container")
_UUID = re.compile(r"[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")


@dataclass(frozen=True, slots=True)
class Rule:
    """`key operator value`, with `~` before the value of a soft one.

    key: `instance`, `container` or the name of a tag.  value_type: exact, glob or re.
    """

    key: str
    operator: str
    value: str
    soft: bool
    value_type: str

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{'~' if self.soft else ''}{self.value}"

    def find(self, machines: Iterable[Machine]) -> tuple[str, ...]:
        """Ids of the machines that the rule means; raises 409 for no regular expression."""
        if self.key not in _ITSELF:
            tagged = (machine for machine in machines if self.key in machine.tags)
            texts = ((machine.uuid, tag_text(machine.tags[self.key])) for machine in tagged)
        elif _UUID.fullmatch(self.value):
            return (self.value,)
        else:
            texts = ((machine.uuid, machine.name) for machine in machines)
        pattern = self._pattern()
        return tuple(uuid for uuid, text in texts if pattern.search(text))

    def _pattern(self) -> re.Pattern[str]:
        if self.value_type != "re":
            literal = (re.escape(part) for part in self.value.split("*"))
            return re.compile(rf"\A{'.*'.join(literal)}\Z", re.DOTALL)
        try:
            return re.compile(self.value[1:-1])
        except (re.error, OverflowError, RecursionError) as error:
            raise invalid_argument(f"affinity rule {_quoted(str(self))}: {error}") from None


@dataclass(frozen=True, slots=True)
class Locality:
    """Ids of machines to be on the same compute node with, and on another one."""

    strict: bool = False
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()


def parse(text: str) -> Rule:
    """Raises 409 InvalidArgument."""
    operator = next((operator for operator in OPERATORS if operator in text), None)
    if operator is None:
        known = '", "'.join(OPERATORS)
        raise invalid_argument(
            f'could not find operator in affinity rule: expected one of "{known}": {_quoted(text)}'
        )
    key, _, value = text.partition(operator)
    if _KEY.fullmatch(key) is None:
        raise _mismatch("key", text, key, _KEY_SHOWN)
    soft = value.startswith("~")
    value = value.removeprefix("~")
    if _VALUE.fullmatch(value) is None:
        raise _mismatch("value", text, value, _VALUE_SHOWN)
    value_type = "glob" if "*" in value else "exact"
    if len(value) > 2 and value.startswith("/") and value.endswith("/"):
        value_type = "re"
    return Rule(key, operator, value, soft, value_type)


def _mismatch(what: str, text: str, part: str, pattern: str) -> ApiError:
    return invalid_argument(
        f"invalid {what} in affinity rule: {_quoted(text)}: "
        f"{_quoted(part)} does not match {pattern}"
    )


def _quoted(text: str) -> str:
    """A text as node's util.inspect shows it, which is what CloudAPI's messages use."""
    quote = next((quote for quote in "'\"`" if quote not in text), "'")
    shown = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    named = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    escaped = (
        named.get(c, c if ord(c) >= 0x20 and not 0x7F <= ord(c) <= 0x9F else f"\\x{ord(c):02X}")
        for c in shown
    )
    return f"{quote}{''.join(escaped)}{quote}"


def parse_all(affinity: object) -> list[Rule]:
    """The rules of a parameter that must be a list of texts; raises 409 InvalidArgument."""
    if not affinity:
        return []
    if not isinstance(affinity, list) or not all(isinstance(text, str) for text in affinity):
        raise invalid_argument("Error: Invalid affinity: affinity must be an array of strings")
    return [parse(text) for text in affinity]


def wanted(params: Mapping[str, Any], machines: Sequence[Machine]) -> Locality:
    """The hints of CreateMachine's parameters; `machines` are those the account has.

    Raises 409: ValidationFailed and InvalidArgument for what makes no sense, InsufficientCapacity
    for a strict wish to be near a machine that is not there.
    """
    affinity, locality = params.get("affinity"), params.get("locality")
    if affinity and locality:
        raise invalid_argument('cannot specify both "locality" (deprecated) and "affinity"')
    if locality:
        return _hints(locality)
    return _meant(parse_all([affinity] if isinstance(affinity, str) else affinity), machines)


def _meant(rules: Sequence[Rule], machines: Sequence[Machine]) -> Locality:
    strict_rules = [rule for rule in rules if not rule.soft]
    near: list[str] = []
    far: list[str] = []
    for rule in strict_rules or rules:
        if rule.key == "image":
            continue
        found = rule.find(machines)
        if not found and rule.operator == "==" and not rule.soft:
            raise no_compute_resources(
                f'no active containers found matching {_target(rule)} for affinity "{rule}"'
            )
        (near if rule.operator == "==" else far).extend(found)
    return Locality(bool(strict_rules), tuple(near), tuple(far))


def _target(rule: Rule) -> str:
    return f'"{rule.value}"' if rule.key in _ITSELF else f'tag "{rule.key}={rule.value}"'


def _hints(locality: object) -> Locality:
    """Source: sdc-vmapi, lib/common/validation.js, validLocality."""
    if not isinstance(locality, dict):
        raise _bad_locality("malformed locality object")
    strict = locality.get("strict", False)
    if not isinstance(strict, bool):
        raise _bad_locality('"locality.strict" is given, but not boolean')
    return Locality(strict, _uuids(locality.get("near")), _uuids(locality.get("far")))


def _uuids(hint: object) -> tuple[str, ...]:
    if not hint:
        return ()
    if not isinstance(hint, str | list):
        raise _bad_locality("locality entry is neither string nor array")
    uuids = [hint] if isinstance(hint, str) else hint
    if not all(is_uuid(uuid) for uuid in uuids):
        raise _bad_locality("locality contains malformed UUID")
    return tuple(uuids)


def _bad_locality(why: str) -> ApiError:
    return validation_failed("Invalid VM parameters", invalid_field("locality", why))


def no_compute_resources(why: str) -> ApiError:
    """No compute node can take the machine (sdc-cnapi, lib/errors.js, for the message)."""
    return insufficient_capacity(f"No compute resources available: {why}")
