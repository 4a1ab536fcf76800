"""Packages that are made when somebody asks for them.

Run as a program it makes the packages its arguments name in the store
LOCALDC_PACKAGES, and reports in JSON lines on stdout: `{"begin": PKGNAME}`
per download, then `{"done": true}` or `{"error": text}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from localdc.pkgsrc import catalogue, interpreter
from localdc.pkgsrc.build import Builder, BuildError
from localdc.pkgsrc.catalogue import CatalogueError, Offer
from localdc.pkgsrc.fetcher import VARIABLE
from localdc.pkgsrc.store import StoreError, locked, scratch_directory


def provide(
    root: Path,
    wanted: Iterable[str],
    say: Callable[[str], None],
    begin: Callable[[str], None] | None = None,
) -> None:
    """Make packages in the store at `root`, if they are missing.

    They are PKGNAMEs; with `TAG/` before it one is made for the machines that install from there,
    which an earlier localdc may have made.  Raises StoreError for a name the catalogue does not
    have on demand, for a TAG of another interpreter, and when a package cannot be had.
    """
    try:
        python = interpreter.chosen()
        entries, offers = catalogue.load(), catalogue.offers()
        by_name = {offer.entry.pkgname(python.digits): offer for offer in offers}
        chosen: defaultdict[str, list[Offer]] = defaultdict(list)
        for word in wanted:
            tag, _, name = word.rpartition("/")
            tag = tag or python.tag
            _check_tag(root, tag, python)
            if name not in by_name:
                raise StoreError(f"{name} is not a package that is made on demand")
            chosen[tag].append(by_name[name])
        with locked(root / "lock", say):
            for tag, packages in chosen.items():
                with scratch_directory(root / tag) as scratch:
                    builder = Builder(root / tag, scratch, python, entries, say, offers, begin)
                    builder.provide(packages)
    except (interpreter.InterpreterError, CatalogueError, BuildError) as error:
        raise StoreError(str(error)) from None
    except OSError as error:
        place = error.filename or root
        raise StoreError(f"the package store cannot be used: {place}: {error.strerror}") from None


def _check_tag(root: Path, tag: str, python: interpreter.Interpreter) -> None:
    if tag != python.tag and not (tag in python.earlier_tags and (root / tag).is_dir()):
        raise StoreError(
            f"{tag} was not made for {python.executable} ({python.release}), for which packages "
            "are made now\nThe machine is of an earlier package store, or of another Python; "
            "make it anew."
        )


def closure(names: Sequence[str]) -> list[str]:
    """The PKGNAMEs on demand that `names` stand for, with all they need from there.

    A name is a distribution, a package with or without its `py3NN-`, or a PKGNAME.
    Raises StoreError for one that the catalogue does not have.
    """
    python = _chosen()
    digits = python.digits
    offers = catalogue.offers()
    by_distribution = {offer.entry.distribution: offer for offer in offers}
    found: dict[str, Offer] = {}
    queue = [_named(name, digits, offers) for name in names]
    while queue:
        offer = queue.pop()
        if offer is None or offer.entry.pkgname(digits) in found:
            continue
        found[offer.entry.pkgname(digits)] = offer
        for distribution in catalogue.needed(offer.requires, python.markers):
            queue.append(by_distribution.get(distribution))
    return sorted(found)


def all_names() -> list[str]:
    """The PKGNAMEs of everything on demand."""
    digits = _chosen().digits
    return [offer.entry.pkgname(digits) for offer in catalogue.offers()]


def _chosen() -> interpreter.Interpreter:
    try:
        return interpreter.chosen()
    except interpreter.InterpreterError as error:
        raise StoreError(str(error)) from None


def _named(name: str, digits: str, offers: list[Offer]) -> Offer | None:
    """The offer that `name` means; None for a package that is always there."""
    for offer in offers:
        entry = offer.entry
        known = (entry.distribution, entry.name(digits), entry.pkgname(digits))
        if name in known or f"py{digits}-{name}" == entry.name(digits):
            return offer
    for entry in catalogue.load():
        if name in (entry.distribution, entry.name(digits), entry.pkgname(digits)):
            return None
    raise StoreError(f"the catalogue has no package {name} (pkgin avail in a machine lists it)")


def main() -> int:
    """The program; see the top of this module."""

    def report(**message: object) -> None:
        print(json.dumps(message), flush=True)

    try:
        provide(
            Path(os.environ[VARIABLE]),
            sys.argv[1:],
            say=lambda _: None,
            begin=lambda name: report(begin=name),
        )
    except StoreError as error:
        report(error=str(error))
        return 1
    report(done=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
