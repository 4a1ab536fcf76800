"""The language of firewall rules: FROM who TO whom ALLOW or BLOCK what.

FROM any TO tag "role" = "web" ALLOW tcp (PORT 80 AND PORT 443) PRIORITY 1

What is a rule, how it is written back and what is said of a text that is none
are those of sdc-fwrule 2.1.1 as FWAPI calls it (src/fwrule.jison, lib/rule.js,
lib/validators.js).  Its messages name what could follow: the sets of words here
are the rows of its LALR(1) table, which are wider than what the place allows,
as `)` after any port.  It counts in units of UTF-16, as JavaScript does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
)
from typing import TypeVar

T = TypeVar("T")

MAX_TARGETS = 24
MAX_ALTERNATIVES = 24
MAX_PRIORITY, MAX_PORT, MAX_TYPE = 100, 65535, 255

# In the order in which messages name them.
_WORDS = (
    "FROM", "TO", "EOF", "PRIORITY", "WORD", "(", ")", "OR", "ALL", "VMS", "ANY", "IP", "IPV4ADDR",
    "SUBNET", "CIDRSUFFIX", "IPV6ADDR", "VM", "TAG", "=", "STRING", "BLOCK", "ALLOW", "TCP", "UDP",
    "ICMP", "ICMP6", "AH", "ESP", "AND", "PORT", "PORTS", "-", ",", "TYPE", "CODE",
)  # fmt: skip
_CLASSES = ("EOF", "WORD", "IPV4ADDR", "IPV6ADDR", "CIDRSUFFIX", "STRING")
_KEYWORDS = [word for word in _WORDS if word.isalnum() and word not in _CLASSES]
_SMALL_IN_MESSAGES = ("ALL", "ANY", "IP", "SUBNET", "TAG", "VM")

_WILDCARDS = ("ANY", "ALL")
_TARGETS = ("IP", "SUBNET", "TAG", "VM")
_PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMP6", "AH", "ESP")
_END = ("EOF", "PRIORITY")
_AFTER_SIDE = ("TO", "BLOCK", "ALLOW")
_AFTER_TARGET = (*_AFTER_SIDE, ")", "OR")

_SPACE = re.compile(r"[\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*", re.ASCII)
_TOKEN = re.compile(
    rf"""(?P<KEYWORD>(?:{"|".join([*_KEYWORDS, *map(str.lower, _KEYWORDS)])})\b)
    |(?P<SIGN>[-,=()])
    |(?P<STRING>"(?:\\["bfnrt/()\\]|\\u[a-fA-F0-9]{{4}}|[^"\\])*")
    |(?P<IPV4ADDR>[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}})
    |(?P<IPV6ADDR>[0-9a-f]*:[0-9a-f]*:[:0-9a-f]*)
    |(?P<CIDRSUFFIX>/[0-9]{{1,3}})
    |(?P<WORD>[-a-zA-Z0-9_]+)""",
    re.ASCII | re.VERBOSE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_ESCAPE = re.compile(r"\\(?:u(....)|(.))")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = {character: letter for letter, character in _LETTERS.items()} | {c: c for c in '"()\\'}
_UNSEEN = re.compile(
    r'["()\\\x00-\x1f\x7f\x85\xa0\u1680\u180e\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]'
)


class RuleError(ValueError):
    """The text is no rule; the message is that of sdc-fwrule."""


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

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """The addresses of an ip or a subnet."""
        if self.kind == "subnet":
            return subnet(self.value)
        return IPv6Network(self.value) if ":" in self.value else IPv4Network(self.value)

    def text(self) -> str:
        """The target as FWAPI writes it."""
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
    """A rule, understood: targets and alternatives in the order in which they are written.

    action: `allow` or `block`.  protocol: tcp, udp, icmp, icmp6, ah or esp.
    ports: (port,) or (first, last), empty = all.  types: ICMP type and code
    (None = any code), empty = all.  priority: 0 to 100.
    """

    sources: tuple[Target, ...]
    destinations: tuple[Target, ...]
    action: str
    protocol: str
    ports: tuple[tuple[int, ...], ...] = ()
    types: tuple[tuple[int, int | None], ...] = ()
    priority: int = 0

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ports as (first, last), empty = all."""
        return tuple((port[0], port[-1]) for port in self.ports)

    def text(self) -> str:
        """The rule as FWAPI writes it."""
        words = ["FROM", _targets(self.sources), "TO", _targets(self.destinations)]
        words += [self.action.upper(), self.protocol]
        if self.protocol in ("tcp", "udp"):
            words.append(self._ports())
        elif self.protocol in ("icmp", "icmp6"):
            words.append(self._types())
        if self.priority:
            words.append(f"PRIORITY {self.priority}")
        return " ".join(words)

    def _ports(self) -> str:
        written = [" - ".join(map(str, port)) for port in self.ports]
        if any(len(port) > 1 for port in self.ports):
            return f"PORTS {', '.join(written)}"
        return _joined([f"PORT {port}" for port in written or ["all"]], "AND")

    def _types(self) -> str:
        written = [str(t) if code is None else f"{t} CODE {code}" for t, code in self.types]
        return _joined([f"TYPE {kind}" for kind in written or ["all"]], "AND")


