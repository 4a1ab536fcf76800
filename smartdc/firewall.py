"""Firewall rules as the data center writes them, so that two texts of one rule are equal.

FWAPI does not keep the text that it is given: it sorts, quotes and drops words, and calls what
it refuses by the character at which it stopped.  Nothing less than reading a rule tells which
texts are one, so this reads them as sdc-fwrule 2.1.1 does (src/fwrule.jison, lib/rule.js,
lib/validators.js), which a table of rules and its verdicts proves.  The words that a message
expects are the rows of that parser's LALR(1) table.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .errors import UsageError

Numbers = tuple[int, ...]

MOST = 24
"""Targets of a side, and ports or types of a rule."""

_ORDER = (
    "FROM", "TO", "EOF", "PRIORITY", "WORD", "(", ")", "OR", "ALL", "VMS", "ANY", "IP", "IPV4ADDR",
    "SUBNET", "CIDRSUFFIX", "IPV6ADDR", "VM", "TAG", "=", "STRING", "BLOCK", "ALLOW", "TCP", "UDP",
    "ICMP", "ICMP6", "AH", "ESP", "AND", "PORT", "PORTS", "-", ",", "TYPE", "CODE",
)  # fmt: skip
"""Kinds of tokens, in the order in which a message lists them."""

_PATTERNS = {
    "STRING": r'"(?:\\["bfnrt/()\\]|\\u[a-fA-F0-9]{4}|[^"\\])*"',
    "IPV4ADDR": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
    "IPV6ADDR": r"[0-9a-f]*:[0-9a-f]*:[:0-9a-f]*",
    "CIDRSUFFIX": r"/[0-9]{1,3}",
    "WORD": r"[-a-zA-Z0-9_]+",
}
_WORDS = [kind for kind in _ORDER if kind.isalnum() and kind not in (*_PATTERNS, "EOF")]
_TOKEN = re.compile(
    r"[\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*"
    rf"(?:(?P<EOF>\Z)|(?P<FIXED>(?:{'|'.join(_WORDS + [w.lower() for w in _WORDS])})\b|[-,=()])|"
    + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items())
    + "|(?P<NONE>))",
    re.ASCII,
)

_ADDRESSES = ("IPV4ADDR", "IPV6ADDR")
_ENDS = ("EOF", "PRIORITY")
_BEHIND_SIDE = ("TO", "BLOCK", "ALLOW")
_BEHIND_TARGET = (*_BEHIND_SIDE, ")", "OR")
_KINDS = ("any", "all vms", "ip", "subnet", "tag", "vm")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CONTROLS = dict(zip("bfnrt", "\b\f\n\r\t", strict=True))
_ESCAPES = {sign: letter for letter, sign in _CONTROLS.items()} | {sign: sign for sign in '"()\\'}
_TO_ESCAPE = re.compile(
    r'["()\\\x00-\x1f\x7f\x85\xa0\u1680\u180e\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]'
)


def normalise(rule: str) -> str:
    """The text that FWAPI makes of a rule.

    :raises UsageError: it is none; with the words in which FWAPI refuses it, in one line
    """
    return _read(rule).text()


def key(rule: str) -> str:
    """What is equal for two texts that are one rule in FWAPI's storage.

    There a range of every port is ``PORT all``, one of a single port that port, and a tag with
    an empty value a tag without (sdc-fwapi, lib/rule.js, ``rawMoray``). How types with and
    without a code are sorted depends on who sorts them. A text that is no rule is its own key.
    """
    try:
        return _read(rule).stored().text()
    except UsageError:
        return rule


@dataclass(frozen=True)
class _Target:
    kind: str
    value: str = ""
    wanted: str | None = None

    @property
    def version(self) -> int:
        return 6 if ":" in self.value else 4

    def text(self) -> str:
        parts = [self.value] if self.wanted is None else [self.value, self.wanted]
        if self.kind == "tag":
            parts = [" = ".join(map(_quote, parts))]
        return " ".join([self.kind, *filter(None, parts)])


@dataclass(frozen=True)
class _Rule:
    """numbers: ports, (first, last) or types with a code; none = all."""

    sides: tuple[list[_Target], ...]
    action: str
    protocol: str
    numbers: list[Numbers]
    priority: int

    @property
    def ports(self) -> bool:
        return self.protocol in ("tcp", "udp")

    def stored(self) -> _Rule:
        sides = tuple([replace(t, wanted=t.wanted or None) for t in side] for side in self.sides)
        if not self.ports:
            return replace(self, sides=sides, numbers=sorted(self.numbers))
        numbers = [tuple(dict.fromkeys(port)) for port in self.numbers]
        return replace(self, sides=sides, numbers=[] if (1, 65535) in numbers else numbers)

    def text(self) -> str:
        sides = [_join([t.text() for t in _ordered(side)], "OR") for side in self.sides]
        words = [f"FROM {sides[0]} TO {sides[1]} {self.action} {self.protocol}"]
        if self.ports and any(len(port) > 1 for port in self.numbers):
            words.append("PORTS " + ", ".join(" - ".join(map(str, p)) for p in self.numbers))
        elif self.protocol not in ("ah", "esp"):
            what = "PORT" if self.ports else "TYPE"
            numbers = [" CODE ".join(map(str, number)) for number in self.numbers] or ["all"]
            words.append(_join([f"{what} {number}" for number in numbers], "AND"))
        if self.priority:
            words.append(f"PRIORITY {self.priority}")
        return " ".join(words)

    def check(self) -> None:
        """What the grammar allows and FWAPI does not, in the order in which it looks."""
        if len(self.numbers) > MOST:
            raise UsageError(f"maximum of {MOST} {'ports' if self.ports else 'types'} allowed")
        if max(map(len, self.sides)) > MOST:
            raise UsageError(f"maximum of {MOST} targets allowed per side")
        targets = [target for side in self.sides for target in side]
        version = {"icmp": 4, "icmp6": 6}.get(self.protocol)
        for kind, what in ("ip", "address"), ("subnet", "subnet"):
            if version and any(t.kind == kind and t.version != version for t in targets):
                raise UsageError(
                    f"rule affects ICMPv{version} but contains a non-IPv{version} {what}"
                )
        if not any(target.kind in ("all vms", "tag", "vm") for target in targets):
            raise UsageError("rule does not affect VMs")


def _ordered(side: list[_Target]) -> list[_Target]:
    whole = {target.value for target in side if target.kind == "tag" and target.wanted is None}
    kept = {target for target in side if target.wanted is None or target.value not in whole}

    def place(target: _Target) -> tuple[int, bytes, bytes]:
        return _KINDS.index(target.kind), _utf16(target.value), _utf16(target.wanted or "")

    return sorted(kept, key=place)


def _join(parts: list[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else f"({f' {word} '.join(parts)})"


def _quote(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        return "\\" + _ESCAPES.get(match[0], f"u{ord(match[0]):04X}")

    return f'"{_TO_ESCAPE.sub(escape, text)}"'


def _unquote(text: str) -> str:
    def meaning(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else _CONTROLS.get(match[2], match[2])

    return _text(re.sub(r"\\(?:u(....)|(.))", meaning, text[1:-1]))


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _text(units: str) -> str:
    """A text of units of UTF-16 as one of characters."""
    return _utf16(units).decode("utf-16-be", "replace")


def _by_type(one: Numbers, other: Numbers) -> int:
    """FWAPI's comparison of ICMP types, which misses a code that only the first has."""
    if len(one) > len(other):
        return 0
    return one[0] * 256 + sum(one[1:]) - other[0] * 256 - sum(other[1 : len(one)])


