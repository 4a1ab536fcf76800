"""`localdc start`: from a command line to a data center that answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from localdc import LocalDCError, access
from localdc.daemon.control import ask
from localdc.daemon.options import StartOptions, kept_catalogue
from localdc.paths import StateDir, package_path, write_atomically
from localdc.pkgsrc import pythons
from localdc.pkgsrc.fetcher import spawn as spawn_fetcher
from localdc.zones import cores
from localdc.zones.isolate import spawn, subordinate_ids

VARIABLE = "LOCALDC_DAEMON"
HOST = "127.0.0.1"
MINIMUM_DISK = 500 * 1024 * 1024
OTHER_START_SECONDS = 300.0
SSH_SECONDS = 30.0
LOG_LINES = 5
MAX_LOG = 10 * 1024 * 1024

Progress = Callable[[str], None]


def start(paths: StateDir, say: Progress, options: StartOptions | None = None) -> dict[str, Any]:
    """Start the data center, or find it running; its status once machines are up.

    Raises LocalDCError when it cannot run; the message says what to do.
    """
    options = options or StartOptions()
    paths.prepare()
    with paths.lock.open("w") as lock:
        _check_mode(paths, options)
        if _lock(paths, lock, say):
            _check_host(paths, options)
            access.remove_traces(paths)
            _rotate(paths.log)
            write_atomically(paths.mode, f"{options.mode}\n")
            write_atomically(paths.lenient, f"{_names(options)}\n")
            if options.catalogue is not None:
                write_atomically(paths.catalogue, options.catalogue)
            _start_daemon(paths, lock.fileno(), say, options)
        else:
            _check_running(paths, options)
    return _wait_for_machines(paths, say)


def _check_mode(paths: StateDir, options: StartOptions) -> None:
    """Zones cannot become records, nor records zones."""
    mode = paths.mode.read_text().strip() if paths.mode.exists() else "zones"
    if paths.database.exists() and mode != options.mode:
        raise LocalDCError(
            f"{paths.root} holds a data center of {mode}, not of {options.mode}. "
            "Set LOCALDC_DIR to another directory, or remove this one: python -m localdc purge"
        )


def _check_running(paths: StateDir, options: StartOptions) -> None:
    """One that runs already keeps what it offers, and how its machines are."""
    if options.catalogue is not None and options.catalogue != kept_catalogue(paths):
        raise LocalDCError(
            "The data center runs with another catalogue. Stop it first: python -m localdc stop"
        )
    external = paths.external_network
    if options.external_network not in (None, external.exists() and external.read_text().strip()):
        raise LocalDCError(
            "The data center runs with another external network. Stop it first: "
            "python -m localdc stop"
        )
    has = paths.lenient.read_text().strip() if paths.lenient.exists() else ""
    if options.lenient and _names(options) != has:
        how = f"with --lenient {has}" if has else "without --lenient"
        raise LocalDCError(f"The data center runs {how}. Stop it first: python -m localdc stop")
    if not options.records_only:
        pythons.check_running(paths)


def _names(options: StartOptions) -> str:
    return ",".join(sorted(set(options.lenient)))


def _lock(paths: StateDir, lock: IO[str], say: Progress) -> bool:
    """Take the lock; False when its holder is a data center that runs.

    Waits for another start to end well or ill, and for a stop to finish.
    """
    deadline = time.monotonic() + OTHER_START_SECONDS
    told = False
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            status = _status_if_any(paths)
            if status is not None and not status["stopping"]:
                say(f"already running, pid {status['pid']}")
                return False
        except OSError as error:
            raise LocalDCError(f"Cannot lock {paths.lock}: {error.strerror}.") from error
        else:
            return True
        if not told:
            say("another start or stop is in progress; waiting for it")
            told = True
        time.sleep(0.05)
    raise LocalDCError(f"{paths.lock} is held, but no data center answers; see {paths.log}.")


def _status_if_any(paths: StateDir) -> dict[str, Any] | None:
    try:
        return ask(paths.control, {"op": "status"})
    except LocalDCError:
        return None


def _rotate(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG:
            log.replace(log.with_name(f"{log.name}.1"))


def _check_host(paths: StateDir, options: StartOptions) -> None:
    free = shutil.disk_usage(paths.root).free
    if free < MINIMUM_DISK:
        raise LocalDCError(
            f"{paths.root} has {free >> 20} MiB of free disk space; at least "
            f"{MINIMUM_DISK >> 20} MiB are needed. Free some, or set LOCALDC_DIR to another disk."
        )
    for program in ("ssh", "ssh-keygen", "ssh-agent", "ssh-add"):
        access.require_program(program, "openssh-client")
    if options.records_only:
        return
    access.require_program("sshd", "openssh-server")
    subordinate_ids()


def _package_store(paths: StateDir, say: Progress) -> dict[str, str]:
    """The package store, built here because the data center has no network of the host."""
    from localdc.pkgsrc.store import StoreError, build_store

    pythons.use_kept(paths, say)
    try:
        store = build_store(paths.packages, say)
    except StoreError as error:
        raise LocalDCError(f"The package store cannot be made: {error}") from error
    except OSError as error:
        raise LocalDCError(
            f"The package store {paths.packages} cannot be used: {error.strerror} "
            f"({error.filename}). Set LOCALDC_PKGSRC to a directory you may write."
        ) from error
    pythons.keep(paths)
    return {**asdict(store), "root": str(store.root)}


def _start_daemon(paths: StateDir, lock: int, say: Progress, options: StartOptions) -> None:
    store = {} if options.records_only else _package_store(paths, say)
    access.ensure_key(paths)
    with contextlib.ExitStack() as held:
        fetcher = None
        if not options.records_only:
            fetcher = held.enter_context(spawn_fetcher(paths.packages, paths.log)).fileno()
        _start_with(paths, lock, say, options, store, fetcher)


def _start_with(
    paths: StateDir,
    lock: int,
    say: Progress,
    options: StartOptions,
    store: dict[str, str],
    fetcher: int | None,
) -> None:
    ready, ready_end = os.pipe()
    with _listen(paths) as api, os.fdopen(ready) as news:
        url = f"http://{HOST}:{api.getsockname()[1]}"
        handover = {
            "state": str(paths.root),
            "packages": str(paths.packages),
            "url": url,
            "api": api.fileno(),
            "lock": lock,
            "ready": ready_end,
            "fetcher": fetcher,
            "store": store,
            "options": asdict(options),
        }
        command = [sys.executable, "-m", "localdc", "daemon"]
        descriptors = [api.fileno(), lock, ready_end, *([] if fetcher is None else [fetcher])]
        env = {**os.environ, VARIABLE: json.dumps(handover), "PYTHONPATH": package_path()}
        say("starting the data center")
        try:
            run = _spawn_plainly if options.records_only else spawn
            pid = run(command, env, descriptors, paths.log)
        finally:
            os.close(ready_end)
        if not options.records_only:
            cores.spawn(pid, paths.log)
        _follow(news, pid, paths, say)


def _spawn_plainly(
    command: Sequence[str], env: Mapping[str, str], descriptors: Sequence[int], log: Path
) -> int:
    """As `spawn`, but as an ordinary process: records need no isolation."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=tuple(descriptors),
            start_new_session=True,
        )
    # It outlives this process, which need not wait for it.
    process.returncode = 0
    return process.pid


