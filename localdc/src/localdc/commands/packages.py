"""`localdc packages`: packages fetched before a machine asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from localdc import LocalDCError
from localdc.paths import StateDir
from localdc.pkgsrc import pythons
from localdc.pkgsrc.pip import PipError

Progress = Callable[[str], None]


def fetch(paths: StateDir, names: Sequence[str], everything: bool, say: Progress) -> list[str]:
    """Make packages of the catalogue; with `everything` all of them.

    Returns the PKGNAMEs.  Raises LocalDCError when one cannot be had.
    """
    from localdc.pkgsrc import demand
    from localdc.pkgsrc.store import StoreError, build_store

    pythons.use_kept(paths, say)
    try:
        build_store(paths.packages, say)
        wanted = demand.all_names() if everything else demand.closure(names)
        demand.provide(paths.packages, wanted, say, lambda name: say(f"downloading {name}"))
    except StoreError as error:
        raise LocalDCError(str(error)) from error
    return wanted


def fetch_wheels(
    paths: StateDir, requirements: Sequence[str], say: Progress, compiled: bool = False
) -> None:
    """Put wheels, with all they need, where machines' pip finds them.

    What the catalogue pins is taken in that version, unless a requirement names it.  Only with
    `compiled` those with compiled parts, which no real machine could install.
    Raises LocalDCError with pip's reason, and for what only a compiler could bring.
    """
    from localdc.pkgsrc import catalogue, interpreter, pipindex
    from localdc.pkgsrc.store import StoreError, build_store, locked, scratch_directory

    pythons.use_kept(paths, say)
    try:
        store = build_store(paths.packages, say)
        python = interpreter.chosen()
    except (StoreError, interpreter.InterpreterError) as error:
        raise LocalDCError(str(error)) from error
    entries = [*catalogue.load(), *catalogue.load(section="on_demand")]
    say(f"downloading {' '.join(requirements)}")
    with (
        locked(store.root / "lock", say),
        scratch_directory(store.offered) as scratch,
    ):
        try:
            found = pipindex.find(python, requirements, scratch, entries, compiled=compiled)
        except PipError as error:
            raise LocalDCError(str(error)) from error
        if found.impossible:
            raise LocalDCError(_impossible(found.impossible, python.digits))
        pipindex.offer(store.offered, found.wheels)
    for entry in found.packages:
        name = entry.name("NN")
        say(f"{entry.distribution} comes from pkgsrc: -e extra_packages={name}")


def _impossible(pins: Sequence[str], python: str) -> str:
    names = ", ".join(pins)
    return (
        f"The package index has {names} with compiled parts for Linux only, and pip of a machine "
        "has no compiler. See whether pkgsrc has it, under a name such as "
        f"py{python}-{pins[0].partition('==')[0]}: pkgin search in a machine; then "
        "-e extra_packages=. To have the wheels of Linux all the same, which no real machine "
        "could use: python -m localdc packages --pip --compiled"
    )
