"""How a user and his tools reach the data center: key, agent, ssh configuration, descriptor."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from localdc import LocalDCError
from localdc.paths import StateDir, write_atomically

ACCOUNT = "localdc"
NAME = "localdc"
KEY_BITS = 2048
AGENT_SECONDS = 5.0
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
CONNECT = Path(__file__).parent / "commands" / "connect.py"


@dataclass(frozen=True, slots=True)
class AccountKeyPair:
    """The account's key: its file, its public line and its MD5 fingerprint."""

    file: Path
    public: str
    fingerprint: str


def require_program(name: str, package: str) -> str:
    """The path of a program of the host.

    Raises LocalDCError with the package to install.
    """
    path = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise LocalDCError(f"{name} is not installed. As root: apt-get install {package}")
    return path


def ensure_key(paths: StateDir) -> AccountKeyPair:
    """The account's key pair, made when missing.

    RSA in PEM form, because the oldest CloudAPI clients read nothing else.
    """
    file = paths.key
    public = file.with_name(f"{file.name}.pub")
    if not (file.exists() and public.exists()):
        file.unlink(missing_ok=True)
        program = require_program("ssh-keygen", "openssh-client")
        kind = ["-t", "rsa", "-b", str(KEY_BITS), "-m", "PEM"]
        command = [program, "-q", *kind, "-N", "", "-C", f"{ACCOUNT}@localdc", "-f", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalDCError(f"ssh-keygen cannot make {file}: {done.stderr.strip()}")
    line = public.read_text().strip()
    digest = hashlib.md5(base64.b64decode(line.split()[1]), usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
    return AccountKeyPair(file, line, fingerprint)


def write_ssh_config(paths: StateDir) -> None:
    """Write what reaches the machines: `ssh -F ssh_config ADDRESS`, and an `ssh` for PATH.

    `ssh_route` is the way alone: which key opens a machine is for the one to know who
    connects, as with a data center that is reached by a network.

    Programs that start `ssh` by name without an option for its configuration, as
    the triton command does, reach the machines through the latter; for every
    other host it is the user's ssh.
    """
    write_atomically(paths.ssh_route, "\n".join(["Host *", *_route(paths)]) + "\n")
    own = ["Host *", *_identity(paths), *_route(paths)]
    write_atomically(paths.ssh_config, "\n".join(own) + "\n")
    escaped = _condition("--knows", paths)
    fabric = _condition("--knows-fabric", paths)
    lines = [
        # The first condition spares names of hosts the second, which costs 20 ms.
        f"Match host *.*.*.* exec \"{escaped} '%h'\"",
        *_identity(paths),
        *_route(paths),
        # A fabric network is reached through a machine with a foot in it, and
        # several may have the same addresses, so a host key cannot be kept.
        f"Match host *.*.*.* exec \"{fabric} '%h'\"",
        *_identity(paths),
        "  StrictHostKeyChecking no",
        "  UserKnownHostsFile /dev/null",
        "  LogLevel ERROR",
        "Match all",
        # what ssh reads when no file is named, in that order
        "  Include ~/.ssh/config",
        "  Include /etc/ssh/ssh_config",
        # Whoever named no machine to go through is told so, and does not
        # reach a stranger with that address on the host's own network.
        f"Match host *.*.*.* exec \"{fabric} '%h'\"",
        f"  ProxyCommand {_connect_command(str(paths.control))} %h %p",
    ]
    write_atomically(paths.user_ssh_config, "\n".join(lines) + "\n")
    # The first ssh of PATH may be the one that another data center wrote.
    ssh = shutil.which("ssh", path=SYSTEM_PATH) or require_program("ssh", "openssh-client")
    command = f'exec {shlex.quote(ssh)} -F {shlex.quote(str(paths.user_ssh_config))} "$@"'
    write_atomically(paths.commands / "ssh", f"#!/bin/sh\n{command}\n", mode=0o700)


def _condition(question: str, paths: StateDir) -> str:
    command = _connect_command(question, str(paths.control))
    return command.replace("\\", "\\\\").replace('"', '\\"')


def _identity(paths: StateDir) -> list[str]:
    return [
        "  User root",
        f"  IdentityFile {_quoted(paths.key)}",
        "  IdentitiesOnly yes",
        "  PreferredAuthentications publickey",
    ]


def _route(paths: StateDir) -> list[str]:
    return [
        f"  ProxyCommand {_connect_command(str(paths.control))} %h %p",
        "  ProxyUseFdpass yes",
        "  StrictHostKeyChecking accept-new",
        f"  UserKnownHostsFile {_quoted(paths.known_hosts)}",
    ]


def _connect_command(*arguments: str) -> str:
    command = [sys.executable, "-IS", str(CONNECT), *arguments]
    return " ".join(shlex.quote(word) for word in command).replace("%", "%%")


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def forget_host_keys(paths: StateDir, addresses: set[str]) -> None:
    """Drop the host keys of `addresses`, which new machines are about to get."""
    try:
        lines = paths.known_hosts.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return
    kept = [line for line in lines if addresses.isdisjoint(line.split(" ")[0].split(","))]
    if len(kept) != len(lines):
        write_atomically(paths.known_hosts, "".join(kept))


def write_descriptor(paths: StateDir, key: AccountKeyPair, url: str, pid: int) -> None:
    """Write datacenter.json, by which clients find a running data center."""
    content = {
        "name": NAME,
        "url": url,
        "account": ACCOUNT,
        "key_id": key.fingerprint,
        "key_file": str(key.file),
        "ssh_config": str(paths.ssh_route),
        "pid": pid,
    }
    write_atomically(paths.datacenter, json.dumps(content, indent=2) + "\n")


def start_agent(paths: StateDir, key: AccountKeyPair) -> subprocess.Popen[bytes]:
    """Run an ssh-agent that holds the account's key.

    Raises LocalDCError when it does not come up.
    """
    sock = paths.agent_socket
    sock.parent.mkdir(mode=0o700, exist_ok=True)
    sock.unlink(missing_ok=True)
    program = require_program("ssh-agent", "openssh-client")
    # The agent ends with the pipe, so it cannot outlive a daemon that was killed.
    keeper = 'cat >/dev/null; kill "$SSH_AGENT_PID"'
    command = [program, "-a", str(sock), "sh", "-c", keeper]
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + AGENT_SECONDS
    while not _listens(sock):
        if agent.poll() is not None or time.monotonic() > deadline:
            stop_agent(agent)
            raise LocalDCError(f"ssh-agent does not listen on {sock}; see {paths.log}.")
        time.sleep(0.005)
    done = subprocess.run(
        [require_program("ssh-add", "openssh-client"), "-q", str(key.file)],
        env={**os.environ, "SSH_AUTH_SOCK": str(sock)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        stop_agent(agent)
        raise LocalDCError(f"ssh-add cannot add {key.file}: {done.stderr.strip()}")
    return agent


def _listens(sock: Path) -> bool:
    """Whether somebody takes connections; a socket is there a moment before anybody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(sock)) == 0


def stop_agent(agent: subprocess.Popen[bytes]) -> None:
    """End an agent that `start_agent` started."""
    assert agent.stdin is not None
    agent.stdin.close()
    try:
        agent.wait(AGENT_SECONDS)
    except subprocess.TimeoutExpired:
        agent.kill()


def ensure_admin_token(paths: StateDir) -> str:
    """The token of `/--admin`, made when missing; only the owner can read its file."""
    try:
        token = paths.admin_token.read_text().strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(24)
        write_atomically(paths.admin_token, f"{token}\n")
    return token


def remove_traces(paths: StateDir) -> None:
    """Remove the files that only make sense while the data center runs."""
    for path in (paths.datacenter, paths.control, paths.process, paths.agent_socket):
        path.unlink(missing_ok=True)
    if paths.agent_socket.parent != paths.run and paths.agent_socket.parent.exists():
        paths.agent_socket.parent.rmdir()


def environment(paths: StateDir, descriptor: dict[str, object]) -> dict[str, str]:
    """The variables that point CloudAPI clients and ssh at this data center."""
    values = {
        "URL": str(descriptor["url"]),
        "ACCOUNT": str(descriptor["account"]),
        "KEY_ID": str(descriptor["key_id"]),
    }
    variables = {
        f"{prefix}_{name}": v for prefix in ("SDC", "TRITON") for name, v in values.items()
    }
    return variables | {
        "SDC_KEY_FILE": str(descriptor["key_file"]),
        "SDC_SSH_CONFIG": str(descriptor["ssh_config"]),
        "SSH_AUTH_SOCK": str(paths.agent_socket),
        "LOCALDC_ADMIN_TOKEN_FILE": str(paths.admin_token),
    }
