"""What a parameter is, or why it is refused: the one place that reads values of requests.

Values of JSON come with their kinds; those of queries and forms are texts, and lists where a
name was given more than once.  What is of another kind than is wanted is refused with 409
InvalidArgument; it is never taken for something else, nor for nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from localdc.api.errors import ApiError, invalid_argument

Params = Mapping[str, Any]
Refusal = Callable[[str, str], ApiError]
"""Makes the error of a parameter's name and what is wrong with it."""

EXACT = 2**53
"""Up to here JavaScript, and so CloudAPI, tells whole numbers apart."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,16}")
_TRUTHS = {"true": True, "false": False}


def refused(name: str, problem: str) -> ApiError:
    return invalid_argument(f"{name} {problem}")


def refused_property(name: str, problem: str) -> ApiError:
    """In the words of NAPI (sdc-cloudapi, lib/endpoints/networks.js, translateErr)."""
    return invalid_argument(f'property "{name}": {problem}')


def json_number(text: str) -> int | float:
    """A number of JSON as JavaScript has it: rounded to 53 bits, infinite above 1.8e308."""
    number = float(text)
    return int(number) if number.is_integer() else number


def check_finite(params: Params) -> None:
    """Raises 409 for a number that is too large for what keeps it, and names it."""
    left: list[tuple[str, object]] = list(params.items())
    while left:
        path, value = left.pop()
        if isinstance(value, float) and math.isinf(value):
            raise refused(path, "must be a number of at most 1.8e308")
        if isinstance(value, dict):
            left += ((f"{path}.{name}", inner) for name, inner in value.items())
        elif isinstance(value, list):
            left += ((f"{path}[{index}]", inner) for index, inner in enumerate(value))


def text(params: Params, name: str, refuse: Refusal = refused) -> str | None:
    """None when it is not given, null or empty."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise refuse(name, "must be a string")
    return value


def boolean(params: Params, name: str, refuse: Refusal = refused) -> bool | None:
    """JSON true or false, or their texts; None when it is not given."""
    if name not in params:
        return None
    value = params[name]
    truth = _TRUTHS.get(value) if isinstance(value, str) else value
    if not isinstance(truth, bool):
        raise refuse(name, "must be true or false")
    return truth


def json_boolean(params: Params, name: str) -> bool:
    """JSON true or false; false when it is not given.

    CloudAPI takes everything but JSON true for false, the text `true` too; to be told is better.
    """
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise refused(name, "must be true or false in JSON; texts do not count")
    return value


def flag(params: Params, name: str) -> bool:
    """Whether a query asks for something: `true` in any case; false when it is not given."""
    value = params.get(name)
    if isinstance(value, str):
        value = _TRUTHS.get(value.lower(), value or False)
    if value is not None and not isinstance(value, bool):
        raise refused(name, "must be true or false")
    return value is True


def integer(params: Params, name: str, refuse: Refusal = refused) -> int | None:
    """A whole number of JSON, or its digits; None when it is not given, null or empty."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refuse(name, f"must be an integer, not {shown(value)}")
    if abs(value) > EXACT:
        raise refuse(name, f"must be an integer of at most {EXACT}")
    return value


def shown(value: object) -> str:
    """A value in a message: as much of it as helps."""
    words = repr(value) if isinstance(value, str | int | float) else type(value).__name__
    return words if len(words) <= 40 else f"{words[:40]}..."
