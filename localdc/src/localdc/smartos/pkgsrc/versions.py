"""Package versions and patterns as pkg_install compares them (pkg_info(1), "dewey" order)."""

from __future__ import annotations

_WORDS = {"alpha": -3, "beta": -2, "pre": -1, "rc": -1, "pl": 0, "_": 0, ".": 0}
_OPERATORS = (">=", "<=", "==", "!=", ">", "<")


def split(pkgname: str) -> tuple[str, str]:
    """Name and version of a PKGNAME: `py311-zmq`, `27.3.0`.

    The version of a name without one is empty.
    """
    name, dash, version = pkgname.rpartition("-")
    if not dash or not version[:1].isdigit():
        return pkgname, ""
    return name, version


def compare(left: str, right: str) -> int:
    """Below, at or above zero as version `left` is older, the same or newer."""
    one, two = _components(left), _components(right)
    length = max(len(one[0]), len(two[0]))
    for a, b in zip(_padded(one[0], length), _padded(two[0], length), strict=True):
        if a != b:
            return -1 if a < b else 1
    return (one[1] > two[1]) - (one[1] < two[1])


def newest(versions: list[str]) -> str:
    """The newest of several PKGNAMEs of one name."""
    best = versions[0]
    for other in versions[1:]:
        if compare(split(other)[1], split(best)[1]) > 0:
            best = other
    return best


def matches(pattern: str, pkgname: str) -> bool:
    """Does a dependency pattern, a glob, a PKGNAME or a plain name mean `pkgname`?"""
    name, version = split(pkgname)
    if "{" in pattern:
        return any(matches(choice, pkgname) for choice in _alternatives(pattern))
    base, conditions = _conditions(pattern)
    if conditions:
        return base == name and all(_holds(version, op, limit) for op, limit in conditions)
    if any(character in pattern for character in "*?["):
        from fnmatch import fnmatchcase

        return fnmatchcase(pkgname, pattern)
    return pattern in (name, pkgname)


def base(pattern: str) -> str:
    """The package name a pattern speaks of: `py311-zmq` for `py311-zmq>=25`."""
    name, conditions = _conditions(pattern)
    if conditions:
        return name
    head, dash, tail = pattern.rpartition("-")
    if dash and (tail[:1].isdigit() or tail[:1] in "[*?"):
        # the glob of an unversioned dependency ends in -[0-9]*
        return head.removesuffix("-[0") if tail == "9]*" else head
    return pattern


def _conditions(pattern: str) -> tuple[str, list[tuple[str, str]]]:
    start = min((i for i in (pattern.find(c) for c in "<>=!") if i > 0), default=-1)
    if start < 0:
        return pattern, []
    conditions, rest = [], pattern[start:]
    while rest:
        operator = next((o for o in _OPERATORS if rest.startswith(o)), "")
        if not operator:
            return pattern, []
        rest = rest[len(operator) :]
        end = min((i for i in (rest.find(c) for c in "<>=!") if i >= 0), default=len(rest))
        conditions.append((operator, rest[:end]))
        rest = rest[end:]
    return pattern[:start], conditions


def _holds(version: str, operator: str, limit: str) -> bool:
    order = compare(version, limit)
    if operator == ">=":
        return order >= 0
    if operator == "<=":
        return order <= 0
    if operator == ">":
        return order > 0
    if operator == "<":
        return order < 0
    return (order == 0) is (operator == "==")


def _alternatives(pattern: str) -> list[str]:
    head, _, rest = pattern.partition("{")
    inner, _, tail = rest.partition("}")
    return [head + choice + tail for choice in inner.split(",")]


def _padded(components: list[int], length: int) -> list[int]:
    return components + [0] * (length - len(components))


def _components(version: str) -> tuple[list[int], int]:
    """The numbers to compare, and the package revision (nbN), which counts last."""
    text = version.lower()
    components: list[int] = []
    revision = 0
    while text:
        if text[0].isdigit():
            number, text = _leading_number(text)
            components.append(number)
            continue
        if text.startswith("nb"):
            revision, text = _leading_number(text[2:])
            continue
        word = next((w for w in _WORDS if text.startswith(w)), "")
        if word:
            components.append(_WORDS[word])
            text = text[len(word) :]
            continue
        if text[0].isalpha():
            components += [0, ord(text[0]) - ord("a") + 1]
        text = text[1:]
    return components, revision


def _leading_number(text: str) -> tuple[int, str]:
    end = 0
    while end < len(text) and text[end].isdigit():
        end += 1
    return int(text[:end] or 0), text[end:]
