"""A user's shell after `eval "$(python -m localdc env)"`, and the clients he runs in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded.center import Center

from .install import Clients

IMAGE = "base-64-lts"
PACKAGE = "sample-512M"
COMMAND_SECONDS = 120
PREPARE = 'variables=$("$0" -m localdc env) || exit 1; eval "$variables"; env -0'


@dataclass(frozen=True)
class Shell:
    """Runs clients with `environment`, which nothing but the eval has prepared."""

    environment: Mapping[str, str]
    clients: Clients
    prefix: Sequence[str] = ()

    @staticmethod
    def open(center: Center, home: Path, clients: Clients) -> Shell:
        """What a user has who logs in, runs the one line and nothing else."""
        mine = center.environment()
        bare = {
            "HOME": str(home),
            "PATH": os.pathsep.join([clients.node, "/usr/local/bin:/usr/bin:/bin"]),
            "LANG": "C.UTF-8",
            **{name: mine[name] for name in ("LOCALDC_DIR", "LOCALDC_PKGSRC", "PYTHONPATH")},
        }
        done = subprocess.run(
            [*center.prefix, "sh", "-c", PREPARE, center.python],
            env=bare, cwd="/", capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = done.stdout.rstrip("\0").split("\0")
        return Shell(dict(line.split("=", 1) for line in lines), clients, center.prefix)

    def run(
        self, *command: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *command],
            env={**self.environment, **environment},
            cwd="/",
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            # without a terminal nothing can ask questions
            start_new_session=True,
        )

    def triton(self, *arguments: str, stdin: str = "") -> str:
        """What `triton ARGUMENTS`, which must succeed, prints."""
        return self._output(self._triton(*arguments), stdin)

    def triton_json(self, *arguments: str) -> Any:
        return json.loads(self.triton(*arguments))

    def triton_fails(self, code: int, *arguments: str) -> str:
        """The message of `triton ARGUMENTS`, which must end with this exit status."""
        return self._message(code, self._triton(*arguments))

    def sdc(self, name: str, *arguments: str) -> str:
        """What `sdc-NAME ARGUMENTS`, which must succeed, prints."""
        return self._output(self._sdc(name, *arguments))

    def sdc_json(self, name: str, *arguments: str) -> Any:
        return json.loads(self.sdc(name, *arguments))

    def sdc_fails(self, code: int, name: str, *arguments: str) -> str:
        """The message of `sdc-NAME ARGUMENTS`, which must end with this exit status."""
        return self._message(code, self._sdc(name, *arguments))

    def state(self, machine: str) -> str:
        """The state of a machine that must exist."""
        found: str = self.triton_json("instance", "get", machine)["state"]
        return found

    def admin(self, call: str, body: object = None, method: str | None = None) -> None:
        """A call of the data center's own interface for tests."""
        token = Path(self.environment["LOCALDC_ADMIN_TOKEN_FILE"]).read_text().strip()
        request = urllib.request.Request(
            f"{self.environment['SDC_URL']}/--admin/{call}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=10).close()

    def _triton(self, *arguments: str) -> list[str]:
        return [str(self.clients.modules / ".bin/triton"), *arguments]

    def _sdc(self, name: str, *arguments: str) -> list[str]:
        if self.clients.no_sdc:
            pytest.skip(self.clients.no_sdc)
        # npm of today makes no links for this old package's commands
        return ["node", str(self.clients.modules / "smartdc/bin" / f"sdc-{name}"), *arguments]

    def _output(self, command: list[str], stdin: str = "") -> str:
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, f"{command[0]} {command[1:]}: {done.stdout}{done.stderr}"
        return done.stdout

    def _message(self, code: int, command: list[str]) -> str:
        done = self.run(*command)
        assert done.returncode == code, f"{command[1:]}: {done.returncode} {done.stdout}"
        assert "    at " not in done.stderr, f"{command[1:]} crashed: {done.stderr}"
        return done.stderr


def created_id(output: str) -> str:
    """The id in what `triton create` prints."""
    found = re.search(r"Creating instance \S+ \(([0-9a-f-]{36})", output)
    assert found, output
    return found[1]


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not true after {seconds:.0f} s"
        time.sleep(0.3)
    return value
