"""The launcher: a small single-threaded process that forks the zones.

The daemon has threads, so forking from it could inherit a held lock.  The
launcher is forked from it before the first thread exists, gets requests over a
SOCK_SEQPACKET pair, and is the parent (subreaper) of every zone's pid 1.

Requests: `{"op": "launch", "id": N, ...Launch}` with the network namespace as
descriptor; `{"op": "signal", "zone": UUID, "signal": N}`.
Messages: `{"id": N, "pid": P}` or `{"id": N, "error": text}` once per launch,
`{"exit": UUID, "status": wait status}` once per zone that ran.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localdc.zones import container
from localdc.zones import syscalls as sc

MAX_MESSAGE = 1 << 17


@dataclass(slots=True)
class _Pending:
    """A launch whose child has not reached exec yet."""

    request: int
    zone: str
    text: bytes = b""


@dataclass(slots=True)
class _Launcher:
    channel: socket.socket
    wakeup: socket.socket
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    pending: dict[int, _Pending] = field(default_factory=dict)
    zones: dict[int, str] = field(default_factory=dict)
    stages: set[int] = field(default_factory=set)
    early: dict[int, int] = field(default_factory=dict)

    def loop(self) -> None:
        self.selector.register(self.channel, selectors.EVENT_READ)
        self.selector.register(self.wakeup, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.channel:
                    if not self.handle_request():
                        return
                elif key.fileobj is self.wakeup:
                    self.wakeup.recv(4096)
                    self.reap()
                else:
                    self.read_report(key.fd)

    def handle_request(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self.channel, MAX_MESSAGE, 1)
        if not data:
            return False
        message = json.loads(data)
        try:
            if message["op"] == "launch":
                self.launch(message, descriptors)
            else:
                self.send_signal(message["zone"], message["signal"])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def launch(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Begin a launch; what the kernel refuses here fails this one, not the data center."""
        launch = container.Launch.from_json(message)
        if not descriptors:
            # lost on the way when too many are open; never start a zone outside its network
            self.send({"id": message["id"], "error": "the network namespace did not arrive"})
            return
        ends: tuple[int, ...] = ()
        try:
            report, report_end = ends = os.pipe()
            stage = os.fork()
        except OSError as error:
            for end in ends:
                os.close(end)
            self.send({"id": message["id"], "error": f"fork a process: {error.strerror}"})
            return
        if stage == 0:
            container.run(launch, descriptors[0], report_end)
        os.close(report_end)
        self.stages.add(stage)
        self.pending[report] = _Pending(message["id"], launch.zone)
        self.selector.register(report, selectors.EVENT_READ)

    def read_report(self, report: int) -> None:
        pending = self.pending[report]
        chunk = os.read(report, 4096)
        if chunk:
            pending.text += chunk
            return
        self.selector.unregister(report)
        os.close(report)
        del self.pending[report]
        facts: dict[str, Any] = {}
        for line in pending.text.splitlines():
            facts.update(json.loads(line))
        pid = facts.get("pid")
        if "error" in facts or pid is None:
            error = facts.get("error", "the child ended before it said why")
            self.send({"id": pending.request, "error": error})
        else:
            self.zones[pid] = pending.zone
            self.send({"id": pending.request, "pid": pid})
            if pid in self.early:
                self.report_exit(pid, self.early.pop(pid))
        if not self.pending:
            self.early.clear()

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.stages:
                self.stages.remove(pid)
            elif pid in self.zones:
                self.report_exit(pid, status)
            elif self.pending:
                self.early[pid] = status

    def report_exit(self, pid: int, status: int) -> None:
        self.send({"exit": self.zones.pop(pid), "pid": pid, "status": status})

    def send_signal(self, zone: str, number: int) -> None:
        for pid, name in self.zones.items():
            if name == zone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def send(self, message: dict[str, Any]) -> None:
        self.channel.send(json.dumps(message).encode())


def fork_launcher() -> tuple[int, socket.socket]:
    """Fork the launcher; return its pid and the daemon's end of the channel.

    Must be called while the process has one thread.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        far.close()
        return pid, near
    try:
        near.close()
        _serve(far)
    except BaseException:
        import traceback

        traceback.print_exc()
    os._exit(0)


def _serve(channel: socket.socket) -> None:
    sc.prctl(sc.PR_SET_NAME, b"localdc-launch", "set the process name")
    sc.prctl(sc.PR_SET_CHILD_SUBREAPER, 1, "become subreaper")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    keep = {0, 1, 2, channel.fileno()}
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(entry.name))
    read_end, write_end = socket.socketpair()
    write_end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write_end.fileno())
    # Pages that the collector does not touch stay shared with every child.
    gc.freeze()
    gc.disable()
    _Launcher(channel, read_end).loop()
