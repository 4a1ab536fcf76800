"""svccfg(8): import, export and edit the configuration of services."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import sys

from . import fmri as fmris
from .client import Usage
from .door import Door
from .lexer import Word, commands
from .model import SmfError
from .options import parse
from .svccfg_edit import EditCommands
from .svccfg_files import FileCommands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = """\
Usage:\tsvccfg [-v] [-s FMRI] [-f file]
\tsvccfg [-v] [-s FMRI] <command> [args]"""
# svccfg_main.c: subcommands of the command line are glued into a buffer of this size
_LINE_MAX = 2048
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
_FAILURES = (SmfError, OSError)


def main(connect: Callable[[], Door], argv: list[str]) -> int:
    """Run svccfg; returns the exit status."""
    options, words = parse(argv, "vs:f:?", USAGE)
    values = dict(options)
    if "?" in values or ("f" in values and words):
        raise Usage(USAGE)
    command = Svccfg(connect, "v" in values)
    if "s" in values and not command.attempt(lambda: command.select(values["s"])):
        return 1
    if words:
        # every word is one argument, but quotes are the lexer's, so that they must reach it
        text = " ".join(words).encode()[: _LINE_MAX - 1].decode(errors="ignore")
        return command.script(text, None)
    file = values.get("f", "-")
    if "f" not in values and sys.stdin.isatty():
        return command.interactive()
    if file == "-":
        return command.script(sys.stdin.read(), "<stdin>")
    try:
        with open(file, encoding="utf-8") as script:
            text = script.read()
    except OSError as error:
        raise SmfError(f"Could not open file {file}: {error.strerror}") from None
    return command.script(text, file)


class Svccfg(EditCommands, FileCommands):
    """One session: a selected entity, and the subcommands that act on it."""

    def __init__(self, connect: Callable[[], Door], verbose: bool) -> None:
        self._connect = connect
        self._door: Door | None = None
        self.verbose = verbose
        self.selected: str | None = None
        self.snapshot: str | None = None
        self._where = ""
        self._ended = False

    @property
    def door(self) -> Door:
        """The repository, connected when first needed: ``validate FILE`` does without."""
        if self._door is None:
            self._door = self._connect()
        return self._door

    # --- running subcommands

    def script(self, text: str, name: str | None) -> int:
        """Run subcommands until one fails; `name` is the file that messages speak of."""
        try:
            for line, words in commands(text):
                self._where = f" ({name}, line {line})" if name is not None else ""
                if not self.attempt(lambda w=words: self.run(w)):  # type: ignore[misc]
                    return 1
                if self._ended:
                    break
        except SmfError as error:
            self.complain(str(error))
            return 1
        return 0

    def interactive(self) -> int:
        """Prompt for subcommands; errors are reported and end nothing."""
        while not self._ended:
            sys.stdout.write(f"{self.selected or 'svc:'}> ")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                sys.stdout.write("\n")
                break
            self.script(line, None)
        return 0

    def attempt(self, call: Callable[[], bool | None]) -> bool:
        """Make a call; False, with the message on stderr, where it failed."""
        try:
            return call() is not False
        except _FAILURES as error:
            self.complain(str(error))
            return False

    def complain(self, message: str) -> None:
        """Messages of the XML parser stand alone, svccfg's own get its name and position."""
        sys.stdout.flush()
        for line in message.splitlines():
            located = ": parser error :" in line or ": validity error :" in line or line[0] == "\t"
            sys.stderr.write(f"{line}\n" if located else f"svccfg{self._where}: {line}\n")

    def run(self, words: list[Word]) -> bool | None:
        """Run one subcommand."""
        name, rest = str(words[0]), words[1:]
        handler = getattr(self, "do_" + name, None)
        if handler is None:
            raise SmfError(f'Unknown command "{name}".')
        result: bool | None = handler(rest)
        return result

    def say(self, message: str) -> None:
        """A message of -v."""
        if self.verbose:
            sys.stderr.write(f"svccfg: {message}\n")

    @staticmethod
    def need(words: list[Word], low: int, high: int, usage: str) -> None:
        """Check the number of operands."""
        if not low <= len(words) <= high:
            raise SmfError(f"Syntax error.\nUsage: {usage}")

    # --- selection

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

    def do_select(self, words: list[Word]) -> None:
        """select FMRI"""
        self.need(words, 1, 1, "select FMRI")
        self.select(words[0])

    def do_unselect(self, words: list[Word]) -> None:
        """unselect"""
        self.need(words, 0, 0, "unselect")
        if self.selected is None:
            raise SmfError("Cannot unselect: nothing is selected.")
        instance = fmris.split(self.selected)[1] is not None
        self.selected = fmris.service_of(self.selected) if instance else None
        self.snapshot = None

    def do_list(self, words: list[Word]) -> None:
        """list [pattern]: services, or what is below the selected one"""
        self.need(words, 0, 1, "list [glob_pattern]")
        names = self.door.call("fmris")
        if self.selected is None:
            found = [fmris.split(fmri)[0] for fmri in names["services"]]
        elif fmris.split(self.selected)[1] is None:
            below = (n for n in names["instances"] if fmris.service_of(n) == self.selected)
            found = [":properties", *map(fmris.instance_name, below)]
        else:
            found = [":properties"]
        pattern = words[0] if words else "*"
        for name in found:
            if fmris.glob(name, pattern):
                sys.stdout.write(name + "\n")

    def do_end(self, _words: list[Word]) -> None:
        """end, exit, quit"""
        self._ended = True

    do_exit = do_quit = do_end

    def do_help(self, _words: list[Word]) -> None:
        """help"""
        sys.stdout.write(_HELP + "\n")

    def do_set(self, words: list[Word]) -> None:
        """set [-vV]"""
        for word in words:
            if word not in ("-v", "-V"):
                raise SmfError("Syntax error.\nUsage: set [-vV]")
            self.verbose = word == "-v"
