"""Which API version a request gets: `Accept-Version` is a semver range."""

from __future__ import annotations

import re
from functools import lru_cache

Version = tuple[int, int, int]

SUPPORTED: tuple[Version, ...] = (
    (9, 0, 0),
    (8, 0, 0),
    (7, 3, 0),
    (7, 2, 0),
    (7, 1, 0),
    (7, 0, 0),
)
NEWEST = "9.0.0"

_COMPARATOR = re.compile(
    r"(?P<op>~>?|\^|>=|<=|>|<|=|)\s*v?(?P<major>\d+|[xX*])"
    r"(?:\.(?P<minor>\d+|[xX*]))?(?:\.(?P<patch>\d+|[xX*]))?"
)
_TOP: Version = (1 << 30, 0, 0)


def text(version: Version) -> str:
    return ".".join(map(str, version))


@lru_cache(maxsize=256)
def best(wanted: str) -> Version | None:
    """The newest supported version in the range; None if there is none.

    Understands `||`, several comparators side by side, `~ ^ > >= < <= =`,
    partial versions and `x`, as npm's semver does.
    """
    found: list[Version] = []
    for alternative in wanted.split("||"):
        bounds = _bounds(alternative.strip())
        if bounds is None:
            continue
        found += [v for v in SUPPORTED if all(low <= v < high for low, high in bounds)]
    return max(found, default=None)


def _bounds(alternative: str) -> list[tuple[Version, Version]] | None:
    """Half-open intervals that must all hold; None when it cannot be read."""
    if alternative in ("", "*", "x", "X", "latest"):
        return []
    bounds = []
    position = 0
    while position < len(alternative):
        match = _COMPARATOR.match(alternative, position)
        if match is None or (match.end() < len(alternative) and alternative[match.end()] != " "):
            return None
        bounds.append(_interval(match))
        position = match.end()
        while position < len(alternative) and alternative[position] == " ":
            position += 1
    return bounds


def _interval(match: re.Match[str]) -> tuple[Version, Version]:
    parts = []
    for group in ("major", "minor", "patch"):
        part = match[group]
        if part is None or not part.isdigit():
            break
        parts.append(int(part))
    if not parts:
        return (0, 0, 0), _TOP
    low: Version = (*parts, 0, 0)[:3]  # type: ignore[assignment]
    operator = match["op"]
    if operator == ">=":
        return low, _TOP
    if operator == "<":
        return (0, 0, 0), low
    if operator == ">":
        return (_next(low, len(parts)) if len(parts) < 3 else _next(low, 3)), _TOP
    if operator == "<=":
        return (0, 0, 0), _next(low, len(parts))
    if operator == "^":
        return low, _next(low, 1)
    if operator.startswith("~"):
        return low, _next(low, min(len(parts), 2))
    return low, _next(low, len(parts))


def _next(version: Version, digits: int) -> Version:
    """The first version that differs from `version` in its leading `digits`."""
    if digits == 1:
        return version[0] + 1, 0, 0
    if digits == 2:
        return version[0], version[1] + 1, 0
    return version[0], version[1], version[2] + 1
