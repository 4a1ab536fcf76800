"""Starting a process as pid 1 of a data center's own namespaces.

Everything the data center has (processes, mounts, network) lives in the
namespaces entered here, so the kernel removes all of it when that process
ends, however it ends.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from localdc import LocalDCError
from localdc.zones import syscalls as sc

HIGHEST_ID = 65535


class IsolationError(LocalDCError):
    """The kernel, the container or the set-up of the host forbids a namespace."""


@dataclass(frozen=True, slots=True)
class SubIds:
    """The first id and the count of a user's subordinate ids, subuid(5)."""

    uid: int
    uid_count: int
    gid: int
    gid_count: int


class Report(Protocol):
    """Sends one message from the child to the process that forked it."""

    def __call__(self, **message: object) -> None: ...


def subordinate_ids() -> SubIds | None:
    """The ids that newuidmap may map for this user; None when running as root.

    Raises IsolationError when the user has none.
    """
    if os.geteuid() == 0:
        return None
    uid, uids = _subordinate_range("/etc/subuid")
    gid, gids = _subordinate_range("/etc/subgid")
    return SubIds(uid, uids, gid, gids)


def user_name() -> str:
    """The name of the effective user, or its number as text."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _subordinate_range(path: str) -> tuple[int, int]:
    names = {user_name(), str(os.geteuid())}
    ranges: list[tuple[int, int]] = []
    try:
        for line in Path(path).read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in names:
                start, count = rest.split(":")
                ranges.append((int(count), int(start)))
    except (OSError, ValueError) as error:
        raise IsolationError(f"Cannot read {path}: {error}.") from error
    if not ranges or max(ranges)[0] < HIGHEST_ID:
        option = "--add-subuids" if path.endswith("subuid") else "--add-subgids"
        raise IsolationError(
            f"{path} gives {user_name()} fewer than {HIGHEST_ID} ids, which zones need for their "
            f"users. As root: usermod {option} 1000000-1065535 {user_name()}"
        )
    most, first = max(ranges)
    return first, most


def spawn(
    command: Sequence[str],
    env: Mapping[str, str],
    descriptors: Sequence[int],
    log: Path,
) -> int:
    """Run `command` as pid 1 of new namespaces and return its pid on this side.

    The command inherits `descriptors`, writes to `log`, and finds its outer
    pid in the environment as LOCALDC_PID.  As root the user namespace stays;
    otherwise a new one maps the user to root and its subordinate ids to 1-65535.
    Raises IsolationError with the step that failed.
    """

    def body(report: Report) -> None:
        _detach(log)
        _isolate(command, env, descriptors, report)

    for message in run_as_mapped_root(body):
        if "pid" in message:
            return int(message["pid"])
    raise IsolationError("The data center's first process ended before it ran.")


def run_as_mapped_root(body: Callable[[Report], None]) -> list[dict[str, Any]]:
    """Run `body` in a child process that is root, if need be of a new user namespace.

    Returns what `body` reported.  Raises IsolationError for what it raised,
    and when there can be no user namespace.
    """
    ids = subordinate_ids()
    report, report_end = os.pipe()
    mapped_end, mapped = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(report)
        os.close(mapped)
        _run_child(body, None if ids is None else mapped_end, report_end)
    os.close(report_end)
    os.close(mapped_end)
    with os.fdopen(report) as messages, os.fdopen(mapped, "w") as go:
        try:
            return list(_follow(messages, go, ids, child))
        finally:
            go.close()
            os.waitpid(child, 0)


def _run_child(body: Callable[[Report], None], mapped: int | None, pipe: int) -> None:
    def report(**message: object) -> None:
        os.write(pipe, json.dumps(message).encode() + b"\n")

    try:
        if mapped is not None:
            sc.unshare(sc.CLONE_NEWUSER, "create a user namespace")
            report(step="user namespace")
            if not os.read(mapped, 1):
                os._exit(1)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        body(report)
        os._exit(0)
    except OSError as error:
        report(error=f"Cannot {error.filename or 'isolate the data center'}: {error.strerror}.")
    except BaseException as error:
        report(error=f"Cannot isolate the data center: {error!r}.")
    os._exit(1)


def _follow(
    messages: TextIO, go: TextIO, ids: SubIds | None, child: int
) -> Iterator[dict[str, Any]]:
    for line in messages:
        message = json.loads(line)
        if "error" in message:
            raise IsolationError(message["error"])
        if message.get("step") == "user namespace" and ids is not None:
            _write_id_maps(child, ids)
            go.write("go")
            go.close()
        else:
            yield message


def _write_id_maps(pid: int, ids: SubIds) -> None:
    maps = (
        ("newuidmap", os.geteuid(), ids.uid, ids.uid_count),
        ("newgidmap", os.getegid(), ids.gid, ids.gid_count),
    )
    for program, own, first, count in maps:
        arguments = [program, str(pid), "0", str(own), "1", "1", str(first)]
        arguments.append(str(min(count, HIGHEST_ID)))
        try:
            done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise IsolationError(
                f"{program} is not installed. As root: apt-get install uidmap"
            ) from error
        if done.returncode:
            raise IsolationError(f"{program} failed: {done.stderr.strip()}")


def _isolate(
    command: Sequence[str], env: Mapping[str, str], descriptors: Sequence[int], report: Report
) -> None:
    """Enter the namespaces and start pid 1."""
    for flag, name in (
        (sc.CLONE_NEWNS, "mount"),
        (sc.CLONE_NEWNET, "network"),
        (sc.CLONE_NEWUTS | sc.CLONE_NEWIPC | sc.CLONE_NEWCGROUP, "uts, ipc or cgroup"),
        (sc.CLONE_NEWPID, "pid"),
    ):
        sc.unshare(flag, f"create a {name} namespace")
    # A slave still sees the host unmount things, so the host can.
    sc.mount("none", "/", flags=sc.MS_REC | sc.MS_SLAVE)
    told, pid_of_first = os.pipe()
    first = os.fork()
    if first:
        os.write(pid_of_first, str(first).encode())
        report(pid=first)
        return
    os.close(pid_of_first)
    pid = os.read(told, 32).decode()
    sc.mount("proc", "/proc", "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    os.execve(command[0], list(command), {**env, "LOCALDC_PID": pid})


def _detach(log: Path) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir("/")
