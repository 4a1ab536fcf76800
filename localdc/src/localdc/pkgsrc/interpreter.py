"""The package `python3NN`, copied from an interpreter of this computer.

It is the one that runs localdc, or the one that LOCALDC_PYTHON names.

CPython finds its standard library by walking up from the real path of its
executable (Modules/getpath.py in its sources), so a copy of the executable
and of `lib/python3.NN` works anywhere, provided that shared libraries from
outside the system's directories come along.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localdc.pkgsrc import describe

VARIABLE = "LOCALDC_PYTHON"
OLDEST = (3, 11)

RECIPE = 3
"""Raised when packages come out differently from the same input."""

_SYSTEM_LIBRARIES = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/lib32/", "/usr/lib32/")
_LEFT_OUT = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "idlelib",
        "site-packages",
        "test",
        "tests",
        "tkinter",
        "turtledemo",
        "turtle.py",
        # belongs to the host's package manager, which has no say in /opt/local
        "EXTERNALLY-MANAGED",
        "sitecustomize.py",
    }
)

# Present or not as the data center wants it: localdc.image.layer puts it below /usr.
_SITECUSTOMIZE = "/usr/lib/localdc/lib/smartos/python"

# Debian's site.py looks for dist-packages only, except in a venv.
_DEBIAN_PTH = "import site; site.addsitedir({site!r})\n"


class InterpreterError(Exception):
    """The interpreter cannot be made into a package."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An installed CPython: `release` is `3.11.7`, `build` what it says of itself."""

    executable: Path
    stdlib: Path
    dynload: Path
    platlibdir: str
    release: str
    build: str
    abi: str

    @property
    def version(self) -> str:
        """`3.11`."""
        return ".".join(self.release.split(".")[:2])

    @property
    def digits(self) -> str:
        """`311`, as it stands in package names."""
        return self.version.replace(".", "")

    @property
    def pkgname(self) -> str:
        """`python311-3.11.7`."""
        return f"python{self.digits}-{self.release}"

    @property
    def tag(self) -> str:
        """Names this very interpreter: packages built for another are not for it."""
        return self._tag(RECIPE)

    @property
    def earlier_tags(self) -> list[str]:
        """What `tag` was before packages came out as they do now."""
        return [self._tag(recipe) for recipe in range(1, RECIPE)]

    def _tag(self, recipe: int) -> str:
        identity = f"{recipe} {self.build} {self.executable} {self.abi}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return f"cp{self.digits}-{platform.machine()}-{digest}"

    @property
    def markers(self) -> dict[str, str]:
        """What requirements may depend on, where it is not as with the running interpreter."""
        return {"python_version": self.version, "python_full_version": self.release}

    @property
    def pip(self) -> list[str]:
        """The running interpreter's pip, working for this one."""
        own = self.version == "{}.{}".format(*sys.version_info)
        return [sys.executable, "-m", "pip", *([] if own else ["--python", str(self.executable)])]


def current() -> Interpreter:
    """The interpreter that runs localdc.

    Raises InterpreterError when its parts are not where CPython keeps them.
    """
    return _from(describe.describe())


def chosen() -> Interpreter:
    """The interpreter that packages are made for: LOCALDC_PYTHON, else the running one.

    Raises InterpreterError when there is no such interpreter, or it is too old.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return current()
    try:
        # isolated, because describe.py lies among modules that shadow others
        done = subprocess.run(
            [wanted, "-I", describe.__file__],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        found = _from(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InterpreterError(f"{VARIABLE}={wanted} is no Python that runs: {error}") from None
    if tuple(int(part) for part in found.version.split(".")) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InterpreterError(
            f"{VARIABLE}={wanted} is {found.release}; {oldest} or newer is needed"
        )
    return found


def _from(facts: Mapping[str, str]) -> Interpreter:
    version = "python" + ".".join(facts["release"].split(".")[:2])
    executable = Path(facts["base_prefix"], "bin", version).resolve()
    stdlib = Path(facts["stdlib"])
    dynload = Path(facts["base_exec_prefix"], facts["platlibdir"], version, "lib-dynload")
    for path in (executable, stdlib / "os.py", dynload):
        if not path.exists():
            raise InterpreterError(f"{path} is missing; run localdc with an installed CPython")
    named = {name: facts[name] for name in ("platlibdir", "release", "build", "abi")}
    return Interpreter(executable, stdlib, dynload, **named)


def copy(interpreter: Interpreter, tree: Path) -> list[str]:
    """Copy the interpreter below `tree`, a package root that stands for /opt/local.

    Returns the paths, relative to the root, that an installation must copy
    instead of link: those that find other files from their own real path.
    """
    name = f"python{interpreter.version}"
    executable = tree / "bin" / name
    executable.parent.mkdir(parents=True)
    shutil.copy(interpreter.executable, executable)
    executable.chmod(0o755)
    library = tree / interpreter.platlibdir / name
    shutil.copytree(interpreter.stdlib, library, symlinks=False, ignore=_unwanted)
    if not (library / "lib-dynload").is_dir():
        shutil.copytree(interpreter.dynload, library / "lib-dynload", ignore=_unwanted)
    for path in _private_libraries(interpreter):
        target = tree / interpreter.platlibdir / path.name
        shutil.copy(path, target)
    _link_sitecustomize(library, f"cpython-{interpreter.digits}.pyc")
    # the library is one link in a zone, but packages go below it: see smartos/pkgsrc/linker.py
    (library / "site-packages").symlink_to(f"/opt/local/{library.relative_to(tree)}-site")
    if "dist-packages" in (interpreter.stdlib / "site.py").read_text():
        directory = library / "dist-packages"
        directory.mkdir()
        site = f"/opt/local/{interpreter.platlibdir}/{name}/site-packages"
        (directory / "pkgsrc.pth").write_text(_DEBIAN_PTH.format(site=site))
    return [str(executable.relative_to(tree))]


def _link_sitecustomize(library: Path, suffix: str) -> None:
    for name in ("sitecustomize.py", f"__pycache__/sitecustomize.{suffix}"):
        link = library / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(f"{_SITECUSTOMIZE}/{name}")


def _unwanted(directory: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if name in _LEFT_OUT
        or name.startswith(("config-", "_tkinter."))
        or not (Path(directory) / name).exists()
    }


def _private_libraries(interpreter: Interpreter) -> Iterator[Path]:
    """Shared libraries that the interpreter needs from outside the system's directories."""
    modules = [str(path) for path in interpreter.dynload.glob("*.so")]
    result = subprocess.run(
        ["ldd", str(interpreter.executable), *modules],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    found = set(re.findall(r"=> (/\S+) \(0x", result.stdout))
    for path in sorted(found):
        if not path.startswith(_SYSTEM_LIBRARIES):
            yield Path(path)
