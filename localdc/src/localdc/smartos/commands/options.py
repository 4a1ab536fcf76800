"""Command lines as getopt(3C) of illumos takes them, which stops at the first operand."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class UsageError(Exception):
    """Wrong usage; the text is the message."""


def parse(words: Sequence[str], known: str) -> tuple[list[tuple[str, str | None]], int]:
    """The options with their arguments, and how many words they are.

    `known`: `x:` has an argument, `x::` one that may follow at once.  A `--` counts as one of the
    words.  Raises UsageError for an option that is not known, or lacks its argument.
    """
    found: list[tuple[str, str | None]] = []
    count = 0
    while count < len(words) and words[count].startswith("-") and words[count] != "-":
        word = words[count]
        count += 1
        if word == "--":
            break
        if word.startswith("--"):
            raise UsageError(f"illegal option -- {word[2:]}")
        rest = word[1:]
        while rest:
            letter, rest = rest[0], rest[1:]
            _, has, after = known.partition(letter)
            if not has or letter == ":":
                raise UsageError(f"illegal option -- {letter}")
            if not after.startswith(":"):
                found.append((letter, None))
                continue
            if not rest and not after.startswith("::"):
                if count == len(words):
                    raise UsageError(f"option requires an argument -- {letter}")
                rest = words[count]
                count += 1
            found.append((letter, rest))
            rest = ""
    return found, count


def refuse(program: str, error: UsageError, usage: str) -> None:
    """Say what is wrong, and the usage."""
    print(f"{program}: {error}\nusage: {program} {usage}", file=sys.stderr)
