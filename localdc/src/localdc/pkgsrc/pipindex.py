"""What pip of a machine finds: ROOT/TAG/pip, wheels without compiled parts.

The package index has no wheel with compiled parts that illumos could load, so pip takes the
source there, which machines cannot compile.  Some sources build without a compiler, and leave
out what is optional; such a wheel is made here in the same way.
"""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging import tags

from localdc.pkgsrc import catalogue
from localdc.pkgsrc.catalogue import Entry
from localdc.pkgsrc.interpreter import Interpreter
from localdc.pkgsrc.pip import OPTIONS, PipError, run

log = logging.getLogger(__name__)

DIRECTORY = "pip"
_COMPILED = (".so", ".pyd", ".dylib")
_DOWNLOAD = ("download", "--progress-bar", "off", "--only-binary", ":all:")


@dataclass(frozen=True, slots=True)
class Found:
    """What pip would bring to a machine.

    wheels: those that it could install.  packages: distributions with compiled parts that pkgsrc
    has.  impossible: `NAME==VERSION` of those that it has not.
    """

    wheels: tuple[Path, ...]
    packages: tuple[Entry, ...]
    impossible: tuple[str, ...]


def offer_plain(directory: Path) -> None:
    """Offer those of the store's wheels at `directory` that are for any platform."""
    offered = directory / DIRECTORY
    offered.mkdir(exist_ok=True)
    for wheel in (directory / "wheels").glob("*-none-any.whl"):
        if not (offered / wheel.name).exists():
            os.link(wheel, offered / wheel.name)


def offer(directory: Path, wheels: Sequence[Path]) -> None:
    """Move wheels, which are on the same file system, to where pip of a machine finds them."""
    (directory / DIRECTORY).mkdir(exist_ok=True)
    for wheel in wheels:
        wheel.replace(directory / DIRECTORY / wheel.name)


def find(
    python: Interpreter,
    requirements: Sequence[str],
    scratch: Path,
    available: Sequence[Entry],
    *,
    compiled: bool = False,
    options: Sequence[str] = (),
) -> Found:
    """Download what pip would take for `requirements` into `scratch`, for any platform if it can.

    `available` are the packages of pkgsrc, which come in these versions unless a requirement names
    them; `compiled` takes every wheel of Linux, `options` are further ones of `pip download`.
    Raises PipError.
    """
    named = {catalogue.distribution(text) for text in requirements}
    pins = [entry.pin for entry in available if entry.distribution not in named]
    constraints = scratch / "constraints.txt"
    constraints.write_text("".join(f"{pin}\n" for pin in pins))
    target = scratch / "downloaded"
    platforms = [] if compiled else ["any", *tags.platform_tags()]
    chosen = [word for platform in platforms for word in ("--platform", platform)]
    command = [*_DOWNLOAD, *chosen, *options, "--constraint", str(constraints)]
    pip = [*python.pip, *OPTIONS]
    run([*pip, *command, "--dest", str(target), *requirements])
    wheels: list[Path] = []
    packages: list[Entry] = []
    impossible: list[str] = []
    known = {entry.distribution: entry for entry in available}
    for wheel in sorted(target.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        pin = f"{catalogue.canonical(name)}=={version}"
        if compiled or _pure(wheel):
            wheels.append(wheel)
        elif catalogue.canonical(name) in known:
            packages.append(known[catalogue.canonical(name)])
        elif (other := _without_compiled(pip, pin, scratch / f"other-{name}")) is not None:
            wheels.append(other)
        else:
            impossible.append(pin)
    return Found(tuple(wheels), tuple(packages), tuple(impossible))


def _without_compiled(pip: Sequence[str], pin: str, target: Path) -> Path | None:
    """Another wheel of the same, or what pip makes of the source where there is no compiler."""
    name = pin.partition("==")[0]
    try:
        run([*pip, *_DOWNLOAD, "--no-deps", "--platform", "any", "--dest", str(target), pin])
        return next(target.glob("*.whl"))
    except PipError:
        log.debug("%s has no wheel for every platform", pin)
    # what pip built before, on this computer, may have been compiled
    command = [*pip, "wheel", "--quiet", "--no-deps", "--no-cache-dir", "--no-binary", name]
    missing = dict.fromkeys(("CC", "CXX", "CPP", "LD", "LDSHARED"), "false")
    try:
        run([*command, "--wheel-dir", str(target), pin], variables=missing)
    except PipError:
        return None
    wheel = next(target.glob("*.whl"))
    return wheel if _pure(wheel) else None


def _pure(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return not any(name.endswith(_COMPILED) for name in archive.namelist())
