"""What the subcommands of one run of svccfg(8) share: the repository and the selection."""

from __future__ import annotations

import sys

from .. import fmri as fmris
from ..door import Door
from ..model import SmfError
from .lexer import Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Session:
    """A selected entity, and where messages go.

    `where` is the place in a script that messages speak of; `ended` is set by ``end``.
    """

    def __init__(self, connect: Callable[[], Door], verbose: bool) -> None:
        self._connect = connect
        self._door: Door | None = None
        self.verbose = verbose
        self.selected: str | None = None
        self.snapshot: str | None = None
        self.where = ""
        self.ended = False

    @property
    def door(self) -> Door:
        """The repository, connected when first needed: ``validate FILE`` does without."""
        if self._door is None:
            self._door = self._connect()
        return self._door

    def complain(self, message: str) -> None:
        """Messages of the XML parser stand alone, svccfg's own get its name and position."""
        sys.stdout.flush()
        for line in message.splitlines():
            located = ": parser error :" in line or ": validity error :" in line or line[0] == "\t"
            sys.stderr.write(f"{line}\n" if located else f"svccfg{self.where}: {line}\n")

    def say(self, message: str) -> None:
        """A message of -v."""
        if self.verbose:
            sys.stderr.write(f"svccfg: {message}\n")

    def target(self) -> str:
        """The selected entity."""
        if self.selected is None:
            raise SmfError("An entity is not selected.")
        return self.selected

    def instance(self) -> str:
        """The selected instance."""
        if self.selected is None or fmris.split(self.selected)[1] is None:
            raise SmfError("An instance is not selected.")
        return self.selected

    def find(self, word: str) -> list[str]:
        """Instances or services that a pattern names."""
        names = self.door.call("fmris")
        if word.startswith("svc:") and not fmris.is_glob(word):
            full = fmris.normalise(word)
            return [full] if full in names["instances"] or full in names["services"] else []
        if ":" not in word:
            # an abbreviation of a service is that service, not its only instance
            services = fmris.select(word, names["services"])
            if services:
                return services
        return fmris.select(word, names["instances"]) or fmris.select(word, names["services"])

    def select(self, word: str) -> None:
        """Select the one entity that `word` names; relative names work below the selection."""
        if word.startswith(":") and self.selected is not None:
            word = fmris.service_of(self.selected) + word
        elif self.selected is not None and fmris.split(self.selected)[1] is None:
            below = f"{self.selected}:{word}"
            if below in self.door.call("fmris")["instances"]:
                word = below
        found = self.find(word)
        if not found:
            raise SmfError(f"Pattern '{word}' doesn't match any instances or services")
        if len(found) > 1:
            lines = "".join(f"\n\t{fmri}" for fmri in found)
            raise SmfError(f"Partial FMRI '{word}' matches multiple instances:{lines}")
        self.selected, self.snapshot = found[0], None


def need(words: list[Word], low: int, high: int, usage: str) -> None:
    """Check the number of operands."""
    if not low <= len(words) <= high:
        raise SmfError(f"Syntax error.\nUsage: {usage}")
