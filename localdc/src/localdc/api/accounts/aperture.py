"""Rules of policies: the language Aperture, `CAN deletemachine * WHEN tag_role::string = db`.

What a rule may say and what it means are those of node-aperture (lib/language.jison,
lib/evaluator.js, types/), its oddities included: of a glob's `*` the first alone is one, no
pattern is anchored, and a condition on what a request does not have is an error, which refuses
the request whatever other rules say.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address, ip_network
from typing import Any

_WORDS = "AND|OR|NOT|CAN|TO|IF|WHEN|WHERE|ALL|EVERYTHING|ANYTHING|IN"
_TOKEN = re.compile(
    rf"(?P<word>(?:{_WORDS})\b)"
    r"|(?P<mark>::|[,()])"
    r"|(?P<regex>/(?:[^\n\r*\\/\[]|\\.|\[[^\]\n\r]*\])(?:[^\n\r\\/\[]|\\.|\[[^\]\n\r]*\])*/[a-z]*"
    r"::regexp?)"
    r'|"(?P<quoted>(?:\\["bfnrt\\]|\\u[a-f0-9]{4}|[^"\\])*)"'
    r"|(?P<text>(?:[^\s,():](?::(?!:))?)+)",
    re.IGNORECASE,
)
_EVERYTHING = ("ALL", "EVERYTHING", "ANYTHING", "*")
# Types that conditions have without saying so, when a rule is made; a request knows others
# (sdc-cloudapi, etc/aperture.json.in).
_WHEN_MADE = {
    "date": "date",
    "day": "day",
    "time": "time",
    "sourceip": "ip",
    "user-agent": "string",
}
_WHEN_USED = {"ip": "ip", "sourceip": "ip", "user-agent": "string"}
_DAYS = (
    ("monday", "mon", "m"), ("tuesday", "tue", "t"), ("wednesday", "wed", "w"),
    ("thursday", "thu", "th"), ("friday", "fri", "f"), ("saturday", "sat", "s"),
    ("sunday", "sun", "su"),
)  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}

# What may stand behind a pattern, each once (ECMAScript 2015, 21.2.3.2.2).
_FLAGS = {"g": 0, "i": re.IGNORECASE, "m": re.MULTILINE, "u": 0, "y": 0}
MAX_DEPTH = 100
"""Of parentheses and NOTs around a condition; the original knows no limit but its stack."""

Token = tuple[str, str]
Condition = tuple[Any, ...]


class RuleError(ValueError):
    """A rule that cannot be understood; the message is Aperture's."""


class EvaluationError(Exception):
    """A condition that cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Names:
    """A list in a rule."""

    exact: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]

    def has(self, name: str | None) -> bool:
        return name in self.exact or any(p.search(str(name)) for p in self.patterns)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; None for a list means everything, or that nothing was said."""

    effect: bool
    principals: Names | None
    actions: Names | None
    resources: Names | None
    names_resource: bool
    condition: Condition | None

    def allows(self, action: str, resource: str, conditions: Mapping[str, Any]) -> bool:
        """Raises EvaluationError."""
        subjects = ((self.principals, None), (self.actions, action), (self.resources, resource))
        if not all(names is None or names.has(name) for names, name in subjects):
            return False
        holds = self.condition is None or _holds(self.condition, conditions)
        return holds and self.effect


def parse(text: str) -> Rule:
    """Raises RuleError."""
    return _Parser(text).rule()


