"""Process contracts (contract(5)): which processes belong to a service, however they daemonise.

Linux has no contracts. A contract here is one cgroup *namespace*: processes inherit it, cannot
leave it unnoticed, and ``/proc/PID/ns/cgroup`` tells it for any process. Where the kernel does not
permit that (no CAP_SYS_ADMIN, as in a test run by an ordinary user), a marker in the initial
environment of the processes serves instead.

svc.startd is pid 1 or a subreaper, so every orphan of a service becomes its child, and the death
of the last member of a contract always arrives as SIGCHLD: nothing is polled.
"""

# ruff: noqa: PTH116, PTH123, PTH208 (pathlib costs start-up time)
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    # without the enumerations of the module around it
    import _signal as signal

CLONE_NEWCGROUP = 0x02000000
PR_SET_CHILD_SUBREAPER = 36
MARKER = "LOCALDC_CONTRACT"
_SELF_NS = "/proc/self/ns/cgroup"
_KILL_ROUNDS = 20


def _call(name: str, *args: int) -> None:
    """A system call by its libc wrapper; OSError where it fails."""
    import ctypes

    if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _unshare(flags: int) -> None:
    if sys.version_info >= (3, 12):
        os.unshare(flags)
    else:
        _call("unshare", flags)


def _setns(fd: int, flags: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(fd, flags)
    else:
        _call("setns", fd, flags)


def _fork() -> int:
    """fork(2) into a child in which signals do what they do by default.

    The handlers of the parent would write to the pipe that wakes its loop, which takes it for a
    signal to itself: a service that is stopped at this moment would live on, and svc.startd shut
    down. What Python ignores (SIGPIPE, SIGXFSZ) would be ignored by the service as well.
    """
    handled = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in signal.valid_signals():
                if signal.getsignal(number) not in (signal.SIG_DFL, None):
                    signal.signal(number, signal.SIG_DFL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, handled)
    return pid


def become_reaper() -> None:
    """Make orphans children of this process; pid 1 of a pid namespace is that already."""
    if os.getpid() != 1:
        _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Contract:
    """One set of processes. ``leaders`` are the members whose deaths svc.startd sees itself."""

    __slots__ = ("fd", "id", "inode", "leaders", "witness")

    def __init__(self, id: int) -> None:
        self.id = id
        # the open descriptor keeps the namespace, so its inode number cannot be given again
        self.fd = -1
        self.inode = 0
        self.witness = 0
        self.leaders: set[int] = set()


class Contracts:
    """Makes contracts and answers who is in them."""

    def __init__(self, namespaces: bool = True) -> None:
        self._last = 0
        # contract ids by inode number of the namespace
        self._ids: dict[int, int] = {}
        self._base = -1
        self._me = os.getpid()
        if namespaces:
            try:
                # into a namespace of this user namespace, so that coming back is permitted
                _unshare(CLONE_NEWCGROUP)
                self._base = os.open(_SELF_NS, os.O_RDONLY | os.O_CLOEXEC)
                _setns(self._base, CLONE_NEWCGROUP)
            except OSError:
                self._base = -1

    @property
    def namespaces(self) -> bool:
        """False where the marker in the environment has to serve."""
        return self._base >= 0

    def spawn(self, child: Callable[[dict[str, str]], None]) -> tuple[Contract, int]:
        """Fork a child into a new contract. `child` gets variables for its environment and must
        not return (it execs). Returns the contract and the pid."""
        self._last += 1
        contract, extra = Contract(self._last), {}
        try:
            if self._base >= 0:
                _unshare(CLONE_NEWCGROUP)
                contract.fd = os.open(_SELF_NS, os.O_RDONLY | os.O_CLOEXEC)
                contract.inode = os.fstat(contract.fd).st_ino
            else:
                extra = {MARKER: f"{self._me}.{self._last}"}
            pid = _fork()
            if pid == 0:
                try:
                    child(extra)
                finally:
                    os._exit(10)
        except OSError:
            self.close(contract)
            raise
        finally:
            if self._base >= 0:
                _setns(self._base, CLONE_NEWCGROUP)
        self._ids[contract.inode] = contract.id
        contract.witness = pid
        contract.leaders.add(pid)
        return contract, pid

    def holds(self, contract: Contract, pid: int) -> bool:
        """Is process `pid` a living member?"""
        try:
            if contract.fd >= 0:
                return os.stat(f"/proc/{pid}/ns/cgroup").st_ino == contract.inode
            with open(f"/proc/{pid}/environ", "rb") as environ:
                marker = f"{MARKER}={self._me}.{contract.id}".encode()
                return marker in environ.read().split(b"\0")
        except OSError:
            return False

    def members(self, contract: Contract) -> list[int]:
        """Pids of the living members, sorted; zombies are not members any more."""
        pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in pids if pid != self._me and self.holds(contract, pid)]

    def census(self) -> dict[int, list[int]]:
        """Members of all contracts, by contract id, from one look at every process."""
        found: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != self._me:
                key = self.contract_of(int(name))
                if key is not None:
                    found.setdefault(key, []).append(int(name))
        return {key: sorted(pids) for key, pids in found.items()}

    def contract_of(self, pid: int) -> int | None:
        """The id of the contract that process `pid` is in; None for the dead, too."""
        try:
            if self._base >= 0:
                return self._ids.get(os.stat(f"/proc/{pid}/ns/cgroup").st_ino)
            with open(f"/proc/{pid}/environ", "rb") as environ:
                mark = f"{MARKER}={self._me}.".encode()
                for word in environ.read().split(b"\0"):
                    if word.startswith(mark):
                        return int(word[len(mark) :])
        except OSError:
            return None
        return None

    def empty(self, contract: Contract) -> bool:
        """Is nobody left? One look at a known member is enough, as long as that one lives."""
        if contract.witness and self.holds(contract, contract.witness):
            return False
        members = self.members(contract)
        self.adopt(contract, members)
        return not members

    def adopt(self, contract: Contract, members: list[int] | None = None) -> None:
        """Note who lives, and which of them are children of svc.startd: deaths it will see."""
        pids = self.members(contract) if members is None else members
        contract.witness = pids[0] if pids else 0
        contract.leaders = {pid for pid in pids if _parent(pid) == self._me}

    def kill(self, contract: Contract, number: int, group: int | None = None) -> int:
        """Send a signal to every member (of process group `group`); returns how many got it."""
        done: set[int] = set()
        for _round in range(_KILL_ROUNDS):
            fresh = [pid for pid in self.members(contract) if pid not in done]
            if group is not None:
                fresh = [pid for pid in fresh if _group(pid) == group]
            for pid in fresh:
                done.add(pid)
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            # only those who cannot refuse may be hunted while they fork
            if not fresh or number != signal.SIGKILL:
                break
        return len(done)

    def close(self, contract: Contract) -> None:
        """Abandon the contract; its processes, if any, live on."""
        if contract.fd >= 0:
            os.close(contract.fd)
            contract.fd = -1
            self._ids.pop(contract.inode, None)
            contract.inode = 0


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
