"""Subcommands of svccfg(8) that read and write files: import, validate, export, apply …"""

# ruff: noqa: PTH110, PTH112, PTH118, PTH123 (pathlib costs start-up time)
from __future__ import annotations

import os
import sys

from .. import fmri as fmris
from ..model import SmfError
from .lexer import Word
from .svccfg_session import Session, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FileCommands:
    """Manifests, profiles and archives."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def _load(self, path: str, validate: bool = True) -> Any:
        from ..bundle.manifest import load

        try:
            return load(path, validate)
        except OSError as error:
            raise SmfError(
                f"Could not open {path}: {error.strerror}\ncouldn't parse document"
            ) from None

    def do_import(self, words: list[Word]) -> bool:
        """import [-V] FILE…: manifests and profiles"""
        files = [str(word) for word in words if word != "-V"]
        strict = len(files) < len(words)
        if not files:
            raise SmfError("Syntax error.\nUsage: import [-V] file ...")
        good = True
        for file in self._expand(files):
            try:
                self._import(file, strict)
            except SmfError as error:
                # with one file this is the message, with several the others still get their turn
                self.session.complain(str(error))
                good = False
        return good

    @staticmethod
    def _expand(files: list[str]) -> list[str]:
        found = []
        for file in files:
            if os.path.isdir(file):
                walked = (
                    os.path.join(d, name) for d, _dirs, names in os.walk(file) for name in names
                )
                found += sorted(path for path in walked if path.endswith(".xml"))
            else:
                found.append(file)
        return found

    def _check(self, bundle: Any, fatal: bool) -> None:
        """Template validation: what it finds is a warning for import, unless -V is given."""
        from ..bundle.validation import problems

        found = problems(bundle)
        if found and fatal:
            raise SmfError("\n".join([*found, "Validation failed."]))
        for text in found:
            self.session.complain(text)

    def _import(self, file: str, strict: bool) -> None:
        bundle = self._load(file)
        if bundle["type"] == "profile":
            raise SmfError(f'"{file}" is a profile: use "svccfg apply".')
        self._check(bundle, strict)
        answer = self.session.door.call("import", bundle=bundle)
        for message in answer["messages"]:
            self.session.complain(message)
        for fmri in answer["created"]:
            self.session.say(f'Taking "initial" snapshot for {fmri}.')
        for fmri in answer["refreshed"]:
            self.session.say(f'Taking "last-import" snapshot for {fmri}.')
            self.session.say(f"Refreshed {fmri}.")
        self.session.say("Successful import.")

    def do_apply(self, words: list[Word]) -> None:
        """apply [-n] PROFILE"""
        dry = bool(words) and words[0] == "-n"
        words = words[1:] if dry else words
        need(words, 1, 1, "apply [-n] file")
        bundle = self._load(str(words[0]), validate=False)
        if bundle["type"] != "profile":
            raise SmfError(f'"{words[0]}" is a {bundle["type"]}, not a profile.')
        if not dry:
            self.session.door.call("import", bundle=bundle)

    def do_validate(self, words: list[Word]) -> None:
        """validate FILE|FMRI"""
        need(words, 0, 1, "validate {file | fmri}")
        if not words:
            if self.session.selected is None:
                raise SmfError("An instance is not selected.")
            return
        if os.path.exists(words[0]) or "." in words[0]:
            self._check(self._load(str(words[0])), True)
            return
        if not self.session.find(str(words[0])):
            raise SmfError(f'File "{words[0]}" does not exist, and no instance has that name.')

    def do_inventory(self, words: list[Word]) -> None:
        """inventory FILE: the FMRIs in a manifest, instances before their service"""
        need(words, 1, 1, "inventory file")
        for service in self._load(str(words[0]))["services"]:
            fmri = fmris.SCHEME + service["name"]
            for instance in service["instances"]:
                sys.stdout.write(f"{fmri}:{instance['name']}\n")
            sys.stdout.write(f"{fmri}\n")

    def do_export(self, words: list[Word]) -> None:
        """export [-a] SERVICE [> FILE]"""
        from .export import document

        everything = bool(words) and words[0] == "-a"
        words = words[1:] if everything else words
        need(words, 1, 3, "export [-a] FMRI [> file]")
        found = self.session.find(str(words[0]))
        services = [fmri for fmri in found if fmris.split(fmri)[1] is None]
        if len(services) != 1:
            if found:
                raise SmfError(f'"{words[0]}" does not specify a service.')
            raise SmfError(f"Pattern '{words[0]}' doesn't match any instances or services")
        self._write(document(self.session.door, services, "manifest", everything), words[1:])

    def do_archive(self, words: list[Word]) -> None:
        """archive [-a] [> FILE]: all services"""
        from .export import document

        everything = bool(words) and words[0] == "-a"
        words = words[1:] if everything else words
        services = self.session.door.call("fmris")["services"]
        self._write(document(self.session.door, services, "archive", everything), words)

    def do_extract(self, words: list[Word]) -> None:
        """extract [> FILE]: a profile of what is enabled"""
        from .export import profile

        self._write(profile(self.session.door), words)

    @staticmethod
    def _write(text: str, words: list[Word]) -> None:
        if not words:
            sys.stdout.write(text)
        elif len(words) == 2 and words[0].mark and words[0] == ">":
            with open(words[1], "w", encoding="utf-8") as file:
                file.write(text)
        else:
            raise SmfError("Syntax error: only > FILE may follow.")

    def do_restore(self, words: list[Word]) -> None:
        """restore FILE: import an archive"""
        need(words, 1, 1, "restore file")
        bundle = self._load(str(words[0]))
        if bundle["type"] != "archive":
            raise SmfError(f'"{words[0]}" is not an archive.')
        self.session.door.call("import", bundle=bundle)
