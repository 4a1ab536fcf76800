"""Action plugin: whether the Python of this computer and that of the machines fit together.

    - client_python:                     # before there are machines, or they are asked
        recorded: ["3.13"]               # what the cluster's machines say, if it has any
        image: base-64-lts               # else one that the package repository of this image has
        repository: https://pkgsrc.smartos.org/packages/SmartOS
      register: here
    - client_python:                     # when there are
        python: "3.13"
        ipyparallel: 9.2.0
      register: here                     # python, interpreter, matches, known_by, note

ipyparallel sends functions as code objects (ipyparallel/serialize/codeutil.py), which only the same
minor version of Python can run: another one raises SystemError or dies by SIGSEGV. With
mismatch=fail, the default, the task fails where the versions differ, and says what to do; with
search it goes on if this computer has a Python that fits, with ipyparallel, as "interpreter"; with
allow it goes on anyway.

"python" of the result is what new machines should use. It runs on the machine of the user.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import requests
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from smartdc import lookup
from smartdc.config import Settings, resolve
from smartdc.errors import ConfigError, LookupFailed, NoDataCenter, SmartDCError

OWN = "{}.{}".format(*sys.version_info)
MACHINES = "The machines run"
LIMIT = 10.0
"""Seconds for the repository: not to know beforehand is no reason to stop."""

# as in roles/pkgsrc/files/bootstrap.sh: what is best, and what pip can bring ipyparallel to
WANTED = ({"ipyparallel", "numpy"}, {"zmq", "numpy", "psutil", "pip"})
DIRECTORIES = ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin", "/usr/bin")
PROBE = """
import sys
from importlib import metadata, util
print("%d.%d" % sys.version_info[:2], util.find_spec("ipyparallel") is not None)
"""


@dataclass
class Found:
    """A Python of this computer."""

    path: str
    complete: bool
    """Whether it has ipyparallel."""


def interpreters(version: str) -> Iterator[Found]:
    """The Pythons of this computer that have this minor version."""
    name = f"python{version}"
    places = [Path(place) for place in (*os.get_exec_path(), *DIRECTORIES)]
    places += sorted(Path.cwd().glob(".venv*/bin"))
    places += sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin"))
    for place in dict.fromkeys(places):
        path = place / name
        if not os.access(path, os.X_OK):
            continue
        try:
            command = [str(path), "-c", PROBE]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        said = done.stdout.split()
        if said[:1] == [version]:
            yield Found(str(path), said[1:] == ["True"])


def release(image: dict[str, Any]) -> str | None:
    """Where below the repository the packages of an image are, `2024Q4/x86_64`.

    Images of SmartOS have the pkgsrc release in their version: 24.4.1.
    """
    version = re.fullmatch(r"(\d\d)\.([1-4])\.\d+", str(image.get("version")))
    if image.get("os") != "smartos" or "64" not in str(image.get("name")) or not version:
        return None
    return f"20{version[1]}Q{version[2]}/x86_64"


def summary(url: str) -> Iterator[str]:
    """The lines of a pkg_summary.gz.

    Raises OSError (of which requests' errors are) and zlib.error.
    """
    deadline = time.monotonic() + LIMIT
    unpack, rest = zlib.decompressobj(31), b""
    with requests.get(url, stream=True, timeout=5) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 16):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not complete after {LIMIT:.0f} s")
            *lines, rest = (rest + unpack.decompress(chunk)).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    if not unpack.eof:
        raise OSError("it ended early")


def offered(lines: Iterator[str]) -> list[str]:
    """The versions of Python that engines can run on, oldest first."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for line in lines:
        match = re.match(r"PKGNAME=py3(\d+)-(\w+)-\d", line)
        if match:
            names[match[1]].add(match[2])
    for wanted in WANTED:
        minors = [int(minor) for minor, have in names.items() if wanted <= have]
        if minors:
            return [f"3.{minor}" for minor in sorted(minors)]
    return []


def advice(versions: Collection[str], machines: bool) -> str:
    """What to do, for machines that have one of these versions, or will."""
    newest_first = list(reversed(list(versions)))
    best = next((v for v in newest_first if next(interpreters(v), None)), newest_first[0])
    there = next(interpreters(best), None)
    python = there.path if there else f"python{best}"
    where = "" if there else f", once {python} is installed here"
    controller = (
        "Or work on the controller: log in and run IPYTHONDIR=/opt/local/share/ipython "
        "/opt/local/libexec/ipyparallel/python3 -m IPython, there ipyparallel.Client("
        "profile='default'). "
        if machines
        else ""
    )
    return (
        f"Make a client side with Python {best}: make setup PYTHON={python}{where}. {controller}"
        "Or, if you send no functions and no data but use %px and execute only, or mean to work on "
        "the controller: -e python_mismatch=allow"
    )


def major(version: str) -> str:
    return version.partition(".")[0]


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(
        ("image", "repository", "recorded", "python", "ipyparallel", "mismatch")
    )
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "image": {"type": "str"},
                "repository": {"type": "str"},
                "recorded": {"type": "list", "elements": "str"},
                "python": {"type": "str"},
                "ipyparallel": {"type": "str"},
                "mismatch": {"choices": ["fail", "allow", "search"], "default": "fail"},
            },
            mutually_exclusive=[("image", "python")],
            required_one_of=[("image", "python")],
            required_together=[("image", "repository")],
        )
        self.mismatch = options["mismatch"]
        result.update(changed=False, python=OWN, interpreter=sys.executable, note="")
        if options["python"]:
            self._check_ipyparallel(options["ipyparallel"])
            found = [options["python"]]
            return {**result, **self._compare(found, MACHINES, found == [OWN])}
        if options["recorded"] is not None:
            said, source, found = MACHINES, "cluster", options["recorded"]
            matches = found == [OWN]
        else:
            said, source = f"Machines of {options['image']} can run", "repository"
            settings = self._settings()
            found = self._offered(settings, options["image"], options["repository"])
            matches = OWN in found
        if not found:
            return {**result, "matches": True, "known_by": "nobody"}
        return {**result, **self._compare(found, said, matches), "known_by": source}

    def _compare(self, versions: list[str], said: str, matches: bool) -> dict[str, Any]:
        if matches:
            return {"python": OWN, "matches": True}
        note = f"{said} Python {', '.join(versions)}, this computer {OWN}"
        change: dict[str, Any] = {"python": versions[-1], "matches": False, "note": note}
        if self.mismatch == "search":
            complete = [found.path for found in interpreters(versions[-1]) if found.complete]
            if complete:
                return {**change, "interpreter": complete[0]}
        if self.mismatch != "allow":
            raise AnsibleActionFail(
                f"{note}. ipyparallel sends functions as byte code, which another version of "
                f"Python refuses, or dies of. {advice(versions, said == MACHINES)}"
            )
        return change

    def _check_ipyparallel(self, theirs: str | None) -> None:
        try:
            own = metadata.version("ipyparallel")
        except metadata.PackageNotFoundError:
            return
        if theirs and major(theirs) != major(own) and self.mismatch != "allow":
            raise AnsibleActionFail(
                f"The machines have ipyparallel {theirs}, this computer {own}, which speak another "
                f"protocol. Install the machines' version here: pip install ipyparallel=={theirs}"
            )

    def _settings(self) -> Settings | None:
        try:
            return resolve()
        except (NoDataCenter, ConfigError):
            return None

    def _offered(self, settings: Settings | None, image: str, repository: str) -> list[str]:
        """The versions that machines of an image can have, [] when it cannot be known."""
        if settings is None:
            return []
        if settings.embedded:
            repository = f"{settings.url}/--packages/SmartOS"
        try:
            below = release(lookup.image(settings.connect().list_images(), image))
            if below is None:
                return []
            return offered(summary(f"{repository}/{below}/All/pkg_summary.gz"))
        except (LookupFailed, SmartDCError, OSError, zlib.error) as error:
            self._display.vv(f"client_python: the packages of {image} are not known: {error}")
            return []
