"""Extended regular expressions as regcomp(3) reads them, which is what pkgin searches with.

Python's are another language: they have `\\d` and no `[[:digit:]]`.  ctypes is also
imported in a third of the time that `re` takes.
"""

from __future__ import annotations

import ctypes

_EXTENDED, _ICASE, _NOSUB = 1, 2, 8
# regex_t is 64 bytes in glibc
_REGEX_BYTES = 256
# glibc's codes; the words are those of illumos' regerror(3)
_MESSAGES = {
    2: "invalid regular expression",
    3: "invalid collating element",
    4: "invalid character class",
    5: "trailing backslash (\\)",
    6: "invalid backreference number",
    7: "brackets ([ ]) not balanced",
    8: "parentheses not balanced",
    9: "braces not balanced",
    10: "invalid repetition count(s)",
    11: "invalid character range",
    12: "out of memory",
    13: "repetition-operator operand invalid",
    14: "invalid regular expression",
    15: "invalid regular expression",
    16: "parentheses not balanced",
}


class Expression:
    """A compiled expression that ignores case.  Raises ValueError, in regerror's words."""

    def __init__(self, pattern: str) -> None:
        library = ctypes.CDLL(None)
        self._match = library.regexec
        self._match.argtypes = (
            *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
            *(ctypes.c_void_p, ctypes.c_int),
        )
        self._compiled = ctypes.create_string_buffer(_REGEX_BYTES)
        flags = _EXTENDED | _ICASE | _NOSUB
        code = library.regcomp(self._compiled, _encoded(pattern), flags)
        if code:
            raise ValueError(_MESSAGES.get(code, "invalid regular expression"))

    def search(self, text: str) -> bool:
        """Does the expression match somewhere in `text`?"""
        return not self._match(self._compiled, _encoded(text), 0, None, 0)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
