"""What has been found out about one thing, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from ..errors import RequestError

T = TypeVar("T")
State = Literal["ok", "note", "problem", "not known"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    state: with a ``problem`` a run would fail; a ``note`` is worth reading
    """

    topic: str
    state: State
    says: str


def asked(topic: str, question: Callable[[], T]) -> T | Finding:
    """The answer to a question to the data center, or the problem that it cannot be asked."""
    try:
        return question()
    except RequestError as error:
        return Finding(topic, "problem", str(error))
