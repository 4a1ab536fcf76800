"""svccfg(8): import, export and edit the configuration of services."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import sys

from ..door import Door
from ..model import SmfError
from .lexer import Word, commands
from .options import parse
from .svccfg_edit import EditCommands
from .svccfg_files import FileCommands
from .svccfg_session import Session, SessionCommands
from .usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = """\
Usage:\tsvccfg [-v] [-s FMRI] [-f file]
\tsvccfg [-v] [-s FMRI] <command> [args]"""
# svccfg_main.c: subcommands of the command line are glued into a buffer of this size
_LINE_MAX = 2048
_FAILURES = (SmfError, OSError)


def main(connect: Callable[[], Door], argv: list[str]) -> int:
    """Run svccfg; returns the exit status."""
    options, words = parse(argv, "vs:f:?", USAGE)
    values = dict(options)
    if "?" in values or ("f" in values and words):
        raise Usage(USAGE)
    session = Session(connect, "v" in values)
    command = Svccfg(session)
    if "s" in values and not command.attempt(lambda: session.select(values["s"])):
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


class Svccfg:
    """Runs subcommands in a session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._parts = (SessionCommands(session), EditCommands(session), FileCommands(session))

    def script(self, text: str, name: str | None) -> int:
        """Run subcommands until one fails; `name` is the file that messages speak of."""
        try:
            for line, words in commands(text):
                self.session.where = f" ({name}, line {line})" if name is not None else ""
                if not self.attempt(lambda w=words: self.run(w)):  # type: ignore[misc]
                    return 1
                if self.session.ended:
                    break
        except SmfError as error:
            self.session.complain(str(error))
            return 1
        return 0

    def interactive(self) -> int:
        """Prompt for subcommands; errors are reported and end nothing."""
        while not self.session.ended:
            sys.stdout.write(f"{self.session.selected or 'svc:'}> ")
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
            self.session.complain(str(error))
            return False

    def run(self, words: list[Word]) -> bool | None:
        """Run one subcommand."""
        name, rest = str(words[0]), words[1:]
        for part in self._parts:
            handler = getattr(part, "do_" + name, None)
            if handler is not None:
                result: bool | None = handler(rest)
                return result
        raise SmfError(f'Unknown command "{name}".')
