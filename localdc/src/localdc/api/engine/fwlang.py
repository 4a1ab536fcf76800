"""The language of firewall rules: FROM who TO whom ALLOW or BLOCK what.

FROM any TO tag "role" = "web" ALLOW tcp (PORT 80 AND PORT 443) PRIORITY 1

Source: sdc-fwrule, docs/rules.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import TypeVar

from localdc.api.validate import is_uuid

T = TypeVar("T")

PROTOCOLS = ("tcp", "udp", "icmp")
MAX_PRIORITY = 100
MAX_TARGETS = 24
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([(),=-])|([^\s(),="]+))')
_PLAIN_END = re.compile(r"\s*$")


class RuleError(ValueError):
    """The text is no rule; the message says what was expected where."""


@dataclass(frozen=True, slots=True)
class Target:
    """One end of a rule.  kind: any, vms, ip, subnet, tag or vm.

    value: the address, subnet, tag name or uuid; wanted: the tag's value, None = any.
    """

    kind: str
    value: str = ""
    wanted: str | None = None

    @property
    def local(self) -> bool:
        """True when it stands for machines of the account."""
        return self.kind in ("vms", "tag", "vm")

    def text(self) -> str:
        if self.kind == "any":
            return "any"
        if self.kind == "vms":
            return "all vms"
        if self.kind != "tag":
            return f"{self.kind} {self.value}"
        tag = f"tag {_quoted(self.value)}"
        return tag if self.wanted is None else f"{tag} = {_quoted(self.wanted)}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, understood.  ports and types as in `compute.FirewallRule`."""

    sources: tuple[Target, ...]
    destinations: tuple[Target, ...]
    action: str
    protocol: str
    ports: tuple[tuple[int, int], ...] = ()
    types: tuple[tuple[int, int | None], ...] = ()
    priority: int = 0

    def text(self) -> str:
        """The rule as FWAPI writes it."""
        words = f"FROM {_targets(self.sources)} TO {_targets(self.destinations)} "
        words += f"{self.action.upper()} {self.protocol} "
        words += self._types() if self.protocol == "icmp" else self._ports()
        return f"{words} PRIORITY {self.priority}" if self.priority else words

    def _ports(self) -> str:
        if not self.ports:
            return "PORT all"
        if any(first != last for first, last in self.ports):
            ranges = (str(f) if f == last else f"{f} - {last}" for f, last in self.ports)
            return f"PORTS {', '.join(ranges)}"
        return _joined([f"PORT {first}" for first, _ in self.ports], "AND")

    def _types(self) -> str:
        if not self.types:
            return "TYPE all"
        return _joined(
            [f"TYPE {kind}" if code is None else f"TYPE {kind} CODE {code}"
             for kind, code in self.types],
            "AND",
        )  # fmt: skip


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _joined(items: list[str], word: str) -> str:
    return items[0] if len(items) == 1 else f"({f' {word} '.join(items)})"


def _targets(targets: tuple[Target, ...]) -> str:
    return _joined([target.text() for target in targets], "OR")


