"""One record of what differs; it decides `changed` and is what `--diff` shows."""

from __future__ import annotations

from typing import Any

HIDDEN = "(hidden)"
HIDDEN_NEW = "(hidden, changed)"


class Differences:
    """Collects wanted changes as (thing, property, before, after)."""

    def __init__(self) -> None:
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return self.before != self.after

    def add(self, thing: str, name: str, before: Any, after: Any, *, secret: bool = False) -> bool:
        """Record one property; return whether it differs.

        With `secret` the diff shows that the property changes, never a value.
        None stands for "not there" and is left out of the diff.
        """
        if before == after:
            return False
        if secret:
            before = None if before is None else HIDDEN
            after = None if after is None else HIDDEN_NEW
        self._put(self.before, thing, name, before)
        self._put(self.after, thing, name, after)
        return True

    def add_thing(self, thing: str, before: Any, after: Any) -> None:
        """Record that a whole thing appears (before None) or goes (after None)."""
        if before is not None:
            self.before[thing] = before
        if after is not None:
            self.after[thing] = after

    def as_diff(self) -> dict[str, Any]:
        """The value of `diff` in a module's result."""
        return {"before": self.before, "after": self.after}

    @staticmethod
    def _put(side: dict[str, Any], thing: str, name: str, value: Any) -> None:
        side.setdefault(thing, {})
        if value is not None:
            side[thing][name] = value
