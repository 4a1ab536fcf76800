"""Tags whose names begin with `triton.`: what their values may be.

VMAPI judges them with the package triton-tags; names, grammar and messages are those of its
version 1.5.0 (lib/index.js, lib/cns-svc-tag.pegjs, lib/cmon-groups-tag.pegjs).
"""

from __future__ import annotations

import json
import re

from localdc.api.model import Scalar

PREFIX = "triton."
TYPES = {
    "triton.cmon.groups": "string",
    "triton.cns.services": "string",
    "triton.cns.disable": "boolean",
    "triton.cns.reverse_ptr": "string",
    "triton.network.public": "string",
    "triton.network.public_ipv4": "string",
    "triton.placement.exclude_virtual_servers": "boolean",
    "triton._test.string": "string",
    "triton._test.number": "number",
    "triton._test.boolean": "boolean",
}
MAX_GROUPS = 100
MAX_GROUP_LENGTH = 100
MAX_LABEL_LENGTH = 63
MAX_NUMBER = 65535

_DOMAIN_LABEL = "[a-zA-Z0-9][a-zA-Z0-9-]{0,62}"
_DOMAIN = re.compile(rf"{_DOMAIN_LABEL}(\.{_DOMAIN_LABEL})*")
_GROUPS = re.compile("[a-zA-Z0-9_,-]*")
_NAME = re.compile(r"[a-zA-Z0-9-][a-zA-Z0-9.-]*|_[a-zA-Z0-9-]*\._(?:tcp|udp)")
_PORT = re.compile("[0-9]+")
_PROPERTY = re.compile("[a-z][a-z0-9-]*")
_VALUE = re.compile("[^,:]+")
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)")


def problem(key: str, value: Scalar) -> str | None:
    """Why a tag `triton.*` is refused; None when it is not."""
    expected, actual = TYPES.get(key), _type(value)
    if expected is None:
        return f'Unrecognized special triton tag "{key}"'
    if expected != actual:
        return f'Triton tag "{key}" value must be a {expected}: {_shown(value)} ({actual})'
    check = _CHECKS.get(key)
    found = check(str(value)) if check else None
    return found and (f'invalid "{key}" tag: {found}')


def _type(value: Scalar) -> str:
    if isinstance(value, str):
        return "string"
    return "boolean" if isinstance(value, bool) else "number"


def _shown(value: Scalar) -> str:
    """JSON as JavaScript writes it."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return json.dumps(int(value) if whole else value, ensure_ascii=False)


def _bad_domain(value: str) -> str | None:
    if len(value) <= 255 and _DOMAIN.fullmatch(value):
        return None
    return f'"{value}" is not DNS safe'


def _bad_groups(value: str) -> str | None:
    if _GROUPS.fullmatch(value) is None:
        return "groups must be strings comprised of letters, numbers, _, and -"
    groups = value.split(",")
    if len(groups) > MAX_GROUPS:
        return f"must contain less than or equal to {MAX_GROUPS} group strings"
    for index, group in enumerate(groups):
        if group in groups[:index]:
            return f"contains duplicate group {group}"
        if not 1 <= len(group) <= MAX_GROUP_LENGTH:
            return (
                "group name must be no less than 1 character and no greater than "
                f"{MAX_GROUP_LENGTH} characters"
            )
    return None


def _bad_services(value: str) -> str | None:
    try:
        services = _Services(value).all()
    except _Unreadable as error:
        return str(error)
    return next((bad for service in services if (bad := _bad_service(service))), None)


def _bad_service(service: dict[str, str]) -> str | None:
    """A service as read: `name`, `port` and properties, which may have these names as well."""
    name = service["name"]
    if len(name) > MAX_LABEL_LENGTH:
        return f'service DNS name "{name}" must be {MAX_LABEL_LENGTH} or fewer characters'
    if "port" in service and not 1 <= _integer(service["port"]) <= MAX_NUMBER:
        return f"service port number for {name} must be within the range 1 - {MAX_NUMBER}"
    for key in [key for key in service if key not in ("name", "port")]:
        if key not in ("priority", "weight"):
            return f'service property "{key}" is not a valid property name'
        if not 0 <= _integer(service[key]) <= MAX_NUMBER:
            return f"service {key} for {name} must be within the range 0 - {MAX_NUMBER}"
    return None


def _integer(text: str) -> float:
    """The number that a text begins with, as JavaScript's parseInt has it; -1 without one."""
    match = _INTEGER.match(text)
    return float(match[1]) if match else -1


class _Unreadable(Exception):
    """The tag does not have the grammar of services."""


class _Services:
    """Reads `name[:port][:property=value]…`, separated by commas; raises _Unreadable."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def all(self) -> list[dict[str, str]]:
        services = [self._service()]
        while self._at < len(self._text):
            self._literal(",", among=('","', '":"', "end of input"))
            services.append(self._service())
        return services

    def _service(self) -> dict[str, str]:
        service = {"name": self._match(_NAME, "DNS name").lower()}
        first = True
        while self._text[self._at : self._at + 1] == ":":
            self._at += 1
            if first and _PORT.match(self._text, self._at):
                service["port"] = self._match(_PORT)
            else:
                expected = ("integer (port number)", "property name")
                key = self._match(_PROPERTY, *(expected if first else expected[1:]))
                self._literal("=")
                service[key] = self._match(_VALUE, "property value")
            first = False
        return service

    def _match(self, pattern: re.Pattern[str], *expected: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise self._unexpected(expected)
        self._at = match.end()
        return match[0]

    def _literal(self, character: str, among: tuple[str, ...] = ()) -> None:
        if self._text[self._at : self._at + 1] != character:
            raise self._unexpected(among or (f'"{character}"',))
        self._at += 1

    def _unexpected(self, expected: tuple[str, ...]) -> _Unreadable:
        """The sentence of a parser that PEG.js made."""
        *others, last = expected
        comma = "," if len(others) > 1 else ""
        wanted = f"{', '.join(others)}{comma} or {last}" if others else last
        found = _escaped(self._text[self._at : self._at + 1])
        return _Unreadable(f"Expected {wanted} but {found or 'end of input'} found.")


def _escaped(character: str) -> str:
    if not character:
        return ""
    named = {"\\": r"\\", '"': r"\"", "\0": r"\0", "\t": r"\t", "\n": r"\n", "\r": r"\r"}
    code = ord(character)
    if character not in named and (code < 0x20 or 0x7F <= code <= 0x9F):
        named[character] = f"\\x{code:02X}"
    return f'"{named.get(character, character)}"'


_CHECKS = {
    "triton.cmon.groups": _bad_groups,
    "triton.cns.services": _bad_services,
    "triton.cns.reverse_ptr": _bad_domain,
}
