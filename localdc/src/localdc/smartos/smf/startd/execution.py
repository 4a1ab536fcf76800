"""Runs methods for the restarter: fork, time limits, results, retries, and the deaths of processes.

The counterpart of method_run() and method_thread() in method.c; what waits there, happens here
when SIGCHLD or a timer says so.
"""

from __future__ import annotations

import os
import time
from errno import EAGAIN

from ..model import SmfError
from .instance import FAILURE_RATE, FAULT_THRESHOLD, Instance
from .methods import (
    EXIT_CONFIG,
    EXIT_DEGRADE,
    EXIT_FATAL,
    EXIT_NODAEMON,
    FATAL_EXITS,
    Launcher,
    absent,
    load,
    start_path,
)
from .run import Method, Run
from .transitions import Transitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # without the enumerations of the module around it
    import _signal as signal
if TYPE_CHECKING:
    from collections.abc import Callable

# why a method failed otherwise than by its exit code
_RETRY, _BROKEN, _TOO_QUICK, _TIMED_OUT = "retry", "broken", "too-quick", "timed-out"


class Executor:
    """Methods of all instances, and the processes that they have left running."""

    def __init__(self, states: Transitions, stop: Callable[[Instance, str], None]) -> None:
        """`stop` stops an instance for one of the restarter's reasons."""
        self.states = states
        self.contracts = states.contracts
        self._stop = stop
        self._runs: dict[int, Instance] = {}
        # ends of wait services that the one thread which waits for them has not come to
        self._ends: list[Callable[[], None]] = []
        self._asleep = False

    # --- running a method

    def begin(self, instance: Instance, kind: str, event: str, aux: str | None) -> None:
        """Run method `kind` for an instance whose next state is set."""
        instance.run = Run(kind, event, aux)
        self._attempt(instance, instance.run)

    def _attempt(self, instance: Instance, run: Run) -> None:
        run.timed_out, run.draining, run.error = False, False, None
        groups = self.states.repository.effective(instance.fmri)
        try:
            run.method = load(instance, run.kind, groups, self.states.repository.configuration)
        except SmfError as error:
            self._say(instance, str(error))
            self._done(instance, run, 0, _BROKEN)
            return
        stopping = run.kind == "stop" and not instance.transient
        if run.method is None:
            self._say(instance, absent(run.kind, groups))
            self._done(instance, run, 0)
        elif stopping and instance.contract is None:
            self._done(instance, run, 0)
        elif run.method.kind == "null":
            self._say(instance, f"Executing {run.kind} method (null).")
            if run.kind == "start":
                instance.start_status = 0
            self._after_success(instance, run)
        elif run.method.kind == "kill":
            self._kill(instance, run, run.method)
        else:
            self._fork(instance, run, run.method)

    def _kill(self, instance: Instance, run: Run, method: Method) -> None:
        if instance.contract is None:
            self._say(instance, 'Invalid use of ":kill" as stop method for transient service.')
            self._done(instance, run, 0, _BROKEN)
            return
        self._say(instance, f"Executing {run.kind} method (:kill).")
        self.contracts.kill(instance.contract, method.signal)
        run.started = time.monotonic()
        self._after_success(instance, run)

    def _fork(self, instance: Instance, run: Run, method: Method) -> None:
        if run.kind == "start" and not self._may_start(instance, run, method):
            return
        log = self.states.logs.open(instance.fmri)
        instance.log_noted = True
        launcher = Launcher(instance, method, self.states.environment, log)
        try:
            run.contract, run.pid = self.contracts.spawn(launcher)
        except OSError as error:
            self.states.logs.startd(
                f"{instance.fmri}: Couldn't fork to execute method {method.command}: {error}"
            )
            self._done(instance, run, 0, _RETRY if error.errno == EAGAIN else _BROKEN)
            return
        finally:
            os.close(log)
        run.started = time.monotonic()
        if run.kind == "start":
            self._started(instance, run)
        self._runs[run.pid] = instance
        if run.kind == "start" and instance.waits:
            self._runs.pop(run.pid)
            self.states.children[run.pid] = instance
            instance.wait_pid, instance.start_status = run.pid, 0
            self._done(instance, run, 0)
        elif method.timeout:
            self._limit(instance, run, method.timeout)

    def _may_start(self, instance: Instance, run: Run, method: Method) -> bool:
        path = start_path(method.command)
        if instance.waits and path is not None and not os.access(path, os.F_OK):
            self._say(instance, f"Missing start method ({path}), changing state to maintenance.")
            self._done(instance, run, 0, _BROKEN)
            return False
        instance.record_start()
        if not instance.waits and self.too_quick(instance, FAILURE_RATE):
            self._say(instance, "Restarting too quickly, changing state to maintenance.")
            self._done(instance, run, 0, _TOO_QUICK)
            return False
        return True

    def too_quick(self, instance: Instance, failure_rate: float) -> bool:
        """Does the instance start too often? A count that svc.startd cannot keep is too quick."""
        try:
            return instance.too_quick(failure_rate)
        except SmfError as error:
            self._say(instance, str(error))
            self.states.logs.startd(f"{instance.fmri}: {error}")
            return True

    def _started(self, instance: Instance, run: Run) -> None:
        self.states.abandon(instance)
        instance.start_pid, instance.start_time = run.pid, time.time()
        instance.start_status = None
        instance.nodaemon = False
        if instance.style != "transient":
            instance.contract, run.contract = run.contract, None
        self.states.publish(instance)

    # --- time limits

    def _limit(self, instance: Instance, run: Run, seconds: float) -> None:
        run.timer = self.states.loop.after(seconds, lambda: self._expired(instance, run))

    def _expired(self, instance: Instance, run: Run) -> None:
        run.timed_out = True
        # while the method runs it is killed, and afterwards what it should have ended
        contract = instance.contract if run.draining else run.contract or instance.contract
        if contract is None:
            return
        self._say(instance, f"Method or service exit timed out.  Killing contract {contract.id}.")
        self.states.logs.startd(
            f"{instance.fmri}: Method or service exit timed out.  Killing contract {contract.id}."
        )
        self.contracts.kill(contract, signal.SIGKILL)
        if run.draining and self.contracts.empty(contract):
            self._drained(instance, run)

    # --- processes that died

    def reap(self) -> None:
        """Collect every dead child, then look at the contracts that they may have emptied."""
        dead: list[tuple[int, int, int]] = []
        while True:
            try:
                # its process group is known as long as it is a zombie
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if found is None:
                break
            group = os.getpgid(found.si_pid) if found.si_pid in self.states.children else 0
            dead.append((*os.waitpid(found.si_pid, 0), group))
        for pid, status, group in dead:
            if pid in self._runs:
                self._method_exited(self._runs.pop(pid), status)
            elif pid in self.states.children:
                self._child_exited(self.states.children.pop(pid), pid, status, group)
            else:
                self._leader_died(pid, status)
        if dead:
            for instance in list(self.states.instances.values()):
                self.look(instance)

    def look(self, instance: Instance) -> None:
        """Has the contract of the instance become empty?"""
        contract, run = instance.contract, instance.run
        draining = run is not None and run.draining
        followed = instance.up and not instance.waits and not instance.transient
        # asked last: it may mean a look at every process
        if contract is None or not (draining or (run is None and followed)):
            return
        if not self.contracts.empty(contract):
            return
        if run is not None:
            self._drained(instance, run)
        else:
            self._stop(instance, "exit")

    def _leader_died(self, pid: int, status: int) -> None:
        """A process that a service left behind died: of a fault, or by somebody's signal?"""
        for instance in self.states.instances.values():
            contract = instance.contract
            if contract is None or pid not in contract.leaders:
                continue
            contract.leaders.discard(pid)
            if not instance.waits:
                self._fault_event(instance, _fault(status))
            return

    def _fault_event(self, instance: Instance, fault: str | None) -> None:
        """A critical event of a contract service: a member died of a fault, others live."""
        if fault is None or fault in instance.ignore or instance.contract is None:
            return
        if instance.up and instance.run is None and not self.contracts.empty(instance.contract):
            self._stop(instance, fault)

    def dumped(self, pids: list[int], group: int) -> None:
        """The first of `pids` dumps core, in process group `group`.

        The others stand for it where it has ended already: its parents, of the same contract.
        """
        for pid in pids:
            contract = self.contracts.contract_of(pid)
            for instance in self.states.instances.values():
                if contract and instance.contract and instance.contract.id == contract:
                    if instance.waits:
                        self.fatal(instance, "core", group)
                    else:
                        self._fault_event(instance, "core")
                    return

    def _child_exited(self, instance: Instance, pid: int, status: int, group: int) -> None:
        """The process that *is* a wait service exited."""
        if instance.wait_pid != pid:
            return
        instance.wait_pid = 0
        self.fatal(instance, _fault(status), group)
        run = instance.run
        if run is not None and run.kind == "stop":
            return
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
        if code:
            self.states.logs.startd(f"instance {instance.fmri} exited with status {code}")
        cause = "config" if code == EXIT_CONFIG else "failure" if code else "exit"
        self._ends.append(
            lambda: self.states.request(instance, lambda: self._stop(instance, cause))
        )
        self._serve_ends()

    def fatal(self, instance: Instance, fault: str | None, group: int) -> None:
        """A member of a contract died: for that of a wait service a fault is a fatal event.

        It ends all members in the process group of the dead one (CT_PR_PGRPONLY, and
        contract_process_kill of illumos' kernel).
        """
        if instance.waits and instance.contract is not None and fault not in (
            None, *instance.ignore
        ):  # fmt: skip
            self.contracts.kill(instance.contract, signal.SIGKILL, group=group)

    def _serve_ends(self) -> None:
        while self._ends and not self._asleep:
            self._ends.pop(0)()

    def sleep(self, seconds: float, then: Callable[[], None]) -> None:
        """Do `then` later; till then no other end of a wait service is noticed.

        svc.startd has one thread that waits for them, and it sleeps in that.
        """
        self._asleep = True

        def wake() -> None:
            self._asleep = False
            then()
            self._serve_ends()

        self.states.loop.after(seconds, wake)

    def _method_exited(self, instance: Instance, status: int) -> None:
        run = instance.run
        if run is None:
            return
        if run.timer is not None:
            run.timer.cancel()
        if run.kind == "start":
            instance.start_status = status
        if run.timed_out and not instance.timeout_retry:
            self._done(instance, run, 0, _TIMED_OUT)
        elif os.WIFSIGNALED(status):
            name = signal_name(os.WTERMSIG(status))
            self._warn(instance, run, f"due to signal {name}")
            self._say(instance, f'Method "{run.kind}" failed due to signal {name}.')
            self._done(instance, run, 0, _RETRY)
        else:
            code = os.WEXITSTATUS(status)
            if code not in (0, EXIT_NODAEMON, EXIT_DEGRADE):
                self._warn(instance, run, f"with exit status {code}")
            self._say(instance, f'Method "{run.kind}" exited with status {code}.')
            if code:
                self._done(instance, run, code)
            else:
                self._after_success(instance, run)

    def _warn(self, instance: Instance, run: Run, how: str) -> None:
        command = run.method.command if run.method else ""
        self.states.logs.startd(f'{instance.fmri}: Method "{command}" failed {how}.')

    def _after_success(self, instance: Instance, run: Run) -> None:
        """A stop method is not done before the contract is empty, within the same limit."""
        contract = instance.contract
        free = instance.transient or contract is None or self.contracts.empty(contract)
        if run.kind != "stop" or free:
            self._done(instance, run, 0)
        else:
            run.draining = True
            timeout = run.method.timeout if run.method else 0
            if timeout:
                spent = time.monotonic() - run.started
                self._limit(instance, run, max(0.0, timeout - spent))

    def _drained(self, instance: Instance, run: Run) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.draining = False
        self._done(instance, run, 0, _BROKEN if run.timed_out else None)

    # --- results

    def _done(self, instance: Instance, run: Run, code: int, error: str | None = None) -> None:
        """The result of one attempt: success, another attempt, or maintenance."""
        if run.contract is not None:
            self.contracts.close(run.contract)
            run.contract = None
        if run.kind == "start" and (code or error) and code != EXIT_DEGRADE:
            self.states.abandon(instance)
        if error is None and code in (0, EXIT_NODAEMON, EXIT_DEGRADE):
            self._success(instance, run, code)
            return
        if self.states.closing and run.kind == "start":
            instance.run = None
            self.states.commit(instance, "offline", "none")
            return
        retry = error in (None, _RETRY) and code not in FATAL_EXITS
        if retry:
            instance.faults += 1
            if instance.faults < FAULT_THRESHOLD:
                self._attempt(instance, run)
                return
        instance.faults = 0
        self._failure(instance, run, code, error, retry)

    def _success(self, instance: Instance, run: Run, code: int) -> None:
        state = instance.next_state
        if run.kind == "start":
            instance.nodaemon = code == EXIT_NODAEMON
            if code == EXIT_DEGRADE:
                state, run.auxiliary = "degraded", "method_failed"
            # of a wait service only the process counts that was started
            if instance.contract is not None and not instance.waits:
                self.contracts.adopt(instance.contract)
        elif run.kind == "stop":
            self.states.abandon(instance)
            instance.nodaemon = False
        instance.faults = 0
        instance.run = None
        self.states.commit(instance, state, "none", run.event, run.auxiliary)
        self.serve_queue(instance)
        self.look(instance)

    def _failure(
        self, instance: Instance, run: Run, code: int, error: str | None, retried: bool
    ) -> None:
        how = {
            _TOO_QUICK: "failed repeatedly", _TIMED_OUT: "timed out",
        }.get(error or "", {EXIT_CONFIG: "misconfigured", EXIT_FATAL: "failed fatally"}.get(
            code, "failed"))  # fmt: skip
        self.states.failed_log(instance, f"{how}: transitioned to maintenance")
        if error == _TOO_QUICK:
            reason = "restarting_too_quickly"
        else:
            reason = "fault_threshold_reached" if retried else "method_failed"
        self.states.abandon(instance)
        instance.run = None
        self.states.commit(instance, "maintenance", "none", "error", reason)
        self.serve_queue(instance)

    def interrupt(self, number: int) -> None:
        """Send a signal to every start method that runs: the zone is going down."""
        for instance in self._runs.values():
            if instance.run is not None and instance.run.kind == "start":
                contract = instance.run.contract or instance.contract
                if contract is not None:
                    self.contracts.kill(contract, number)

    def serve_queue(self, instance: Instance) -> None:
        """Do what was asked for while the instance was in transition."""
        while instance.queue and not instance.moving:
            instance.queue.pop(0)()

    def cancel(self, instance: Instance) -> None:
        """Forget the method that runs for an instance which is no more."""
        run = instance.run
        if run is None:
            return
        if run.timer is not None:
            run.timer.cancel()
        self._runs.pop(run.pid, None)
        if run.contract is not None:
            self.contracts.close(run.contract)
        instance.run = None

    def _say(self, instance: Instance, message: str) -> None:
        self.states.say(instance, message)


def signal_name(number: int) -> str:
    """The name that sig2str(3C) gives: ``KILL`` for 9."""
    import signal

    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


def _fault(status: int) -> str | None:
    """Why a process of a contract died: ``core``, ``signal`` (from outside), or no fault."""
    if not os.WIFSIGNALED(status):
        return None
    # as on illumos a core counts even where limits forbid the file
    cores = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE,
             signal.SIGQUIT, signal.SIGTRAP, signal.SIGSYS)  # fmt: skip
    return "core" if os.WCOREDUMP(status) or os.WTERMSIG(status) in cores else "signal"
