"""How the tools quote values; without ``re``, which costs every command milliseconds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# svcprop(1) and method tokens: what a shell would interpret
_SHELL = str.maketrans({char: "\\" + char for char in ";&()|^<>\n \t\\\"'`"})
_LISTED = frozenset(' \t\n"()')
_STRINGS = ("astring", "ustring", "opaque", "fmri", "uri", "host", "hostname")


def shell_quote(text: str) -> str:
    """A value with backslashes before everything that a shell interprets (method tokens)."""
    return text.translate(_SHELL)


def quote(text: str) -> str:
    """A value as svcprop(1) prints it."""
    return shell_quote(text) if text else '""'


def listed(type: str, values: Sequence[str]) -> str:
    """Values as ``svccfg listprop`` prints them: a blank before each, strings quoted if needed."""
    out = ""
    for value in values:
        bare = value and len(values) == 1 and not _LISTED.intersection(value)
        out += " " + (value if bare or type not in _STRINGS else double_quote(value))
    return out


def double_quote(text: str) -> str:
    """Text in double quotes for svccfg's lexer, which knows ``\\"`` and ``\\\\``."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
