"""One ssh that carries all channels of an ipyparallel client, and the file to use it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from ansible.module_utils.sdc.client import ssh

CHANNELS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")
SOCKET, LOG, LOCK = "tunnel.sock", "tunnel.log", "tunnel.lock"
ORIGIN = "tunnel"
"""Key in the connection file that says where the tunnel leads."""


class TunnelError(Exception):
    """The tunnel cannot be had; the message says why."""


class Tunnel:
    """The tunnel that belongs to one connection file.

    The directory is the working directory of all commands, because the path of a control
    socket may be no longer than about 90 bytes.
    """

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.file = Path(params["dest"]).absolute()
        self.directory = self.file.parent

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out."""
        with (self.directory / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def control(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Send a command to the ssh that holds the tunnel.

        No configuration is read: forwardings in it would be asked for, too.
        """
        host = self.params["host"] or "tunnel"
        return subprocess.run(
            ["ssh", "-F", os.devnull, "-S", SOCKET, "-O", command, *options, "--", host],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )

    def pid(self) -> int | None:
        """Process id of the ssh that holds the tunnel, if it answers."""
        if not (self.directory / SOCKET).exists():
            return None
        try:
            done = self.control("check")
        except subprocess.TimeoutExpired:
            return None
        match = re.search(r"\(pid=(\d+)\)", done.stderr + done.stdout)
        return int(match[1]) if done.returncode == 0 and match else None

    def written(self) -> dict[str, Any]:
        """The connection file as it is."""
        try:
            info = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return info if isinstance(info, dict) else {}

    def origin(self) -> dict[str, Any]:
        """Where the wanted tunnel leads."""
        connection = self.params["connection"]
        address = re.sub(r"^\w+://", "", str(connection["interface"]))
        return {
            "host": self.params["host"],
            "user": self.params["ssh_user"],
            "port": self.params["ssh_port"],
            "address": "127.0.0.1" if address in ("", "*", "0.0.0.0") else address,
            "ports": {name: int(connection[name]) for name in CHANNELS},
        }

    def content(self, ports: dict[str, int]) -> dict[str, Any]:
        """The connection file for these local ports."""
        local = {"interface": "tcp://127.0.0.1", "location": "127.0.0.1", "ssh": ""}
        return {**self.params["connection"], **local, **ports, ORIGIN: self.origin()}

    def up_to_date(self) -> bool:
        """Whether the file is right and the tunnel it describes works."""
        written = self.written()
        try:
            ports = {name: int(written[name]) for name in CHANNELS}
        except (KeyError, TypeError, ValueError):
            return False
        private = self.file.stat().st_mode & 0o077 == 0
        return (
            private
            and written == self.content(ports)
            and self.pid() is not None
            and greets(ports["registration"])
        )

    def start(self) -> int:
        """Start ssh, write the file, return the process id."""
        for attempt in range(3):
            ports = dict(zip(CHANNELS, free_ports(len(CHANNELS)), strict=True))
            problem = self._start(ports)
            if not problem:
                self._write(self.content(ports))
                pid = self.pid()
                if pid is not None and greets(ports["registration"]):
                    return pid
                said = self._complaint()
                self.stop()
                raise TunnelError(self._mute(said))
            taken = "cannot listen" in problem or "Address already in use" in problem
            if not taken or attempt == 2:
                raise TunnelError(f"ssh to {self.params['host']}: {problem}")
        raise AssertionError("unreachable")

    def _mute(self, said: str) -> str:
        """Why a tunnel that stands leads nowhere, by what ssh said meanwhile."""
        host, address = self.params["host"], self.origin()["address"]
        if "administratively prohibited" in said:
            return (
                f"sshd of {host} forwards no connections ({said}): set AllowTcpForwarding yes in "
                "/etc/ssh/sshd_config there, and run: svcadm restart ssh"
            )
        return (
            f"the tunnel stands, but nothing answers at {address}:"
            f"{self.origin()['ports']['registration']} of {host}; is the controller running there?"
            + (f" ssh said: {said}" if said else "")
        )

    def _start(self, ports: dict[str, int]) -> str:
        """Start ssh and have it forward; return why it did not work, or nothing.

        What it forwards is told to it when it runs: on its command line our forwardings could not
        be told from those of the user's own configuration, which may be taken.
        """
        problem = self._connect()
        if problem:
            return problem
        origin = self.origin()
        forwardings = []
        for name, port in ports.items():
            forwardings += ["-L", f"127.0.0.1:{port}:{origin['address']}:{origin['ports'][name]}"]
        done = self.control("forward", *forwardings)
        if done.returncode == 0:
            return ""
        said = self._complaint() or " ".join(done.stderr.split())
        self._end()
        return said

    def _connect(self) -> str:
        """Start the ssh that holds the tunnel; return why it did not work, or nothing."""
        origin, config = self.origin(), self.params["ssh_config"]
        options = [*(["-F", config] if config else []), "-S", SOCKET, "-N", "-M"]
        options += ssh.flags("ControlPersist=no", "StrictHostKeyChecking=accept-new")
        # in this order: what makes a tunnel is not for ssh_args to change
        words = f"{shlex.join(options)} {self.params['ssh_args']}"
        try:
            command = ssh.Destination(origin["host"], origin["port"], words).command(origin["user"])
        except ValueError as exc:
            raise TunnelError(f"ssh_args cannot be split into words: {exc}") from exc
        with (self.directory / LOG).open("w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.params["timeout"]
        while time.monotonic() < deadline:
            if self.pid() is not None:
                return ""
            if process.poll() is not None:
                return self._complaint() or f"it ended with status {process.returncode}"
            time.sleep(0.05)
        process.kill()
        process.wait()
        return self._complaint() or f"no tunnel within {self.params['timeout']} s"

    def _complaint(self) -> str:
        text = (self.directory / LOG).read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return "; ".join(lines[-3:])

    def stop(self) -> None:
        """End the tunnel and remove what belongs to it."""
        self._end()
        for name in (SOCKET, LOG):
            (self.directory / name).unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)

    def _end(self) -> None:
        """End the ssh that holds the tunnel, if there is one."""
        pid = self.pid()
        if pid is not None:
            self.control("exit")
            _end(pid)

    def _write(self, content: dict[str, Any]) -> None:
        new = self.file.with_name(f".{self.file.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file, indent=1)
        new.replace(self.file)


def _end(pid: int) -> None:
    """Wait until a process that was asked to end has ended, and insist if it does not."""
    for attempt in range(100):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if _has_ended(pid):
            return
        if attempt in (40, 80):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if attempt == 40 else signal.SIGKILL)
        time.sleep(0.05)


def _has_ended(pid: int) -> bool:
    """Whether no such process runs; one that its parent has not asked after does not either."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def greets(port: int, timeout: float = 10) -> bool:
    """Whether a ZeroMQ socket is at the other end: it speaks first, with the byte 0xff."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            return connection.recv(1) == b"\xff"
    except OSError:
        return False
