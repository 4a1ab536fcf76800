"""What the modules that only look have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ansible.module_utils.sdc.base import SdcModule
from ansible.module_utils.sdc.client import errors, lookup

Record = dict[str, Any]


class Info(SdcModule):
    """A list of things, narrowed by name, id or pattern, and by other properties."""

    kind = ""
    """Singular; the result is called by its plural."""

    def fetch(self) -> list[Record]:
        """All of them, or those that CloudAPI has filtered."""
        raise NotImplementedError

    def named(self, things: Sequence[Record], wanted: str) -> list[Record]:
        """Those with this id or name."""
        return [thing for thing in things if wanted in (thing.get("id"), thing.get("name"))]

    def label(self, thing: Mapping[str, Any]) -> str:
        """The name that people write."""
        return str(thing.get("name"))

    def fits(self, thing: Mapping[str, Any]) -> bool:
        """Whether the other options let it pass."""
        return True

    def view(self, thing: Record) -> Record:
        """It as the result shows it."""
        return thing

    def execute(self) -> None:
        """List what was asked for."""
        things, wanted = self.fetch(), self.params["name"]
        found = things
        if wanted and re.search(r"[*?\[]", wanted):
            found = [t for t in things if fnmatchcase(self.label(t), wanted)]
        elif wanted:
            found = self.named(things, wanted)
        if wanted and not found and not self.params["missing_ok"]:
            near = lookup.near(wanted, (self.label(thing) for thing in things))
            raise errors.LookupFailed(self.kind, wanted, near)
        self.result[f"{self.kind}s"] = [self.view(thing) for thing in found if self.fits(thing)]
