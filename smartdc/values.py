"""What a real data center takes otherwise than it was written: tags and metadata to refuse.

Sources: sdc-cloudapi, lib/tags.js, lib/metadata.js, lib/machines.js; vmapi,
lib/common/vm-common.js (how tags are stored), lib/apis/moray.js (how they are searched).
"""

from __future__ import annotations

import re
from typing import Any

DROPPED_TAGS = ("account", "machine", "uuid", "owner_uuid", "context", "image")
DROPPED_METADATA = ("account", "machine", "uuid", "owner_uuid", "image")
LARGEST = 2**53
"""Whole numbers beyond it are rounded: JavaScript has no others."""
UNSTABLE = re.compile(r"%2D|%3D|%n\{.*\}|%b\{.*\}", re.IGNORECASE | re.DOTALL)
"""What stands for something else where tags are stored."""
UNSEARCHABLE = re.compile(r"[=()\\]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def tag_problem(name: str, value: Any) -> str:
    """Why a tag would not come back as it was written; empty if it does."""
    if name in DROPPED_TAGS:
        return "is a name that CloudAPI drops from changes of tags without a word"
    if not isinstance(value, str | int | float):
        return "must be a string, a number, true or false"
    if isinstance(value, str) and (found := UNSTABLE.search(value)):
        return f"has {found.group()!r} in it, which VMAPI reads as something else"
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_rounded(value):
        return f"is a number that VMAPI does not keep as it is, {value!r}; write it as a string"
    return ""


def selector_problem(name: str, value: Any) -> str:
    """Why machines with a tag would not be found by it; empty if they are."""
    problem = tag_problem(name, value)
    if problem:
        return problem
    text = value if isinstance(value, str) else str(value)
    if UNSEARCHABLE.search(name) or (isinstance(value, str) and UNSEARCHABLE.search(value)):
        return "has one of = ( ) \\ in it, by which VMAPI finds no machine"
    if _NUMBER.fullmatch(text) and "-" in text and not isinstance(value, bool):
        return "is a number with a minus sign, by which VMAPI finds no machine"
    return ""


def metadatum_problem(name: str) -> str:
    """Why a metadatum would not arrive; empty if it does."""
    if name in DROPPED_METADATA:
        return "is a name that CloudAPI drops from changes of metadata without a word"
    if name.endswith("_pw"):
        return (
            "ends with _pw, which CloudAPI drops without a word; passwords of a new machine are "
            "metadata.credentials: {USER: PASSWORD}"
        )
    return ""


def _is_rounded(value: float) -> bool:
    if isinstance(value, int):
        return abs(value) > LARGEST
    return value != 0 and not 1e-6 <= abs(value) < 1e21
