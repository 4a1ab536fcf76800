"""Tags as VMAPI keeps them: one text of all, which it reads back and searches in.

The rules are those of sdc-vmapi, lib/common/vm-common.js (objectToTagFormat, tagFormatToObject)
and lib/apis/moray.js (_addTagsFilter).  Some values come back as others, and some are never
found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from localdc.api.model import Scalar

NUMBER = re.compile(r"%n\{([-+]?[0-9]*\.?[0-9]+)\}")
BOOLEAN = re.compile(r"%b\{(true|false)\}")
UNSEARCHABLE = re.compile(r"[()\\]")
"""What would end a filter of LDAP (npm ldap-filter 0.3.3), and is not escaped."""


def number_text(value: int | float) -> str:
    """A number as JavaScript writes it: with an exponent from 1e21 on and below 1e-6.

    ECMA-262, Number::toString.
    """
    digits, _, exponent = repr(float(value)).partition("e")
    if int(exponent or 0) in range(-6, 21):
        return format(Decimal(repr(float(value))), "f").removesuffix(".0")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"


def stored(tags: Mapping[str, Scalar]) -> str:
    """All tags in one text: `-name=value-name=value-`."""
    return "-" + "".join(f"{_escaped(key)}={_escaped(_typed(tags[key]))}-" for key in tags)


def as_read(tags: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The tags as they come back."""
    pairs = (entry.split("=", 1) for entry in stored(tags).split("-")[1:-1])
    return {_unescaped(key): _parsed(_unescaped(value)) for key, value in pairs}


def tagged(tags: str, key: str, value: str) -> bool:
    """Whether a search for `tag.KEY=VALUE` finds a machine with these tags (JSON)."""
    wanted = key.replace("-", "%2D")
    if value in ("true", "false"):
        texts = [f"%b{{{value}}}", value]
    elif _is_number(value):
        texts = [f"%n{{{value}}}", value]
    else:
        texts = [value.replace("-", "%2D")]
    there = stored(json.loads(tags))
    return any(_wildcard(f"*-{wanted}={text}-*").fullmatch(there) for text in texts)


def _is_number(text: str) -> bool:
    """Whether JavaScript's Number() takes it."""
    text = text.strip()
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[-+]?Infinity|", text):
        return True
    return re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text) is not None


def _wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _typed(value: Scalar) -> str:
    if isinstance(value, bool):
        return f"%b{{{str(value).lower()}}}"
    return value if isinstance(value, str) else f"%n{{{number_text(value)}}}"


def _parsed(text: str) -> Scalar:
    if number := NUMBER.fullmatch(text):
        value = float(number[1])
        return int(number_text(value)) if value.is_integer() and abs(value) < 1e21 else value
    boolean = BOOLEAN.fullmatch(text)
    return boolean[1] == "true" if boolean else text


def _escaped(text: str) -> str:
    return text.replace("-", "%2D").replace("=", "%3D")


def _unescaped(text: str) -> str:
    return text.replace("%2D", "-").replace("%3D", "=")