def _follow(news: Any, pid: int, paths: StateDir, say: Progress) -> None:
    for line in news:
        message = json.loads(line)
        if message.get("ready"):
            return
        if "error" in message:
            raise LocalDCError(f"The data center cannot run: {message['error']}")
        say(message["progress"])
    tail = "\n".join(paths.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    raise LocalDCError(f"The daemon (pid {pid}) ended; the end of {paths.log}:\n{tail}")


def _listen(paths: StateDir) -> socket.socket:
    """The API's socket: a free port at the first start, the same one ever after."""
    port = 0
    with contextlib.suppress(OSError, ValueError):
        port = int(paths.port.read_text())
    api = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        api.bind((HOST, port))
        api.listen(1024)
    except OSError as error:
        api.close()
        raise LocalDCError(
            f"Cannot listen on {HOST} port {port}: {error.strerror}. This data center has used "
            f"the port before; end the program that has it now, or remove {paths.port} to get "
            "another one."
        ) from error
    if not port:
        write_atomically(paths.port, f"{api.getsockname()[1]}\n")
    return api


def _wait_for_machines(paths: StateDir, say: Progress) -> dict[str, Any]:
    shown = -1
    while True:
        status = ask(paths.control, {"op": "status"})
        if status is None:
            raise LocalDCError(f"The data center ended while machines booted; see {paths.log}.")
        boot = status["boot"]
        done = boot["done"] + boot["failed"]
        if boot["total"] and done != shown:
            say(f"machines up: {done} of {boot['total']}")
            shown = done
        if done >= boot["total"]:
            break
        time.sleep(0.1)
    if boot["total"] and not status["records_only"]:
        request = {"op": "reachable", "seconds": SSH_SECONDS}
        answer = ask(paths.control, request, timeout=SSH_SECONDS + 30) or {"unreachable": []}
        if answer["unreachable"]:
            names = ", ".join(answer["unreachable"])
            say(f"warning: no ssh after {SSH_SECONDS:.0f} s: {names} (python -m localdc logs NAME)")
        if boot["failed"]:
            say(f"warning: {boot['failed']} machines did not boot; see {paths.log}")
    return status
