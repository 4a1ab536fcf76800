"""svc.startd, pid 1 of a zone: repository, restarter and the door for their clients."""

# ruff: noqa: PTH101, PTH103, PTH118, PTH120, PTH123 (pathlib costs start-up time)
from __future__ import annotations

import os
import sys
from itertools import pairwise

from ..model import SmfError
from .api import Api
from .authority import Authority
from .contracts import Contracts, become_reaper
from .logs import Logs
from .loop import Loop
from .repository import Repository
from .restarter import Restarter
from .server import Server
from .transitions import Transitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
else:
    # without the enumerations of the module around it
    import _signal as signal
if TYPE_CHECKING:
    from typing import NoReturn

# Asks pid 1 to halt the zone, as it does systemd in a container. SIGTERM and SIGINT come from
# services of root, too, by `kill 0`; they end svc.startd on illumos as well (startd.c,
# die_handler), but there init starts it again.
HALT = signal.SIGRTMIN + 3
IGNORED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
)  # fmt: skip
EXIT_HALTED = 0
EXIT_REBOOT = 6
SHUTDOWN_LIMIT = 60.0
# start methods that ignore SIGTERM
INTERRUPT_LIMIT = 5.0
# what is left after the services: logins, abandoned processes
STRAGGLER_LIMIT = 1.0
DOOR = "etc/svc/volatile/repository_door"
DATABASE = "etc/svc/repository.db"
LOG_DIRECTORY = "var/svc/log"
_INIT = "etc/default/init"


class Options:
    """Where things are; everything below one root, each part can be put elsewhere."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.door = os.path.join(root, DOOR)
        self.database = os.path.join(root, DATABASE)
        self.logs = os.path.join(root, LOG_DIRECTORY)
        self.namespaces = True


def parse(argv: list[str]) -> Options:
    """Options from ``--root --door --repository --log-dir DIR`` and ``--no-namespaces``."""
    words = dict(pairwise(argv))
    options = Options(words.get("--root", "/"))
    options.door = words.get("--door", options.door)
    options.database = words.get("--repository", options.database)
    options.logs = words.get("--log-dir", options.logs)
    options.namespaces = "--no-namespaces" not in argv
    return options


class Startd:
    """The daemon; `run` returns its exit status."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.logs = Logs(options.logs)
        self.loop = Loop(self._failed)
        os.makedirs(os.path.dirname(options.database), exist_ok=True)
        self.repository = Repository(options.database)
        os.chmod(options.database, 0o600)
        self.repository.create_restarter()
        self.contracts = Contracts(options.namespaces)
        states = Transitions(
            self.repository, self.contracts, self.loop, self.logs, _environment(options.root)
        )
        self.restarter = Restarter(states)
        authority = Authority(os.path.join(options.root, "etc/user_attr"))
        api = Api(self.repository, self.restarter, authority, self.shut_down)
        self.server = Server(self.loop, options.door, api.handlers)
        self.status = EXIT_HALTED
        self._sweeping = False

    def run(self) -> int:
        """Start everything that is enabled and serve until the zone halts."""
        become_reaper()
        self.loop.on_signal(signal.SIGCHLD, self.restarter.executor.reap)
        # by hand and in tests there is nobody to send the other one
        halting = {HALT} if os.getpid() == 1 else {HALT, signal.SIGTERM, signal.SIGINT}
        for number in halting:
            self.loop.on_signal(number, lambda: self.shut_down(False))
        for ignored in {*IGNORED} - halting:
            self.loop.on_signal(ignored, lambda: None)
        self.loop.settled = self._settled
        self.restarter.load()
        self.loop.run()
        self.server.close()
        try:
            self.repository.close()
        except Exception as error:
            # the zone ends as it was asked to, with or without the last changes
            self._failed(error)
        return self.status

    def shut_down(self, reboot: bool) -> None:
        """Stop all services in reverse order of their dependencies, then end."""
        if self.restarter.closing:
            return
        self.status = EXIT_REBOOT if reboot else EXIT_HALTED
        # what was asked for must not be lost
        self.restarter.serve_asked()
        self.logs.startd("The system is coming down.  Please wait.")
        self.restarter.close()
        executor = self.restarter.executor
        executor.interrupt(signal.SIGTERM)
        self.loop.after(INTERRUPT_LIMIT, lambda: executor.interrupt(signal.SIGKILL))
        self.loop.after(SHUTDOWN_LIMIT, self._give_up)

    def _settled(self) -> None:
        self.restarter.settle()
        self.server.settle()
        if self.restarter.closing and self.restarter.quiet:
            self._sweep()
        # last, because it fails when the disk is full
        self.repository.commit()

    def _failed(self, error: Exception) -> None:
        """Report an error: refused writes by their message, bugs by where they are."""
        if isinstance(error, SmfError):
            self.logs.startd(str(error))
            return
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            self.logs.startd(line)

    def _sweep(self) -> None:
        """End what no service owns; pid 1 sees everything, a test run only its contracts."""
        if not self._sweeping:
            self._sweeping = True
            if os.getpid() == 1:
                _kill_all(signal.SIGTERM)
            self.loop.after(STRAGGLER_LIMIT, self._give_up)
        if _childless():
            self.loop.stopped = True

    def _give_up(self) -> None:
        for instance in self.restarter.instances.values():
            if instance.contract is not None:
                self.contracts.kill(instance.contract, signal.SIGKILL)
        if os.getpid() == 1:
            _kill_all(signal.SIGKILL)
        self.loop.stopped = True


def _kill_all(number: int) -> None:
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        return


def _childless() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _zone(root: str) -> str:
    try:
        with open(os.path.join(root, "etc/zonename"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return os.uname().nodename


def _environment(root: str) -> Mapping[str, str]:
    """What all methods get: the zone's name, and TZ, LANG, LC_* of /etc/default/init."""
    found = {"SMF_ZONENAME": _zone(root)}
    try:
        with open(os.path.join(root, _INIT), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return found
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and (name in ("TZ", "LANG") or name.startswith("LC_")):
            found[name] = value.strip("\"'")
    return found


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the daemon; exits with 0 when halted, with 6 when a reboot was asked for."""
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        # the name that ps shows
        with open("/proc/self/comm", "w") as comm:
            comm.write("svc.startd")
    except OSError as error:
        sys.stderr.write(f"svc.startd: could not set its name: {error}\n")
    if os.getpgrp() != os.getpid():
        # the group of all services without startd/need_session, and of nobody else
        os.setpgid(0, 0)
    sys.exit(Startd(options).run())


if __name__ == "__main__":
    main()
