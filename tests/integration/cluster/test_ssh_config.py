"""Users whose ~/.ssh/config holds, for all hosts, what they want for logins of their own.

The way to the machines is in that file, too, as for a data center of others. ssh reads it from the
home that the password database names, and not from $HOME: a command of the same name gives it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .playbooks import BIN, Cluster, run

LIMIT = 60
"""Seconds for each command; they take a few, and hung for ever."""
STRICT = "ExitOnForwardFailure yes"
NAMED = {
    "terminal": ("RequestTTY force",),
    "command": ("RemoteCommand sleep 1000",),
    "port": ("Port 2222",),
    "local port": ("LocalForward 127.0.0.1:{taken} 127.0.0.1:22", STRICT),
    "other ports": (
        "DynamicForward 127.0.0.1:{taken}",
        "RemoteForward 22 127.0.0.1:22",
        STRICT,
    ),
    "passwords": ("PreferredAuthentications password", "PubkeyAuthentication no"),
    # these never did any harm
    "other": (
        "StrictHostKeyChecking yes",
        "IdentitiesOnly yes",
        "User nobody",
        "LogLevel DEBUG3",
        "PermitLocalCommand yes",
        "LocalCommand echo hello",
        "ControlMaster auto",
        "ControlPath /none/at/all/%C",
    ),
}


class User:
    """Somebody else than who made the cluster, with nothing but settings, a key and this file."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        center = cluster.data_center
        known = center.settings
        self.home = home
        (home / ".ssh").mkdir(mode=0o700)
        shutil.copy(known["key_file"], home / ".ssh" / "triton")
        self.route = Path(known["ssh_config"]).read_text()
        ssh = shutil.which("ssh", path=center.env["PATH"])
        wrapper = home / "bin" / "ssh"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {ssh} -F {home}/.ssh/config "$@"\n')
        wrapper.chmod(0o755)
        other = center.reached_with(
            SDC_URL=known["url"],
            SDC_ACCOUNT=known["account"],
            SDC_KEY_ID=known["key_id"],
            HOME=str(home),
            PATH=f"{wrapper.parent}:{center.env['PATH']}",
        )
        # what is configured is not known for the embedded one
        del other.env["LOCALDC_DIR"]
        self.cluster = Cluster(other, cluster.name)

    def configure(self, *lines: str) -> None:
        own = "".join(f"  {line}\n" for line in lines)
        (self.home / ".ssh" / "config").write_text(f"Host *\n{own}{self.route}")

    def play(self, playbook: str, *options: str, check: bool = True) -> str:
        """What it said, within the limit."""
        client = ("-e", f"client_file={self.home}/c/ipcontroller-client.json")
        name = ("-e", f"cluster={self.cluster.name}")
        command = [str(BIN / "ansible-playbook"), playbook, *options, *client, *name]
        env = self.cluster.data_center.env
        return run(*command, env=env, check=check, timeout=LIMIT).stdout

    def ping(self) -> str:
        env = self.cluster.data_center.env
        own = f"{self.cluster.name}-*"
        return run(str(BIN / "ansible"), own, "-m", "ping", env=env, timeout=LIMIT).stdout

    def disconnect(self) -> None:
        """End the tunnel and what Ansible's connections have left in the background."""
        sockets = [self.home / "c" / "tunnel.sock", *(self.home / ".ansible/cp").glob("*")]
        for path in sockets:
            command = ["ssh", "-F", "/dev/null", "-S", str(path), "-O", "exit", "machine"]
            subprocess.run(command, capture_output=True, timeout=LIMIT, check=False)


@pytest.fixture
def user(cluster: Cluster) -> Iterator[User]:
    # sockets have short paths
    home = Path(tempfile.mkdtemp(prefix="home", dir="/tmp"))
    user = User(cluster, home)
    yield user
    user.disconnect()
    shutil.rmtree(home)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of this computer on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("kind", NAMED)
def test_a_cluster_works_all_the_same(kind: str, user: User, taken: int) -> None:
    user.configure(*(line.format(taken=taken) for line in NAMED[kind]))
    waited = user.play("site.yml", "--tags=machines")
    assert "2 engine(s)" not in waited and "failed=0" in waited, "the wait for ssh alone"
    assert user.ping().count("ping: pong") == 3
    assert "Engines ready: 0 1" in user.play("playbooks/status.yml")
    user.play("playbooks/connect.yml")
    # it leads to the controller, which an engine's answer at the end of it has proved
    assert (user.home / "c" / "ipcontroller-client.json").exists()


def test_what_cannot_work_is_said_in_time(user: User) -> None:
    """A way that leads nowhere."""
    (user.home / ".ssh" / "config").write_text("Host *\n  ProxyCommand sleep 1000\n")
    failed = user.play("site.yml", "--tags=machines", "-e", "sdc_cluster_timeout=15", check=False)
    assert "ssh does not get in" in failed and "banner exchange" in failed, failed
    # seconds of an attempt, in place of 30
    assert "not reachable by ssh" in user.play("playbooks/status.yml", "-T", "3")
    refused = user.play("playbooks/connect.yml", "-T", "3", check=False)
    assert "cannot be asked where it listens" in refused, refused
