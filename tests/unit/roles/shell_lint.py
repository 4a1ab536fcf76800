"""What a shell script runs: its simple commands, as far as the scripts of this project need it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BLANK = " \t"
_OPERATOR = re.compile(r"&&|\|\||;;|[;&|()\n]")
_REDIRECTION = re.compile(r"<<-?|>>|[<>]&|[<>]")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ASSIGNMENT = re.compile(rf"{_NAME}=")
_RESERVED = frozenset(
    ("if", "then", "elif", "else", "fi", "while", "until", "do", "done", "{", "}", "!")
)
_EXPANSION = re.compile(r"[A-Za-z0-9_@*#?!$-]")


@dataclass
class Word:
    """A word as it is written, and the expansions in it that no quotes protect."""

    text: str
    unquoted: list[str] = field(default_factory=list)


@dataclass
class Command:
    """A simple command without its assignments and redirections, and the operator after it."""

    words: list[Word]
    after: str = ""

    @property
    def name(self) -> str:
        return self.words[0].text

    @property
    def arguments(self) -> list[str]:
        return [word.text for word in self.words[1:]]


class Script:
    """The commands, functions and arithmetic of a script, those in `$( )` included."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\\\n", "")
        self.position = 0
        self.commands: list[Command] = []
        self.functions: list[str] = []
        self.arithmetic: list[str] = []
        # what `for` goes through
        self.lists: list[Word] = []
        self._documents: list[tuple[str, bool]] = []
        self._in_pattern = False
        self._parse("")

    def _at(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def _parse(self, end: str) -> None:
        """Read up to the unquoted `end`, "" for all of it."""
        words: list[Word] = []
        depth, patterns = 0, 0
        while self.position < len(self.text):
            char = self.text[self.position]
            if char in _BLANK:
                self.position += 1
            elif char == "#":
                self.position = self.text.find("\n", self.position)
            elif patterns and not words and self._pattern():
                continue
            elif redirection := _REDIRECTION.match(self.text, self.position):
                self._redirect(redirection[0])
            elif operator := _OPERATOR.match(self.text, self.position):
                self.position = operator.end()
                if operator[0] == "(" and len(words) == 1:
                    self.functions.append(words.pop().text)
                    self.position = self.text.index(")", self.position) + 1
                    continue
                self._emit(words, operator[0])
                words = []
                if operator[0] == ")" and end and not depth:
                    return
                depth += {"(": 1, ")": -1}.get(operator[0], 0)
                if operator[0] == "\n":
                    self._read_documents()
                self._in_pattern |= operator[0] == ";;"
            else:
                word = self._word()
                if not words and word.text == "case":
                    self._skip_to_patterns()
                    patterns += 1
                elif not words and word.text == "esac":
                    patterns -= 1
                elif not words and word.text == "for":
                    self._for()
                elif not words and (word.text in _RESERVED or _ASSIGNMENT.match(word.text)):
                    continue
                elif not (word.text.isdigit() and self.text[self.position] in "<>"):
                    words.append(word)
        self._emit(words, "")

    def _emit(self, words: list[Word], after: str) -> None:
        if words:
            self.commands.append(Command(words, after))

    def _skip_to_patterns(self) -> None:
        self._skip(_BLANK)
        self._word()
        self._skip(_BLANK)
        assert self._at("in"), self.text[self.position :][:40]
        self.position += 2
        self._in_pattern = True

    def _pattern(self) -> bool:
        """Skip the pattern of a case, where one begins; False where none does."""
        if not self._in_pattern:
            return False
        self._skip(_BLANK + "\n")
        if self._at("#"):
            self.position = self.text.find("\n", self.position)
            return True
        self._in_pattern = False
        if self._at("esac"):
            return False
        while not self._at(")"):
            if self.text[self.position] in "| \t":
                self.position += 1
            else:
                self._word()
        self.position += 1
        return True

    def _for(self) -> None:
        self._skip(_BLANK)
        self._word()
        self._skip(_BLANK)
        if self._at("in "):
            self.position += 2
            while not _OPERATOR.match(self.text, self.position):
                self._skip(_BLANK)
                self.lists.append(self._word())

    def _skip(self, chars: str) -> None:
        while self.position < len(self.text) and self.text[self.position] in chars:
            self.position += 1

    def _redirect(self, operator: str) -> None:
        self.position += len(operator)
        self._skip(_BLANK)
        target = self._word().text
        if operator.startswith("<<"):
            self._documents.append((re.sub(r"['\"\\]", "", target), target.isalnum()))

    def _read_documents(self) -> None:
        for delimiter, expands in self._documents:
            end = self.text.index(f"\n{delimiter}\n", self.position - 1) + 1
            body = self.text[self.position : end]
            if expands:
                self._within(body)
            self.position = end + len(delimiter) + 1
        self._documents.clear()

    def _within(self, text: str) -> None:
        """Take in the substitutions of a text."""
        inner = Script.__new__(Script)
        inner.__dict__.update(self.__dict__, text=f'"{text}"', position=0, _documents=[])
        inner._word()

    def _word(self) -> Word:
        begin, word, quoted = self.position, Word(""), False
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == "\\":
                self.position += 2
            elif char == "'" and not quoted:
                self.position = self.text.index("'", self.position + 1) + 1
            elif char == '"':
                quoted = not quoted
                self.position += 1
            elif char == "$":
                expansion = self._expansion()
                if not quoted and expansion:
                    word.unquoted.append(expansion)
            elif not quoted and (char in _BLANK or char in ";&|()<>\n"):
                break
            else:
                self.position += 1
        word.text = self.text[begin : self.position]
        assert word.text, f"cannot be read: {self.text[begin:][:60]!r}"
        return word

    def _expansion(self) -> str:
        begin = self.position
        if self._at("$(("):
            self.position = self._closing(begin + 1)
            self.arithmetic.append(self.text[begin + 3 : self.position - 2])
        elif self._at("$("):
            self.position += 2
            documents, self._documents = self._documents, []
            kept, self._in_pattern = self._in_pattern, False
            self._parse(")")
            self._documents, self._in_pattern = documents, kept
        elif self._at("${"):
            self.position = self.text.index("}", begin) + 1
            inner = self.text[begin + 2 : self.position - 1]
            while inner.count("{") > inner.count("}") or inner.count('"') % 2:
                self.position = self.text.index("}", self.position) + 1
                inner = self.text[begin + 2 : self.position - 1]
            if "$((" in inner:
                self._within(inner)
        else:
            self.position += 1
            match = re.compile(_NAME).match(self.text, self.position)
            if match:
                self.position = match.end()
            elif _EXPANSION.match(self.text, self.position):
                self.position += 1
            else:
                return ""
        return self.text[begin : self.position]

    def _closing(self, position: int) -> int:
        """Behind the parenthesis that closes the one at `position`."""
        depth = 0
        for index in range(position, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[index], 0)
            if not depth:
                return index + 1
        raise AssertionError("a parenthesis is not closed")