def parse(text: str) -> Rule:
    """Understand a rule; raises RuleError."""
    return _Parser(text).rule()


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return _quoted(self.text) if self.quoted else f"'{self.text}'"


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    while not _PLAIN_END.match(text, position):
        match = _TOKEN.match(text, position)
        if match is None:
            raise RuleError(f"a string without its closing quote: {text[position:].strip()}")
        if match[1] is not None:
            tokens.append(_Token(re.sub(r"\\(.)", r"\1", match[1]), quoted=True))
        else:
            tokens.append(_Token(match[2] or match[3]))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0

    def rule(self) -> Rule:
        self._expect("FROM")
        sources = self._targets()
        self._expect("TO")
        destinations = self._targets()
        if not any(target.local for target in (*sources, *destinations)):
            raise RuleError("at least one side must be a tag, a vm or all vms")
        action = self._one_of("ALLOW", "BLOCK").lower()
        protocol = self._one_of(*PROTOCOLS).lower()
        ports: tuple[tuple[int, int], ...] = ()
        types: tuple[tuple[int, int | None], ...] = ()
        if protocol == "icmp":
            types = self._list(self._type)
        else:
            ports = self._ports()
        priority = 0
        if self._is("PRIORITY"):
            priority = self._number("priority", MAX_PRIORITY)
        if self._next < len(self._tokens):
            raise RuleError(f"expected the end of the rule, not {self._tokens[self._next]}")
        return Rule(sources, destinations, action, protocol, ports, types, priority)

    def _targets(self) -> tuple[Target, ...]:
        if not self._is("("):
            return (self._target(),)
        targets = [self._target()]
        while not self._is(")"):
            self._expect("OR")
            targets.append(self._target())
        if len(targets) > MAX_TARGETS:
            raise RuleError(f"a side can name {MAX_TARGETS} targets at most, not {len(targets)}")
        if len(targets) > 1 and any(target.kind in ("any", "vms") for target in targets):
            raise RuleError("'any' and 'all vms' stand alone, not in a list")
        return tuple(dict.fromkeys(targets))

    def _target(self) -> Target:
        kind = self._one_of("any", "all", "ip", "subnet", "tag", "vm").lower()
        if kind == "any":
            return Target("any")
        if kind == "all":
            self._expect("vms")
            return Target("vms")
        value = self._value(kind)
        if kind == "tag":
            return Target("tag", value, self._value("tag value") if self._is("=") else None)
        return Target(kind, _CHECKS[kind](value))

    def _ports(self) -> tuple[tuple[int, int], ...]:
        if self._is("PORTS"):
            ranges = [self._range()]
            while self._is(","):
                ranges.append(self._range())
            return _sorted(ranges)
        return self._list(self._port)

    def _port(self) -> tuple[int, int] | None:
        self._expect("PORT")
        if self._is("all"):
            return None
        port = self._number("port", 65535, lowest=1)
        return port, port

    def _range(self) -> tuple[int, int]:
        word = self._peek("a port")
        first, dash, last = word.text.partition("-")
        if dash and first and last:
            self._tokens[self._next : self._next + 1] = [_Token(first), _Token("-"), _Token(last)]
        low = self._number("port", 65535, lowest=1)
        high = self._number("port", 65535, lowest=1) if self._is("-") else low
        if high < low:
            raise RuleError(f"the port range {low} - {high} ends before it begins")
        return low, high

    def _type(self) -> tuple[int, int | None] | None:
        self._expect("TYPE")
        if self._is("all"):
            return None
        kind = self._number("ICMP type", 255)
        return kind, self._number("ICMP code", 255) if self._is("CODE") else None

    def _list(self, one: Callable[[], T | None]) -> tuple[T, ...]:
        """One thing, or several in parentheses; empty when `all` is among them."""
        if not self._is("("):
            item = one()
            return () if item is None else (item,)
        items = [one()]
        while not self._is(")"):
            self._expect("AND")
            items.append(one())
        found = [item for item in items if item is not None]
        return () if len(found) < len(items) else tuple(dict.fromkeys(found))

    def _value(self, what: str) -> str:
        token = self._peek(f"a {what}")
        if not token.quoted and token.text in "(),=-":
            raise RuleError(f"expected a {what}, not {token}")
        self._next += 1
        return token.text

    def _number(self, what: str, highest: int, lowest: int = 0) -> int:
        text = self._value(what)
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise RuleError(f"{what} must be {lowest} to {highest}, not '{text}'")
        return int(text)

    def _peek(self, wanted: str) -> _Token:
        if self._next >= len(self._tokens):
            raise RuleError(f"expected {wanted}, but the rule ends there")
        return self._tokens[self._next]

    def _is(self, word: str) -> bool:
        """Take the next word when it is this one."""
        if self._next >= len(self._tokens):
            return False
        token = self._tokens[self._next]
        if token.quoted or token.text.lower() != word.lower():
            return False
        self._next += 1
        return True

    def _expect(self, word: str) -> None:
        token = self._peek(f"'{word}'")
        if not self._is(word):
            raise RuleError(f"expected '{word}', not {token}")

    def _one_of(self, *words: str) -> str:
        wanted = f"one of {', '.join(words)}"
        token = self._peek(wanted)
        for word in words:
            if self._is(word):
                return word
        raise RuleError(f"expected {wanted}, not {token}")


def _sorted(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(set(ranges)))


def _ip(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise RuleError(f"'{text}' is not an IPv4 address") from None


def _subnet(text: str) -> str:
    try:
        if "/" not in text:
            raise ValueError(text)
        return str(IPv4Network(text, strict=False))
    except (AddressValueError, NetmaskValueError, ValueError):
        raise RuleError(f"'{text}' is not a subnet such as 10.0.0.0/8") from None


def _vm(text: str) -> str:
    if not is_uuid(text):
        raise RuleError(f"'{text}' is not the id of a machine")
    return text.lower()


_CHECKS: dict[str, Callable[[str], str]] = {"ip": _ip, "subnet": _subnet, "vm": _vm}
