"""The grammars of the Authorization header: what its letters say, before they are judged.

CloudAPI reads the header with npm's http-signature 1.4.0 and, where that gives up, with its own
copy of the 0.9 that came before (sdc-cloudapi, lib/authorization.js, parseSignature).
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime

Value = str | float
"""A quoted text; or a number without quotes, above 15 digits as JavaScript rounds it."""

# One parameter of the modern form and what ends it; digits count only where a comma follows.
_PARAMETER = re.compile(r'([A-Za-z]+)=(?:"([^"]*)"(?:,|\Z)|([0-9]+),)')
# What may stand at the end, and means nothing there: a name, or a value that does not end.
_REST = re.compile(r'(?:[A-Za-z]+(?:=(?:[0-9]+|"[^"]*)?)?)?')
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_URL_SAFE = str.maketrans("-_", "+/")


class Unreadable(Exception):
    """The header, or a part of it; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class OldForm:
    """Parameters, and the signature that follows them after a space."""

    parameters: dict[str, Value]
    signature: str


def modern(text: str) -> dict[str, Value]:
    """What follows `Signature `: `name="text"` and `name=123,`, without spaces between them.

    Names count as they are written.  Source: http-signature 1.4.0, lib/parser.js, parseRequest.
    Raises Unreadable.
    """
    parameters: dict[str, Value] = {}
    at = 0
    while found := _PARAMETER.match(text, at):
        name, quoted, digits = found.groups()
        parameters[name] = quoted if digits is None else _whole(digits)
        at = found.end()
    if _REST.fullmatch(text, at) is None:
        raise Unreadable("bad param format")
    return parameters


def old(text: str) -> OldForm:
    """What follows `Signature ` in version 0.9; spaces, `=` and `,` are no part of names.

    Source: sdc-cloudapi, lib/node-http-signature/parser.js.
    """
    parameters: dict[str, Value] = {}
    name, at = "", 0
    while at < len(text) and text[at] != " ":
        letter = text[at]
        at += 1
        if letter == '"':
            end = text.find('"', at)
            parameters[name] = text[at:end] if end >= 0 else ""
            name, at = "", end + 1 if end >= 0 else len(text)
        elif letter not in "=,":
            name += letter
    return OldForm(parameters, text[at + 1 :])


def _whole(digits: str) -> float:
    """JavaScript's parseInt of digits."""
    return int(digits) if len(digits) <= 15 else float(digits)


def number(value: Value) -> float:
    """What JavaScript makes of a value that it calculates with; nan for what is no number."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return 0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _PREFIXED.fullmatch(text):
        return float(int(text, 0)) if len(text) < 250 else math.inf
    infinite = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
    return infinite.get(text, math.nan)


def shown(value: Value) -> str:
    """A value as JavaScript writes it into a text."""
    if isinstance(value, str | int):
        return str(value)
    if math.isinf(value):
        return "Infinity"
    return format(Decimal(repr(value)), "f") if value < 1e21 else repr(value)


def base64_bytes(text: str) -> bytes:
    """Node.js's reading of base64: to the first `=`, letters of other alphabets left out."""
    kept = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0].translate(_URL_SAFE))
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return base64.b64decode(kept + "=" * (-len(kept) % 4))


def parse_date(text: str) -> datetime:
    """An HTTP date, of which `UTC` in place of `GMT` (Go's RFC1123) is fine, or ISO 8601.

    Raises ValueError, TypeError or OverflowError.
    """
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        date = parsedate_to_datetime(re.sub(r"\bUTC$", "GMT", text.strip()))
    return date if date.tzinfo else date.replace(tzinfo=UTC)
