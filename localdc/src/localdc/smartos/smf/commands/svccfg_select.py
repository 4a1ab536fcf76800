"""Subcommands of svccfg(8) that select entities, and those of the session itself."""

from __future__ import annotations

import sys

from .. import fmri as fmris
from ..model import SmfError
from .lexer import Word
from .svccfg_session import Session, need

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