class _Parser:
    """Recursive descent over the tokens of one rule."""

    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = []
        self.at = 0
        self.depth = 0
        position = len(text) - len(text.lstrip())
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise _unreadable()
            kind = str(match.lastgroup)
            value = match[kind].upper() if kind == "word" else match[kind]
            self.tokens.append((value if kind in ("word", "mark") else kind, value))
            position = match.end()
            position += len(text[position:]) - len(text[position:].lstrip())
        self.tokens.append(("end", ""))

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    def take(self, *kinds: str) -> str:
        """The next token, which must be one of these; raises RuleError."""
        kind, value = self.tokens[self.at]
        if kind not in kinds:
            raise _unreadable()
        self.at += 1
        return value

    def rule(self) -> Rule:
        principals = None if self.kind == "CAN" else self.names()
        self.take("CAN")
        effect = self.kind != "NOT"
        if not effect:
            self.take("NOT")
        actions = self.names()
        named = self.kind not in ("IF", "WHEN", "WHERE", "end")
        resources = self.names() if named else None
        condition = None
        if self.kind != "end":
            self.take("IF", "WHEN", "WHERE")
            condition = self.either()
        self.take("end")
        return Rule(effect, principals, actions, resources, named, condition)

    def names(self) -> Names | None:
        """`a`, `a and b`, `a, b and c`, `a, b, and c`; None for everything."""
        if self.tokens[self.at] in [(word, word) for word in _EVERYTHING] + [("text", "*")]:
            self.at += 1
            return None
        found = [self.name()]
        while self.kind == ",":
            self.take(",")
            if self.kind == "AND":
                break
            found.append(self.name())
        if len(found) > 1 or self.kind == "AND":
            self.take("AND")
            found.append(self.name())
        return Names(
            frozenset(name for name in found if isinstance(name, str)),
            tuple(name for name in found if isinstance(name, re.Pattern)),
        )

    def name(self) -> str | re.Pattern[str]:
        kind = self.kind
        value = self.take("text", "quoted", "regex")
        if kind == "regex":
            return _regex(value.rpartition("::")[0])
        if kind == "text" and value == "*":
            raise _unreadable()
        return _compiled(_glob(value)) if kind == "text" and "*" in value else value

    def either(self) -> Condition:
        found = [self.both()]
        while self.kind == "OR":
            self.take("OR")
            found.append(self.both())
        return ("or", *found)

    def both(self) -> Condition:
        found = [self.negated()]
        while self.kind == "AND":
            self.take("AND")
            found.append(self.negated())
        return ("and", *found)

    def negated(self) -> Condition:
        if self.kind not in ("NOT", "("):
            return self.comparison()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RuleError(f"a condition is in {MAX_DEPTH} parentheses and NOTs at most here")
        if self.take("NOT", "(") == "NOT":
            found: Condition = ("not", self.negated())
        else:
            found = self.either()
            self.take(")")
        self.depth -= 1
        return found

    def comparison(self) -> Condition:
        name, kind = self.take("text", "quoted"), None
        if self.kind == "::":
            self.take("::")
            kind = self.take("text", "quoted")
        if self.kind == "IN":
            self.take("IN")
            self.take("(")
            values = [self.take("text", "quoted")]
            while self.kind == ",":
                self.take(",")
                values.append(self.take("text", "quoted"))
            self.take(")")
            for value in values:
                _check("=", name, value, kind)
            return ("in", name, kind, values)
        op, value = self.take("text", "quoted").lower(), self.take("text", "quoted")
        _check(op, name, value, kind)
        return ("is", op, name, kind, value)


def _unreadable() -> RuleError:
    return RuleError("Parse error on line 1:")


def _glob(text: str) -> str:
    """node-aperture's fuzzyToRegex: each of its replacements strikes once."""
    text = re.sub(r"[-/\\^$*+?.()|\[\]{}]", r"\\\g<0>", text)
    text = text.replace("\\\\\\*", "*", 1).replace("\\*", ".*", 1)
    return re.sub(r"([^.])\*", r"\1\\*", text, count=1)


def _regex(literal: str) -> re.Pattern[str]:
    """`/body/flags`; raises RuleError.

    Where there is no second slash, the first character is the body, and what follows the only
    slash, or else all of it, are flags (node-aperture, types/string.js and lib/evaluator.js).
    """
    last = literal.rfind("/")
    body, flags = literal[1:last] if last > 0 else literal[:1], literal[last + 1 :]
    if not _FLAGS.keys() >= set(flags) or len(set(flags)) < len(flags):
        raise RuleError(f"Invalid flags supplied to RegExp constructor '{flags}'")
    # sticky: a new expression begins at the first character
    return _compiled(rf"\A(?:{body})" if "y" in flags else body, *(_FLAGS[flag] for flag in flags))


def _compiled(body: str, *flags: int) -> re.Pattern[str]:
    try:
        return re.compile(body, sum(flags))
    except (re.error, OverflowError, RecursionError) as error:
        raise RuleError(f"Invalid regular expression: /{body}/: {error}") from None