def parse(text: str) -> Rule:
    """Understand a rule.

    :raises RuleError: it is none
    """
    if not text:
        raise RuleError("No rule specified")
    rule = _Parser(text).rule()
    _check(rule)
    return replace(rule, sources=_ordered(rule.sources), destinations=_ordered(rule.destinations))


def subnet(text: str) -> IPv4Network | IPv6Network:
    """An address and the length of its mask (node-ip6addr, `parse` and `createCIDR`).

    :raises RuleError: it is no subnet
    """
    address, _, length = text.partition("/")
    family = IPv6Network if ":" in address else IPv4Network
    try:
        return family((_integer(address), int(length)))
    except AddressValueError:
        problem = "bad address component"
    except NetmaskValueError:
        problem = "bad prefix length"
    except ValueError:
        problem = "bits set to right of mask"
    raise RuleError(f'Subnet "{text}" is invalid ({problem})')


def _integer(address: str) -> int:
    """An address as a number; zeros in front of its parts do not matter.

    :raises AddressValueError: it is none
    """
    if ":" not in address:
        parts, size = [int(part) for part in address.split(".")], 1
    else:
        before, gap, after = (side.split(":") if side else [] for side in address.partition("::"))
        given = before + after
        if "" in given or len(address) > 40 or len(given) > 8 or (len(given) < 8 and not gap):
            raise AddressValueError(address)
        parts = [int(part, 16) for part in before + ["0"] * (8 - len(given)) + after]
        size = 2
    try:
        return int.from_bytes(b"".join(part.to_bytes(size) for part in parts))
    except OverflowError:
        raise AddressValueError(address) from None


def _check(rule: Rule) -> None:
    """What the grammar does not say (sdc-fwrule, lib/rule.js, `FwRule`)."""
    for alternatives, what in ((rule.ports, "ports"), (rule.types, "types")):
        if len(alternatives) > MAX_ALTERNATIVES:
            raise RuleError(f"maximum of {MAX_ALTERNATIVES} {what} allowed")
    if max(len(rule.sources), len(rule.destinations)) > MAX_TARGETS:
        raise RuleError(f"maximum of {MAX_TARGETS} targets allowed per side")
    targets = (*rule.sources, *rule.destinations)
    version = {"icmp": 4, "icmp6": 6}.get(rule.protocol)
    for kind, what in (("ip", "address"), ("subnet", "subnet")):
        for target in targets:
            if version and target.kind == kind and target.network.version != version:
                raise RuleError(
                    f"rule affects ICMPv{version} but contains a non-IPv{version} {what}"
                )
    if not any(target.local for target in targets):
        raise RuleError("rule does not affect VMs")


