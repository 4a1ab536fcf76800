"""getopt(3C) for the SMF commands."""

from __future__ import annotations

from .usage import Usage


def parse(argv: list[str], spec: str, usage: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Options (letter, argument) in their order, and the operands; Usage(`usage`) if wrong."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(argv):
        word = argv[position]
        if word == "--":
            position += 1
            break
        if len(word) < 2 or word[0] != "-":
            break
        position += 1
        at = 1
        while at < len(word):
            letter = word[at]
            at += 1
            place = spec.find(letter)
            if place < 0 or letter == ":":
                raise Usage(usage)
            if spec[place + 1 : place + 2] != ":":
                found.append((letter, ""))
                continue
            argument = word[at:]
            if not argument:
                if position >= len(argv):
                    raise Usage(usage)
                argument = argv[position]
                position += 1
            found.append((letter, argument))
            break
    return found, argv[position:]
