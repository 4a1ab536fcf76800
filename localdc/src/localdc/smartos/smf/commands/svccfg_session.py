"""One run of svccfg(8): what its subcommands share, and those that select entities or end it."""

from __future__ import annotations

import sys

from .. import fmri as fmris
from ..door import Door
from ..model import SmfError
from .lexer import Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HELP = """\
General commands:\thelp set repository end
Manifest commands:\tinventory validate import export archive
Profile commands:\tapply extract
Entity commands:\tlist select unselect add delete
Snapshot commands:\tlistsnap selectsnap revert
Instance commands:\trefresh
Property group commands:listpg addpg delpg
Property commands:\tlistprop setprop delprop
Property value commands:addpropvalue delpropvalue setenv unsetenv"""


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


class SessionCommands:
    """``select``, ``list``, ``end`` and the like."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def do_select(self, words: list[Word]) -> None:
        """select FMRI"""
        need(words, 1, 1, "select FMRI")
        self.session.select(words[0])

    def do_unselect(self, words: list[Word]) -> None:
        """unselect"""
        need(words, 0, 0, "unselect")
        if self.session.selected is None:
            raise SmfError("Cannot unselect: nothing is selected.")
        instance = fmris.split(self.session.selected)[1] is not None
        self.session.selected = fmris.service_of(self.session.selected) if instance else None
        self.session.snapshot = None

    def do_list(self, words: list[Word]) -> None:
        """list [pattern]: services, or what is below the selected one"""
        need(words, 0, 1, "list [glob_pattern]")
        names = self.session.door.call("fmris")
        if self.session.selected is None:
            found = [fmris.split(fmri)[0] for fmri in names["services"]]
        elif fmris.split(self.session.selected)[1] is None:
            below = (n for n in names["instances"] if fmris.service_of(n) == self.session.selected)
            found = [":properties", *map(fmris.instance_name, below)]
        else:
            found = [":properties"]
        pattern = words[0] if words else "*"
        for name in found:
            if fmris.glob(name, pattern):
                sys.stdout.write(name + "\n")

    def do_end(self, _words: list[Word]) -> None:
        """end, exit, quit"""
        self.session.ended = True

    do_exit = do_quit = do_end

    def do_help(self, _words: list[Word]) -> None:
        """help"""
        sys.stdout.write(_HELP + "\n")

    def do_set(self, words: list[Word]) -> None:
        """set [-vV]"""
        for word in words:
            if word not in ("-v", "-V"):
                raise SmfError("Syntax error.\nUsage: set [-vV]")
            self.session.verbose = word == "-v"