def _ordered(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Each target once, sorted; a tag's values do not count beside the tag itself."""
    every = set(targets)
    tags = {target.value for target in every if target.kind == "tag" and target.wanted is None}
    kinds = ("any", "vms", "ip", "subnet", "tag", "vm")

    def place(target: Target) -> tuple[int, bytes, bytes]:
        return kinds.index(target.kind), _utf16(target.value), _utf16(target.wanted or "")

    return tuple(sorted((t for t in every if t.wanted is None or t.value not in tags), key=place))


def _targets(targets: tuple[Target, ...]) -> str:
    return _joined([target.text() for target in targets], "OR")


def _joined(items: list[str], word: str) -> str:
    return items[0] if len(items) == 1 else f"({f' {word} '.join(items)})"


def _quoted(text: str) -> str:
    def escaped(match: re.Match[str]) -> str:
        return "\\" + _ESCAPED.get(match[0], f"u{ord(match[0]):04X}")

    return f'"{_UNSEEN.sub(escaped, text)}"'


def _unquoted(text: str) -> str:
    def meant(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else _LETTERS.get(match[2], match[2])

    return _ESCAPE.sub(meant, text[1:-1])


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _units(text: str) -> str:
    """A text with one character for each unit of UTF-16."""
    units = _utf16(text)
    return "".join(chr(high << 8 | low) for high, low in zip(units[::2], units[1::2], strict=True))


def _characters(units: str) -> str:
    return _utf16(units).decode("utf-16-be", "replace")


class _Parser:
    """Takes one token after the other, and no further than the original looks before it judges."""

    def __init__(self, text: str) -> None:
        self._text = _units(text)
        self._start = self._end = 0  # of the next token, once it was looked at
        self._kind = ""
        self._column = 0  # behind the token taken last, in its line

    def rule(self) -> Rule:
        self._take("FROM")
        sources = self._side()
        self._take("TO")
        destinations = self._side()
        action = self._take("BLOCK", "ALLOW").lower()
        protocol = self._take(*_PROTOCOLS).lower()
        ports: list[tuple[int, ...]] = []
        types: list[tuple[int, int | None]] = []
        if protocol in ("tcp", "udp"):
            ports = sorted(self._ports(), key=lambda port: port[0])
        elif protocol in ("icmp", "icmp6"):
            self._peek("(", "TYPE")
            found = self._alternatives("TYPE", self._type)
            types = sorted(found, key=functools.cmp_to_key(_difference))
        priority = 0
        if self._peek(*_END) == "PRIORITY":
            self._take("PRIORITY")
            priority = _number("Priority level", self._take("WORD"), 0, MAX_PRIORITY)
        self._take("EOF")
        return Rule(sources, destinations, action, protocol, tuple(ports), tuple(types), priority)

    def _side(self) -> tuple[Target, ...]:
        grouped = self._peek("(", *_WILDCARDS, *_TARGETS) == "("
        if grouped:
            self._take("(")
        if self._peek(*_WILDCARDS, *_TARGETS) in _WILDCARDS:
            targets = [self._wildcard()]
        else:
            targets = [self._target()]
            while grouped and self._peek(")", "OR") == "OR":
                self._take("OR")
                targets.append(self._target())
        if grouped:
            self._take(")")
        self._peek(*_AFTER_SIDE)
        return tuple(targets)

    def _wildcard(self) -> Target:
        if self._take(*_WILDCARDS).upper() == "ANY":
            return Target("any")
        self._take("VMS")
        return Target("vms")

    def _target(self) -> Target:
        kind = self._take(*_TARGETS).lower()
        if kind == "tag":
            return self._tag()
        value = self._take("WORD") if kind == "vm" else self._take("IPV4ADDR", "IPV6ADDR")
        if kind == "subnet":
            value += self._take("CIDRSUFFIX")
        self._peek(*_AFTER_TARGET)
        _CHECKS[kind](value)
        return Target(kind, value)

    def _tag(self) -> Target:
        name, value = self._take("WORD", "STRING"), None
        if self._peek("=", *_AFTER_TARGET) == "=":
            self._take("=")
            value = self._take("WORD", "STRING")
            self._peek("=", *_AFTER_TARGET)
            self._peek(*_AFTER_TARGET)
        return Target("tag", name, value)

    def _ports(self) -> list[tuple[int, ...]]:
        if self._peek("(", "PORT", "PORTS") != "PORTS":
            return self._alternatives("PORT", self._port)
        self._take("PORTS")
        ranges = [self._range()]
        while self._peek(",", *_END) == ",":
            self._take(",")
            ranges.append(self._range())
        return ranges

    def _alternatives(self, word: str, one: Callable[[], T]) -> list[T]:
        """One thing, several in parentheses, or `all`, which is none."""
        grouped = self._peek("(", word) == "("
        if grouped:
            self._take("(")
        self._take(word)
        found: list[T] = []
        if self._peek("WORD", "ALL") == "ALL":
            self._take("ALL")
            self._peek(")", *_END)
        else:
            found.append(one())
            while grouped and self._peek(")", "AND") == "AND":
                self._take("AND")
                self._take(word)
                found.append(one())
        if grouped:
            self._take(")")
        return found

    def _port(self) -> tuple[int, ...]:
        port = self._take("WORD")
        self._peek(")", "AND", *_END)
        return (_number("Port number", port, 1, MAX_PORT),)

    def _range(self) -> tuple[int, ...]:
        written = self._take("WORD")
        if self._peek("-", ",", *_END) == "-":
            self._take("-")
            ends = [written, self._take("WORD")]
            self._peek(",", *_END)
        else:
            ends = written.split("-")
        if len(ends) > 2:
            raise RuleError(f'"{written}" is not a valid port number or range')
        ports = tuple(_number("Port number", end, 1, MAX_PORT) for end in ends)
        if ports[-1] < ports[0]:
            raise RuleError(
                f"The end of the range ({ends[1]}) cannot be less than the start ({ends[0]})"
            )
        return ports

    def _type(self) -> tuple[int, int | None]:
        written = self._take("WORD")
        coded = self._peek("CODE", ")", "AND", *_END) == "CODE"
        kind = _number("ICMP type", written, 0, MAX_TYPE)
        if not coded:
            return kind, None
        self._take("CODE")
        code = self._take("WORD")
        self._peek(")", "AND", *_END)
        return kind, _number("ICMP code", code, 0, MAX_TYPE)

    def _take(self, *kinds: str) -> str:
        """The next token's text, or a string's meaning; it must be of one of these kinds."""
        kind, taken = self._peek(*kinds), self._text[self._start : self._end]
        line = max(self._text.rfind(end, 0, self._end) for end in "\r\n")
        self._column = self._end - line - 1
        self._start, self._kind = self._end, ""
        return _characters(_unquoted(taken)) if kind == "STRING" else taken

    def _peek(self, *kinds: str) -> str:
        """The kind of the next token, which must be one of these."""
        if not self._kind:
            self._look()
        if self._kind not in kinds:
            wanted = ", ".join(f"'{_shown(word)}'" for word in _WORDS if word in kinds)
            found = "word" if self._kind == "WORD" else self._kind
            raise RuleError(
                f"Error at character {self._column}: "
                f"'{_characters(self._text[self._start : self._end])}', "
                f"expected: {wanted}, found: {found}"
            )
        return self._kind

    def _look(self) -> None:
        space = _SPACE.match(self._text, self._start)
        self._start = self._end = space.end() if space else self._start
        if self._start == len(self._text):
            self._kind = "EOF"
        elif token := _TOKEN.match(self._text, self._start):
            self._end = token.end()
            self._kind = token.lastgroup or ""
            if self._kind in ("KEYWORD", "SIGN"):
                self._kind = token[0].upper()
        else:
            before, after = self._text[: self._start], self._text[self._start :]
            before = "..." * (len(before) > 20) + before[-20:].replace("\n", "")
            after = _characters(after[:20].replace("\n", ""))
            raise RuleError(f"Error at character {len(before)}: '{after}', found: unexpected text")


def _difference(one: tuple[int, int | None], other: tuple[int, int | None]) -> int:
    """How lib/rule.js, `icmpTypeSort`, compares ICMP types: codes only where it finds both."""
    if one[1] is not None and other[1] is None:
        return 0
    code = 0 if one[1] is None else one[1] - (other[1] or 0)
    return (one[0] - other[0]) * 256 + code


def _shown(word: str) -> str:
    return word.lower() if word in _SMALL_IN_MESSAGES else word


def _number(what: str, text: str, lowest: int, highest: int) -> int:
    digits = text.lstrip("0")
    if text.isdecimal() and len(digits) < 6 and lowest <= int(digits or 0) <= highest:
        return int(digits or 0)
    raise RuleError(f'{what} "{text}" is invalid')


def _ip(text: str) -> None:
    version, family = (6, IPv6Address) if ":" in text else (4, IPv4Address)
    try:
        if str(family(text)) not in ("0.0.0.0", "255.255.255.255"):
            return
    except AddressValueError:
        pass
    raise RuleError(f'IPv{version} address "{text}" is invalid')


def _vm(text: str) -> None:
    if not _UUID.fullmatch(text):
        raise RuleError(f'UUID "{text}" is invalid')


_CHECKS: dict[str, Callable[[str], object]] = {"ip": _ip, "subnet": subnet, "vm": _vm}