def _check(op: str, name: str, value: str, kind: str | None) -> None:
    kind = kind or _WHEN_MADE.get(name)
    if kind is None:
        raise RuleError(f'no type for "{name}"')
    if kind not in _OPERATIONS:
        raise RuleError(f'unknown type "{kind}"')
    if op not in _OPERATIONS[kind]:
        raise RuleError(f'unsupported operation "{op}" on type "{kind}"')
    try:
        if op == "like":
            _regex(value)
        else:
            _READERS[kind](value)
    except (ValueError, OverflowError):
        raise RuleError(f'unable to validate value "{value}" as type "{kind}"') from None


def allowed(
    rules: Iterable[Rule], action: str, resource: str, conditions: Mapping[str, Any]
) -> bool:
    """Whether a rule allows it; raises EvaluationError at one that cannot be looked at."""
    return any(rule.allows(action, resource, conditions) for rule in rules)


def _holds(condition: Condition, known: Mapping[str, Any]) -> bool:
    word, *rest = condition
    if word == "and":
        return all(_holds(one, known) for one in rest)
    if word == "or":
        return any(_holds(one, known) for one in rest)
    if word == "not":
        return not _holds(rest[0], known)
    if word == "in":
        name, kind, values = rest
        return any(_compare("=", name, kind, value, known) for value in values)
    op, name, kind, value = rest
    return _compare(op, name, kind, value, known)


def _compare(op: str, name: str, kind: str | None, value: str, known: Mapping[str, Any]) -> bool:
    kind = kind or _WHEN_USED.get(name)
    if kind is None:
        raise EvaluationError(f'no type for "{name}"')
    has = known.get(name)
    if has is None:
        raise EvaluationError(f'missing condition in context: "{name}"')
    if kind == "string":
        if op == "like":
            return bool(_regex(value).search(str(has)))
        # JavaScript neither turns a number into text for this, nor orders the two
        return _COMPARE[op](has, value) if isinstance(has, str) else op == "!="
    if kind == "array" and isinstance(has, list):
        return value in has
    if kind == "ip" and isinstance(has, str):
        try:
            inside = ip_address(has) in ip_network(value, strict=False)
        except ValueError as error:
            raise EvaluationError(f'"{name}": {error}') from None
        return inside if op == "=" else not inside
    expected: type | tuple[type, ...] = _CONTEXT.get(kind, ())
    if not isinstance(has, expected) or (kind == "number" and isinstance(has, bool)):
        raise EvaluationError(f'"{name}" is not of type "{kind}"')
    own = _FROM_DATE[kind](has) if kind in _FROM_DATE else has
    return _COMPARE[op](own, _READERS[kind](value))


def _date(text: str) -> datetime:
    """What Date.parse of JavaScript reads; raises ValueError."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except (TypeError, IndexError) as error:
            raise ValueError(text) from error
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _day(text: str) -> int:
    """1 (Monday) to 7; raises ValueError."""
    for number, words in enumerate(_DAYS, 1):
        if text.lower() in words:
            return number
    day = int(text) if text.isdigit() else _date(text).isoweekday()
    if not 1 <= day <= 7:
        raise ValueError(text)
    return day


def _seconds_of_day(date: datetime) -> int:
    return date.hour * 3600 + date.minute * 60 + date.second


def _time(text: str) -> int:
    parts = text.split(":")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        hours, minutes, seconds = map(int, parts)
        delta = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return int(delta.total_seconds()) % 86400
    return _seconds_of_day(_date(text).astimezone(UTC))


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


_OPERATIONS: dict[str, tuple[str, ...]] = {
    "array": ("contains",),
    "boolean": ("=", "!="),
    "date": tuple(_COMPARE),
    "day": tuple(_COMPARE),
    "ip": ("=", "!="),
    "number": tuple(_COMPARE),
    "string": (*_COMPARE, "like"),
    "time": tuple(_COMPARE),
}
_READERS: dict[str, Callable[[str], Any]] = {
    "array": str,
    "boolean": _boolean,
    "date": _date,
    "day": _day,
    "ip": lambda text: ip_network(text, strict=False),
    "number": float,
    "string": str,
    "time": _time,
}
_CONTEXT: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "date": datetime,
    "day": datetime,
    "number": (int, float),
    "time": datetime,
}
_FROM_DATE: dict[str, Callable[[Any], Any]] = {
    "day": lambda date: date.astimezone(UTC).isoweekday(),
    "time": lambda date: _seconds_of_day(date.astimezone(UTC)),
}