def _read(text: str) -> _Rule:
    if not text:
        raise UsageError("No rule specified")
    rule = _Reader(text).rule()
    rule.check()
    return rule


class _Reader:
    """Reads a rule and no further than the real parser does before it judges what it has."""

    def __init__(self, text: str) -> None:
        # counted as in JavaScript
        units = iter(_utf16(text))
        self._text = "".join(chr(high << 8 | low) for high, low in zip(units, units, strict=True))
        self._behind = 0
        self._token: re.Match[str] | None = None

    def rule(self) -> _Rule:
        self._take("FROM")
        sides = [self._side()]
        self._take("TO")
        sides.append(self._side())
        action = self._take("BLOCK", "ALLOW").upper()
        protocol = self._take("TCP", "UDP", "ICMP", "ICMP6", "AH", "ESP").lower()
        numbers: list[Numbers] = []
        if protocol in ("tcp", "udp"):
            ranges = self._next("(", "PORT", "PORTS") == "PORTS"
            found = self._ranges() if ranges else self._listed("PORT")
            numbers = sorted(found, key=lambda port: port[0])
        elif protocol in ("icmp", "icmp6"):
            self._next("(", "TYPE")
            numbers = sorted(self._listed("TYPE"), key=functools.cmp_to_key(_by_type))
        priority = 0
        if self._got("PRIORITY", *_ENDS):
            priority = _number("Priority level", self._take("WORD"), 0, 100)
        self._take("EOF")
        return _Rule(tuple(sides), action, protocol, numbers, priority)

    def _side(self) -> list[_Target]:
        grouped = self._got("(", "(", "ALL", "ANY", "IP", "SUBNET", "VM", "TAG")
        kind = self._next("ALL", "ANY", "IP", "SUBNET", "VM", "TAG")
        if kind == "ALL":
            self._take("ALL")
            self._take("VMS")
            targets = [_Target("all vms")]
        elif kind == "ANY":
            self._take("ANY")
            targets = [_Target("any")]
        else:
            targets = [self._target()]
            while grouped and self._got("OR", ")", "OR"):
                targets.append(self._target())
        if grouped:
            self._take(")")
        self._next(*_BEHIND_SIDE)
        return targets

    def _target(self) -> _Target:
        kind = self._take("IP", "SUBNET", "VM", "TAG").lower()
        if kind == "tag":
            name, wanted = self._take("WORD", "STRING"), None
            if self._got("=", "=", *_BEHIND_TARGET):
                wanted = self._take("WORD", "STRING")
                self._next("=", *_BEHIND_TARGET)
                self._next(*_BEHIND_TARGET)
            return _Target(kind, name, wanted)
        value = self._take("WORD") if kind == "vm" else self._take(*_ADDRESSES)
        if kind == "subnet":
            value += self._take("CIDRSUFFIX")
        self._next(*_BEHIND_TARGET)
        if kind == "vm" and not _UUID.fullmatch(value):
            raise UsageError(f'UUID "{value}" is invalid')
        if kind == "ip":
            _check_address(value)
        if kind == "subnet":
            _check_subnet(value)
        return _Target(kind, value)

    def _listed(self, word: str) -> list[Numbers]:
        """Ports or types, none for all of them."""
        grouped = self._got("(", "(", word)
        self._take(word)
        found: list[Numbers] = []
        if self._got("ALL", "ALL", "WORD"):
            self._next(")", *_ENDS)
        else:
            found.append(self._listed_number(word))
            while grouped and self._got("AND", ")", "AND"):
                self._take(word)
                found.append(self._listed_number(word))
        if grouped:
            self._take(")")
        return found

    def _listed_number(self, word: str) -> Numbers:
        written = self._take("WORD")
        if word == "PORT":
            self._next(")", "AND", *_ENDS)
            return (_port(written),)
        coded = self._next("CODE", ")", "AND", *_ENDS) == "CODE"
        kind = _number("ICMP type", written, 0, 255)
        if not coded:
            return (kind,)
        self._take("CODE")
        written = self._take("WORD")
        self._next(")", "AND", *_ENDS)
        return kind, _number("ICMP code", written, 0, 255)

    def _ranges(self) -> Iterator[Numbers]:
        self._take("PORTS")
        yield self._range()
        while self._got(",", ",", *_ENDS):
            yield self._range()

    def _range(self) -> Numbers:
        written = self._take("WORD")
        ends = written.split("-")
        if self._got("-", "-", ",", *_ENDS):
            ends = [written, self._take("WORD")]
            self._next(",", *_ENDS)
        if len(ends) > 2:
            raise UsageError(f'"{written}" is not a valid port number or range')
        ports = tuple(map(_port, ends))
        if ports[-1] < ports[0]:
            raise UsageError(
                f"The end of the range ({ends[1]}) cannot be less than the start ({ends[0]})"
            )
        return ports

    def _got(self, wanted: str, *kinds: str) -> bool:
        """Take the next token, which must be one of these kinds, if it is the wanted one."""
        if self._next(*kinds) != wanted:
            return False
        self._take(wanted)
        return True

    def _take(self, *kinds: str) -> str:
        """The next token, of a string its meaning."""
        kind, token = self._next(*kinds), self._peek()
        self._behind, self._token = token.end(), None
        taken = token[token.lastgroup or 0]
        return _unquote(taken) if kind == "STRING" else taken

    def _next(self, *kinds: str) -> str:
        """The kind of the next token, which must be one of these."""
        token = self._peek()
        kind = token.lastgroup or ""
        text = token[kind]
        if kind == "FIXED":
            kind = text.upper()
        if kind in kinds:
            return kind
        small = ("ALL", "ANY", "IP", "SUBNET", "TAG", "VM")
        names = [name.lower() if name in small else name for name in _ORDER if name in kinds]
        expected = ", ".join(f"'{name}'" for name in names)
        column = len(re.split("[\r\n]", self._text[: self._behind])[-1])
        raise UsageError(
            f"Error at character {column}: '{_text(text)}', "
            f"expected: {expected}, found: {'word' if kind == 'WORD' else kind}"
        )

    def _peek(self) -> re.Match[str]:
        if self._token is None:
            self._token = _TOKEN.match(self._text, self._behind)
            assert self._token is not None  # NONE fits everywhere
            if self._token.lastgroup == "NONE":
                start = self._token.end()
                read = "..." * (start > 20) + self._text[:start][-20:].replace("\n", "")
                ahead = _text(self._text[start : start + 20].replace("\n", ""))
                raise UsageError(
                    f"Error at character {len(read)}: '{ahead}', found: unexpected text"
                )
        return self._token


