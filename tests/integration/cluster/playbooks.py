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

import smartdc
from smartdc.config import resolve

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
    neighbours: Neighbours | None = None

    def __init__(self, state: Path, store: str) -> None:
        self.state = state
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SDC_", "TRITON_", "ANSIBLE_", "LOCALDC_"))
        }
        self.env |= {
            "LOCALDC_DIR": str(state),
            "LOCALDC_PKGSRC": store,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def reached_with(self, **env: str) -> DataCenter:
        """The same data center, for a user whose environment has these variables besides."""
        other = DataCenter(self.state, self.env["LOCALDC_PKGSRC"])
        other.env = self.env | env
        other.neighbours = self.neighbours
        return other

    def python(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, *argv, env=self.env, check=check)

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "datacenter.json").read_text())
        return found

    def api(self) -> Any:
        """A client of CloudAPI."""
        return smartdc.DataCenter.of(resolve(env=self.env, cwd=REPOSITORY))

    def machines(self, cluster: str) -> dict[str, dict[str, Any]]:
        """CloudAPI's machines of a cluster, by name."""
        machines = self.api().list_machines(tags={"ipython_cluster": cluster})
        return {machine["name"]: machine for machine in machines}

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


class Neighbours:
    """Machines of other people in the account, with tags and names like those of a cluster.

    Whatever a test does to its cluster, nothing may happen to them.
    """

    NAMES = ("accounting-db", "game-engine", "other-controller")

    def __init__(self, data_center: DataCenter, package: str) -> None:
        self.data_center = data_center
        api = data_center.api()
        offer = {"package": package, "image": api.image("base-64-lts")["id"]}
        made = [api.create({**offer, "name": name}) for name in self.NAMES]
        self.ids = [machine["id"] for machine in made]
        eventually("the neighbours run", lambda: set(self.states()) == {"running"})
        self.inside = [self.look(ident) for ident in self.ids]
        self.cluster = ""
        self.tags: list[dict[str, str]] = [{}, {}, {}]

    def states(self) -> list[str]:
        """Their states."""
        api = self.data_center.api()
        return [api.get_machine(ident)["state"] for ident in self.ids]

    def resemble(self, cluster: str) -> None:
        """Give them tags like those of the machines of the cluster that is played with next."""
        if cluster == self.cluster:
            return
        self.check_records()
        roles = ({"cluster": cluster, "role": "db"}, {"cluster": cluster, "role": "engine"})
        likeness = {"cluster": cluster.replace("_", "-"), "role": "controller"}
        api = self.data_center.api()
        self.cluster, self.tags = cluster, [*roles, likeness]
        for ident, tags in zip(self.ids, self.tags, strict=True):
            api.set_tags(ident, tags)

    def look(self, ident: str) -> list[str]:
        """What site.yml would have changed on a machine; sorted, as svcs lists by time."""
        address = self.data_center.api().get_machine(ident)["primaryIp"]
        parts = (
            "svcs -H -o fmri",
            "ls /opt/local/libexec /opt/local/lib/svc/manifest",
            "grep -c . /etc/passwd",
            "/opt/local/sbin/pkg_info",
        )
        said = self.data_center.ssh(address, "; ".join(f"{part} 2>&1" for part in parts), False)
        assert "svc:/network/ssh:default" in said and "not found" not in said, said
        return sorted(said.splitlines())

    def remove(self) -> None:
        """Delete them."""
        api = self.data_center.api()
        for ident in self.ids:
            api.delete(ident)

    def check(self) -> None:
        """Fail when something was done to them."""
        self.check_records()
        for name, ident, inside in zip(self.NAMES, self.ids, self.inside, strict=True):
            assert (name, self.look(ident)) == (name, inside)

    def check_records(self) -> None:
        """Fail when CloudAPI knows of something that was done to them."""
        api = self.data_center.api()
        for name, ident, tags in zip(self.NAMES, self.ids, self.tags, strict=True):
            machine = api.get_machine(ident)
            found = {key: machine[key] for key in ("name", "state", "tags")}
            assert found == {"name": name, "state": "running", "tags": tags}


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
        if self.data_center.neighbours:
            self.data_center.neighbours.resemble(self.name)
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
