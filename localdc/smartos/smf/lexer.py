"""The words of svccfg(8) subcommands: bare words, quoted strings and the tokens ``= ( ) >``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .model import SmfError

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\\\n) | (?P<comment>\#[^\n]*) | (?P<newline>\n) | (?P<mark>[=()>])
      | "(?P<string>(?:[^"\\]|\\.)*)" | (?P<word>[^\s">=()]+)""",
    re.VERBOSE | re.DOTALL,
)


class Word(str):
    """A word of a subcommand; ``quoted`` where it stood in double quotes, ``mark`` for ``=()>``."""

    __slots__ = ("mark", "quoted")

    quoted: bool
    mark: bool

    @classmethod
    def make(cls, text: str, quoted: bool = False, mark: bool = False) -> Word:
        """A word with its flags."""
        word = cls(text)
        word.quoted, word.mark = quoted, mark
        return word


def commands(text: str) -> Iterator[tuple[int, list[Word]]]:
    """The subcommands in `text` as (line number, words); lists in ``()`` may span lines."""
    words: list[Word] = []
    line, first, depth, position = 1, 1, 0, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SmfError(f"Syntax error near line {line}: string without its closing quote.")
        kind = match.lastgroup
        if not words:
            first = line
        if kind == "newline":
            if words and not depth:
                yield first, words
                words = []
        elif kind == "string":
            words.append(Word.make(re.sub(r"\\(.)", r"\1", match["string"], flags=re.S), True))
        elif kind == "mark":
            depth += {"(": 1, ")": -1}.get(match["mark"], 0)
            words.append(Word.make(match["mark"], mark=True))
        elif kind == "word":
            words.append(Word.make(match["word"]))
        line += match.group().count("\n")
        position = match.end()
    if words:
        yield first, words