def _port(text: str) -> int:
    return _number("Port number", text, 1, 65535)


def _number(what: str, text: str, lowest: int, highest: int) -> int:
    number = text.lstrip("0") or "0"
    if not text.isdecimal() or len(number) > 5 or not lowest <= int(number) <= highest:
        raise UsageError(f'{what} "{text}" is invalid')
    return int(number)


def _check_address(text: str) -> None:
    version = 6 if ":" in text else 4
    try:
        good = str(ipaddress.ip_address(text)) not in ("0.0.0.0", "255.255.255.255")
    except ValueError:
        good = False
    if not good:
        raise UsageError(f'IPv{version} address "{text}" is invalid')


def _check_subnet(text: str) -> None:
    address, length = text.split("/")
    size = 128 if ":" in address else 32
    problem = ""
    try:
        number = _integer(address)
        if int(length) > size:
            problem = "bad prefix length"
        elif number % (1 << size - int(length)):
            problem = "bits set to right of mask"
    except ValueError:
        problem = "bad address component"
    if problem:
        raise UsageError(f'Subnet "{text}" is invalid ({problem})')


def _integer(address: str) -> int:
    """An address as ip6addr reads it: with zeros in front of a number, and ``::`` for nothing.

    :raises ValueError: it is none
    """
    if ":" in address:
        before, gap, after = (part.split(":") if part else [] for part in address.partition("::"))
        missing = 8 - len(before + after)
        if missing < 0 or (missing and not gap) or len(address) > 40:
            raise ValueError(address)
        fields, bits = [int(field, 16) for field in before + ["0"] * missing + after], 16
    else:
        fields, bits = [int(field) for field in address.split(".")], 8
    if max(fields) >> bits:
        raise ValueError(address)
    return sum(field << bits * place for place, field in enumerate(reversed(fields)))
