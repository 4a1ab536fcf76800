"""What a user does on the command line, for the tests: playbooks, ssh, CloudAPI, a client."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ipyparallel as ipp

REPOSITORY = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
T = TypeVar("T")


class CommandFailed(AssertionError):
    """A command of the test ended with another code than 0; the message has its output."""


def run(
    *argv: str, env: dict[str, str], check: bool = True, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        argv,
        env=env,
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        raise CommandFailed(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}")
    return done


def eventually(what: str, probe: Callable[[], T | None], timeout: float = 90) -> T:
    """Poll `probe` until it gives something; errors of `probe` count as nothing."""
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = probe()
            if found:
                return found
            last = found
        except Exception as error:
            last = error
        time.sleep(0.3)
    raise AssertionError(f"not within {timeout:g} s: {what} (last: {last!r})")


class DataCenter:
    def __init__(self, state: Path, store: str) -> None:
        self.state = state
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SDC_", "TRITON_", "ANSIBLE_"))
        }
        self.env |= {
            "LOCALDC_DIR": str(state),
            "LOCALDC_PKGSRC": store,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def python(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, *argv, env=self.env, check=check)

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "datacenter.json").read_text())
        return found

    def machines(self, cluster: str) -> dict[str, dict[str, Any]]:
        """CloudAPI's machines of a cluster, by name."""
        from smartdc.config import resolve

        connection = resolve(env=self.env, cwd=REPOSITORY).connect()
        return {
            machine["name"]: machine
            for machine in connection.list_machines(tags={"cluster": cluster})
        }

    def admin(self, call: str, body: object, method: str = "POST") -> None:
        """A call of the data center's own interface for tests."""
        request = urllib.request.Request(
            f"{self.settings['url']}/--admin/{call}",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {(self.state / 'admin_token').read_text().strip()}",
                "Content-Type": "application/json",
            },
            method=method,
        )
        urllib.request.urlopen(request, timeout=10).close()

    def ssh(self, address: str, command: str, check: bool = True) -> str:
        options = ["-oLogLevel=ERROR", "-F", str(self.state / "ssh_config")]
        return run("ssh", *options, address, command, env=self.env, check=check).stdout


@dataclass(frozen=True)
class Recap:
    """The PLAY RECAP of a run: counters by host."""

    output: str
    code: int
    seconds: float

    def total(self, counter: str) -> int:
        return sum(int(found) for found in re.findall(rf"\b{counter}=(\d+)", self.output))


class Cluster:
    def __init__(self, data_center: DataCenter, name: str) -> None:
        self.data_center = data_center
        self.name = name
        self.directory = REPOSITORY / ".cluster" / name

    def play(self, playbook: str, *options: str, check: bool = True, **variables: object) -> Recap:
        extra = json.dumps({"cluster": self.name, **variables})
        begin = time.monotonic()
        done = run(
            str(BIN / "ansible-playbook"),
            playbook,
            "-e",
            extra,
            *options,
            env=self.data_center.env,
            check=check,
        )
        return Recap(done.stdout, done.returncode, time.monotonic() - begin)

    @property
    def machines(self) -> dict[str, dict[str, Any]]:
        return self.data_center.machines(self.name)

    def address(self, role: str) -> str:
        """Primary address of the first machine that has the role."""
        machines = sorted(
            (m["name"], m["primaryIp"]) for m in self.machines.values() if m["tags"]["role"] == role
        )
        return str(machines[0][1])

    def ssh(self, role: str, command: str, check: bool = True) -> str:
        return self.data_center.ssh(self.address(role), command, check)

    def client(self) -> ipp.Client:
        return ipp.Client(str(self.directory / "ipcontroller-client.json"), timeout=30)
