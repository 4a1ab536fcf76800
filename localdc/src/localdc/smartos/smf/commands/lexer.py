"""The words of svccfg(8) subcommands: bare words, quoted strings and the tokens ``= ( ) >``."""

from __future__ import annotations

from ..model import SmfError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = "=()>"


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
        start, char = position, text[position]
        if not words:
            first = line
        if char in " \t":
            position += 1
        elif char == "\n":
            position += 1
            if words and not depth:
                yield first, words
                words = []
        elif text.startswith("\\\n", position):
            position += 2
        elif char == "#":
            position = _end_of_line(text, position)
        elif char in _MARKS:
            position += 1
            depth += {"(": 1, ")": -1}.get(char, 0)
            words.append(Word.make(char, mark=True))
        else:
            word, position = (_string if char == '"' else _bare)(text, position)
            if position == start:
                raise SmfError(f"Syntax error near line {line}: string without its closing quote.")
            words.append(word)
        line += text.count("\n", start, position)
    if words:
        yield first, words


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _bare(text: str, start: int) -> tuple[Word, int]:
    """The bare word at `start`, and where it ends."""
    end = start
    while end < len(text) and not (text[end].isspace() or text[end] in _MARKS + '"'):
        end += 1
    return Word.make(text[start:end]), end


def _string(text: str, start: int) -> tuple[Word, int]:
    """The string at `start`, and where it ends; `start` itself where it does not."""
    out: list[str] = []
    position = start + 1
    while position < len(text):
        char = text[position]
        if char == '"':
            return Word.make("".join(out), quoted=True), position + 1
        if char == "\\":
            position += 1
            char = text[position : position + 1]
        out.append(char)
        position += 1
    return Word.make(""), start
