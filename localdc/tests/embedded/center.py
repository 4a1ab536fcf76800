"""A data center under test, seen from outside: its commands, its API, its processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from smartdc import DataCenter, Machine
from smartdc.config import resolve

REPOSITORY = Path(__file__).parents[3]
SOURCES = REPOSITORY / "localdc" / "src"
DEFAULT_STORE = REPOSITORY / ".localdc" / "pkgsrc"
IMAGE = "base-64-lts"
PACKAGE = "sample-512M"
COMMAND_SECONDS = 300


@dataclass
class Center:
    """One state directory; `prefix` runs commands as another user, `python` for him."""

    state: Path
    store: Path
    prefix: Sequence[str] = ()
    python: str = sys.executable
    variables: dict[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m localdc ARGUMENTS`."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd="/",
            capture_output=True,
            text=True,
            input=stdin,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{arguments} failed:\n{done.stdout}{done.stderr}{self.log_tail()}"
            )
        return done

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *arguments: str) -> list[str]:
        return [*self.prefix, self.python, "-m", "localdc", *arguments]

    def environment(self) -> dict[str, str]:
        own = {
            "LOCALDC_DIR": str(self.state),
            "LOCALDC_PKGSRC": str(self.store),
            "PYTHONPATH": os.pathsep.join([str(SOURCES), os.environ.get("PYTHONPATH", "")]),
        }
        # nothing that somebody chose for his own data centers
        given = {name: text for name, text in os.environ.items() if name != "LOCALDC_PYTHON"}
        return {**given, **own, **self.variables}

    def log_text(self) -> str:
        try:
            return (self.state / "log/localdc.log").read_text()
        except OSError:
            return ""

    def log_tail(self) -> str:
        return "\n".join(self.log_text().splitlines()[-20:])

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("status", "--json", check=False).stdout)
        return status

    def descriptor(self) -> dict[str, Any]:
        descriptor: dict[str, Any] = json.loads((self.state / "datacenter.json").read_text())
        return descriptor

    def admin(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """An admin call; docs/admin.md."""
        token = (self.state / "admin_token").read_text().strip()
        answer = requests.post(
            f"{self.descriptor()['url']}/--admin/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def api(self, account: str | None = None) -> DataCenter:
        """As the data center's account, or as another that has the same key."""
        found = self.descriptor()
        settings = resolve(
            url=found["url"],
            account=account or found["account"],
            key_id=found["key_id"],
            key_file=found["key_file"],
            env={},
        )
        return DataCenter.of(settings)

    def create(self, *names: str, **more: Any) -> list[Machine]:
        """Create machines at once and wait until they run."""
        api = self.api()
        made = [api.create_machine(name, PACKAGE, image=IMAGE, **more) for name in names]
        for machine in made:
            machine.poll_until("running", interval=0.3, timeout=120)
            machine.refresh()
        return made

    def delete(self, *machines: Machine) -> None:
        for machine in machines:
            machine.delete()
        for machine in machines:
            machine.poll_until("deleted", interval=0.3, timeout=120)

    def ssh(self, address: str, command: str, *, check: bool = True, wait: float = 30.0) -> str:
        """Run a command in a machine by real ssh; waits for a booting sshd."""
        arguments = ["ssh", "-F", str(self.state / "ssh_config"), "-o", "BatchMode=yes"]
        deadline = time.monotonic() + wait
        while True:
            done = subprocess.run(
                [*self.prefix, *arguments, address, command],
                capture_output=True,
                text=True,
                check=False,
                timeout=COMMAND_SECONDS,
            )
            if done.returncode != 255 or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if check and done.returncode:
            raise AssertionError(f"{shlex.quote(command)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def process(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.state / "run/daemon.json").read_text())
        return found

    def namespaces(self) -> dict[str, set[int]]:
        """kind -> inodes of the namespaces of the data center and its zones, as they are now."""
        kinds = ("pid", "mnt", "net")
        own = {kind: Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in kinds}
        found: dict[str, set[int]] = {kind: set() for kind in kinds}
        for pid in descendants(self.process()["pid"]):
            for kind in kinds:
                try:
                    found[kind].add(Path(f"/proc/{pid}/ns/{kind}").stat().st_ino)
                except OSError:
                    continue
        return {kind: inodes - {own[kind]} for kind, inodes in found.items()}


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie that its parent has not collected does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def parents() -> dict[int, int]:
    """Each process's parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            found[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
    return found


def descendants(ancestor: int) -> set[int]:
    """The processes below `ancestor`, itself included."""
    tree = parents()
    found = {ancestor}
    size = 0
    while len(found) != size:
        size = len(found)
        found |= {pid for pid, parent in tree.items() if parent in found}
    return found


def cpu_seconds(pids: set[int]) -> float:
    """User and system time of these processes, ended children included."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            # it has ended, and counts for its parent
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def elsewhere(center: Center) -> set[int]:
    """The processes of other data centers that run beside this one."""
    found: set[int] = set()
    for pid in parents():
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        theirs = f"LOCALDC_DIR={center.state}".encode() not in variables
        if theirs and command[1:3] == [b"-m", b"localdc"]:
            found |= descendants(pid)
    return found


def traces(center: Center, namespaces: dict[str, set[int]]) -> list[str]:
    """What is left of a data center that had these namespaces.

    The kernel gives the inode of a namespace that ended to the next one, of
    whichever data center.
    """
    inside = []
    for entry in Path("/proc").iterdir():
        if not (entry.name.isdigit() and alive(int(entry.name))):
            continue
        for kind, inodes in namespaces.items():
            try:
                if (entry / "ns" / kind).stat().st_ino in inodes:
                    inside.append((int(entry.name), kind))
            except OSError:
                continue
    others = elsewhere(center) if inside else set()
    left = [f"process {pid} in a {kind} namespace" for pid, kind in inside if pid not in others]
    mounts = Path("/proc/self/mountinfo").read_text()
    left += [f"mount {line}" for line in mounts.splitlines() if str(center.state) in line]
    gone = ("datacenter.json", "run/control.sock", "run/daemon.json", "run/agent.sock")
    left += [name for name in gone if (center.state / name).exists()]
    links = Path("/proc/net/dev").read_text()
    left += [f"interface {name}" for name in re.findall(r"\b(br\d|z\d+|net\d):", links)]
    return left


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of `condition`, which is tried until the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            assert value, f"not true after {seconds:.0f} s"
            return value
        time.sleep(0.1)
