"""Answers without what belongs to one account: names, ids, addresses, keys, times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PATTERNS = (
    (r"(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\S+) AAAA\S+(?: [^\n\",]*)?", "key"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "id"),
    (r"\bSHA256:[A-Za-z0-9+/]{43}", "fingerprint"),
    (r"\b(?:[0-9a-f]{2}:){15}[0-9a-f]{2}\b", "fingerprint"),
    (r"(?<![0-9a-f:])(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}(?![0-9a-f:])", "mac"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "time"),
    (r"\bjoyent_\d{8}T\d{6}Z", "platform"),
    (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "email"),
    (r"\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b|255\.)(?:\d{1,3}\.){3}\d{1,3}\b", "address"),
    (r"\b(?:[0-9a-f]{1,4}:){1,7}(?::[0-9a-f]{1,4}){1,6}\b", "address"),
    (r"\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b", "address"),
)
"""Expressions, without regard to case, and what stands for their matches."""


class Blanks:
    """Replaces what must not leave the account.

    :param names: a text of this account -> the word that stands for it; longer texts first
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        known = sorted(((text, word) for text, word in names.items() if len(text) > 1), key=_length)
        own = [(rf"(?<![\w-]){re.escape(text)}(?![\w-])", word) for text, word in known]
        self._rules = [
            (re.compile(expression, re.IGNORECASE), f"<{word}>")
            for expression, word in (*own, *PATTERNS)
        ]

    def text(self, text: str) -> str:
        """The text with all of it replaced."""
        for expression, word in self._rules:
            text = expression.sub(word, text)
        return text

    def value(self, value: Any) -> Any:
        """The same in all texts of a JSON value, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _length(item: tuple[str, str]) -> tuple[int, str]:
    return -len(item[0]), item[0]
