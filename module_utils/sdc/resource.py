"""What the modules for one key, rule, volume, NIC or snapshot have in common."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.sdc.base import Refused, SdcModule
from ansible.module_utils.sdc.client import errors

Record = dict[str, Any]


class Resource(SdcModule):
    """Something that is there or not, and may differ from what the task wrote.

    Subclasses say how to find it and what to call; check mode, diff and prediction are here.
    `wanted()` holds only what the task wrote, under the names that CloudAPI uses.
    """

    kind = ""
    """Name of the result, and the word for it in messages."""

    def find(self) -> Record | None:
        """What is there now."""
        raise NotImplementedError

    def wanted(self) -> Record:
        """The properties that the task wrote."""
        raise NotImplementedError

    def new(self) -> Record:
        """The properties of a new one."""
        return self.wanted()

    def create(self, new: Record) -> Record:
        """Make it."""
        raise NotImplementedError

    def update(self, thing: Record, changes: Record) -> Record:
        """Change these properties."""
        raise NotImplementedError

    def delete(self, thing: Record) -> None:
        """Ask for its end, and wait for that."""
        raise NotImplementedError

    def title(self, thing: Mapping[str, Any]) -> str:
        """How a diff calls it."""
        return str(thing.get("name") or thing.get("id"))

    def same(self, name: str, before: Any, after: Any) -> bool:
        """Whether a property is as wanted."""
        return bool(before == after)

    def execute(self) -> None:
        """Find out what differs and change it."""
        thing = self.find()
        if self.params["state"] == "absent":
            self._absent(thing)
        elif thing is None:
            self._create()
        else:
            self._update(thing)

    def _absent(self, thing: Record | None) -> None:
        self.result[self.kind] = None
        if thing is None:
            return
        self.differences.add_thing(self.title(thing), thing, None)
        if not self.check_mode:
            self.remove(thing)

    def remove(self, thing: Record) -> None:
        """Delete it, unless somebody else was faster."""
        with contextlib.suppress(errors.NotFound, errors.Gone):
            self.delete(thing)

    def _create(self) -> None:
        new = self.new()
        self.differences.add_thing(self.title(new), None, new)
        self.result[self.kind] = new if self.check_mode else self.create(new)

    def _update(self, thing: Record) -> None:
        changes: Record = {}
        for name, value in self.wanted().items():
            if not self.same(name, thing.get(name), value):
                changes[name] = value
                self.differences.add(self.title(thing), name, thing.get(name), value)
        if changes:
            thing = {**thing, **changes} if self.check_mode else self.update(thing, changes)
        self.result[self.kind] = thing

    def poll(
        self,
        read: Callable[[], Record | None],
        done: Callable[[Record | None], bool],
        goal: str,
    ) -> Record | None:
        """Read until done; a state `failed` ends it at once, and the deadline with a failure."""
        timeout = self.params["wait_timeout"]
        deadline = time.monotonic() + timeout
        pause = 0.1
        while True:
            thing = read()
            if done(thing):
                return thing
            state = (thing or {}).get("state", "unknown")
            if state == "failed":
                raise Refused(f"the {self.kind} failed instead of being {goal}")
            if time.monotonic() >= deadline:
                raise Refused(f"the {self.kind} is still {state} after {timeout} s, not {goal}")
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, 3.0)
