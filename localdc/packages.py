"""`localdc packages`: packages fetched before a machine asks for them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from localdc.errors import LocalDCError
from localdc.paths import StateDir

Progress = Callable[[str], None]


def fetch(paths: StateDir, names: Sequence[str], everything: bool, say: Progress) -> list[str]:
    """Make packages of the catalogue; with `everything` all of them.

    Returns the PKGNAMEs.  Raises LocalDCError when one cannot be had.
    """
    from localdc.pkgsrc import demand
    from localdc.pkgsrc.store import StoreError, build_store

    try:
        build_store(paths.packages, say)
        wanted = demand.all_names() if everything else demand.closure(names)
        demand.provide(paths.packages, wanted, say, lambda name: say(f"downloading {name}"))
    except StoreError as error:
        raise LocalDCError(str(error)) from error
    return wanted


def fetch_wheels(paths: StateDir, requirements: Sequence[str], say: Progress) -> None:
    """Have pip put wheels, with all they need, where machines' pip finds them.

    What the catalogue pins is taken in that version, unless a requirement names it.
    Raises LocalDCError with pip's reason.
    """
    from localdc.pkgsrc import catalogue, interpreter
    from localdc.pkgsrc.store import StoreError, build_store

    try:
        store = build_store(paths.packages, say)
    except StoreError as error:
        raise LocalDCError(str(error)) from error
    entries = [*catalogue.load(), *catalogue.load(section="on_demand")]
    named = {catalogue.distribution(text) for text in requirements}
    constraints = store.offered / "constraints.txt"
    pins = [entry.pin for entry in entries if entry.distribution not in named]
    constraints.write_text("".join(f"{pin}\n" for pin in pins))
    command = [*interpreter.chosen().pip, "download", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:"]
    command += ["--constraint", str(constraints), "--dest", str(store.offered / "wheels")]
    say(f"downloading {' '.join(requirements)}")
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        reasons = [line for line in lines if line.startswith("ERROR")] or lines[-5:]
        raise LocalDCError("pip could not download:\n  " + "\n  ".join(reasons))
