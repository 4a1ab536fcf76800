"""svc.startd's restarter: moves instances between their states (restarter.c, method.c).

Everything happens in the event loop. An instance whose method runs is *in transition*; requests
for it wait in its queue until the method's result is known.
"""

from __future__ import annotations

import time

from . import fmri as fmris
from .contracts import Contracts
from .execution import Executor
from .graph import RESTART_ON, SATISFIED, Graph, dependencies
from .instance import UP, WAIT_FAILURE_RATE, WAIT_THROTTLE, Instance
from .logs import Logs
from .loop import Loop
from .model import Property, PropertyGroup, boolean_of, value_of
from .repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STOP_REASONS = {
    "exit": ("restart", "ct_ev_exit", "all processes in service exited"),
    "config": ("error", "method_failed", "service exited with a configuration error"),
    "failure": ("restart", "ct_ev_exit", "service exited with an error"),
    "core": ("error", "ct_ev_core", "process dumped core"),
    "signal": ("error", "ct_ev_signal",
               "process received fatal signal from outside the service"),
    "dependency": ("restart", "dependency_activity", "dependency activity requires stop"),
    "disable": ("restart", "disable_request", "service disabled"),
    "restart": ("restart", "restart_request", "service restarting"),
}  # fmt: skip
# seconds from the request of a refresh to the running snapshot
GRAPH_DELAY = 0.05
# deaths of the one process of a wait service
_EXITS = ("exit", "config", "failure")


class Restarter:
    """All instances of the zone, and the requests that the administrator may make."""

    def __init__(
        self, repository: Repository, contracts: Contracts, loop: Loop, logs: Logs,
        environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.repository = repository
        self.contracts = contracts
        self.loop = loop
        self.logs = logs
        self.environment = environment
        self.instances: dict[str, Instance] = {}
        self.graph = Graph(self.instances)
        self.executor = Executor(self)
        self.closing = False
        self.dirty = False
        # what the graph thread has been asked to do, and for which instance
        self._asked: list[tuple[str, Callable[[], None]]] = []

    # --- the set of instances

    def load(self) -> None:
        """Take over every instance of the repository; nothing has run before (zone boot)."""
        for fmri in self.repository.instances():
            self.add(fmri)

    def add(self, fmri: str) -> None:
        """Manage an instance, if it has ``general/enabled`` and this restarter."""
        groups = self.repository.current(fmri)
        # not inherited: what the service says of it does not count
        enabled = boolean_of(self.repository.entities[fmri].groups, "general", "enabled")
        if fmri in self.instances or enabled is None:
            return
        if (value_of(groups, "general", "restarter") or fmris.RESTARTER) != fmris.RESTARTER:
            return
        if fmri not in self.repository.running:
            self.repository.take(fmri, "running")
        instance = self.instances[fmri] = Instance(fmri)
        self.configure(instance)
        self.publish(instance)
        if fmri == fmris.RESTARTER:
            instance.enabled, instance.style = True, "transient"
            self.commit(instance, "online", "none")
            return
        self.enabled_changed(fmri)

    def remove(self, fmri: str) -> None:
        """Forget an instance that was deleted; its processes live on without a contract."""
        instance = self.instances.pop(fmri, None)
        self.graph.changed()
        if instance is None:
            return
        if instance.run is not None:
            self.executor.cancel(instance)
        self.abandon(instance)
        self.dirty = True

    def configure(self, instance: Instance) -> None:
        """Read styles and dependencies from the running snapshot."""
        groups = self.repository.effective(instance.fmri)
        instance.configure(groups)
        instance.dependencies = dependencies(groups)
        self.graph.changed()
        self.dirty = True

    # --- requests

    def ask(self, fmri: str, act: Callable[[], None], refresh: bool = False) -> None:
        """Have the graph thread do `act`, after everything that it was asked before.

        svcadm and svccfg only write down what they want of svc.startd; its graph thread does it in
        the order of the requests (graph.c, process_actions). What no refresh precedes is done at
        once here. A new instance is seen as late as a refresh.
        """
        if not refresh and not self._asked:
            act()
            return
        self._asked.append((fmri, act))
        if len(self._asked) == 1:
            self.loop.after(GRAPH_DELAY, self.serve_asked)

    def asked(self, fmri: str) -> bool:
        """Is there something that the graph thread will do for the instance?"""
        return any(name == fmri for name, _act in self._asked)

    def serve_asked(self) -> None:
        """Do everything that was asked for; instances that were deleted since are passed over."""
        asked, self._asked = self._asked, []
        for fmri, act in asked:
            if fmri in self.repository.entities:
                self.loop.guard(act)

    def enabled_changed(self, fmri: str, admin: bool = False) -> None:
        """Act on ``general/enabled`` and its temporary override as they are now."""
        instance = self.instances.get(fmri)
        if instance is None:
            self.add(fmri)
            return
        wanted = self.wants(fmri)
        instance.enabled_soon = wanted
        self.dirty = True
        self.request(instance, lambda: self._enable(instance, wanted, admin))

    def wants(self, fmri: str) -> bool:
        """Should the instance run, as the administrator has set it?"""
        groups = self.repository.entities[fmri].groups
        override = boolean_of(groups, "general_ovr", "enabled")
        if override is not None:
            return override
        return bool(boolean_of(groups, "general", "enabled"))

    def restart(self, fmri: str) -> None:
        """``svcadm restart``: acts on a running instance only, and forgets its start times."""
        instance = self.instances.get(fmri)
        if instance is None:
            return

        def act() -> None:
            if instance.up:
                self.stop(instance, "restart")
                instance.starts = 0

        self.request(instance, act)

    def refresh(self, fmri: str) -> None:
        """``svcadm refresh``: the running snapshot becomes the current configuration."""
        self.repository.take(fmri, "running")
        instance = self.instances.get(fmri)
        if instance is None:
            self.add(fmri)
            return
        self.request(instance, lambda: self._refresh(instance))

    def clear(self, fmri: str) -> None:
        """``svcadm clear``: out of maintenance, or from degraded to online."""
        instance = self.instances.get(fmri)
        if instance is None:
            return

        def act() -> None:
            instance.starts = 0
            if instance.state == "maintenance":
                self._unmaintain(instance, "clear requested", "clear_request")
            elif instance.state == "degraded":
                self.commit(instance, "online", "none", aux="clear_request")

        self.request(instance, act)

    def mark(self, fmri: str, state: str, immediate: bool) -> None:
        """``svcadm mark``: to maintenance (after a stop, or immediately) or degraded."""
        instance = self.instances.get(fmri)
        if instance is None:
            return

        def act() -> None:
            if state == "maintenance":
                self.maintain(instance, "administrative_request", immediate)
            elif instance.state == "online":
                self.commit(instance, "degraded", "none", aux="administrative_request")

        self.request(instance, act)

    def request(self, instance: Instance, act: Callable[[], None]) -> None:
        """Do `act` now, or when the method that runs has ended."""
        if instance.moving:
            instance.queue.append(act)
        else:
            act()

    # --- transitions

    def _enable(self, instance: Instance, wanted: bool, admin: bool) -> None:
        instance.enabled_soon = False
        if instance.enabled is wanted and not admin and instance.state != "uninitialized":
            return
        instance.enabled = wanted
        if wanted:
            if instance.state in ("uninitialized", "disabled"):
                self.say(instance, "Enabled.")
                self.commit(instance, "offline", "none", aux="enable_request")
            return
        if instance.up:
            self.stop(instance, "disable")
        elif instance.state in ("offline", "uninitialized"):
            self.abandon(instance)
            self.say(instance, "Disabled.")
            self.commit(instance, "disabled", "none", "restart", "disable_request")
        elif instance.state == "maintenance" and admin:
            self._unmaintain(instance, "disable requested", "disable_request")
        instance.starts = 0

    def _unmaintain(self, instance: Instance, why: str, aux: str) -> None:
        self.say(instance, f"Leaving maintenance because {why}.")
        self.abandon(instance)
        instance.faults = 0
        self.commit(instance, "uninitialized", "none", "restart", "none")
        self._enable(instance, self.wants(instance.fmri), False)
        instance.auxiliary = aux
        self.publish(instance)

    def stop(self, instance: Instance, cause: str) -> None:
        """Stop a running instance for one of `STOP_REASONS`."""
        if not instance.up or instance.moving:
            return
        error, aux, text = STOP_REASONS[cause]
        self.say(instance, f"Stopping because {text}.")
        if instance.waits and cause in _EXITS:
            self._child_gone(instance, cause)
            return
        following = "offline" if instance.enabled and not self.closing else "disabled"
        self.commit(instance, instance.state, following, aux=aux)
        self.executor.begin(instance, "stop", error, aux)

    def _child_gone(self, instance: Instance, cause: str) -> None:
        error, aux, _text = STOP_REASONS[cause]
        instance.faults = 0
        if cause == "config":
            self.abandon(instance)
            self.failed_log(instance, "failed: transitioned to maintenance")
            self.commit(instance, "maintenance", "none", error, aux)
            return

        def leave() -> None:
            instance.throttled = False
            if self.instances.get(instance.fmri) is instance:
                self.abandon(instance)
                following = "offline" if instance.enabled else "disabled"
                self.commit(instance, following, "none", error, aux)
                self.executor.serve_queue(instance)

        if cause == "exit":
            instance.starts = 0
        elif self.executor.too_quick(instance, WAIT_FAILURE_RATE):
            self.say(instance, "Failing too quickly, throttling.")
            instance.throttled = True
            self.commit(instance, instance.state, "offline", aux=aux)
            self.executor.sleep(WAIT_THROTTLE, leave)
            return
        leave()

    def maintain(self, instance: Instance, aux: str, immediate: bool = False) -> None:
        """Stop an instance for maintenance."""
        if instance.state == "maintenance":
            return
        self.say(instance, f"Stopping for maintenance due to {aux}.")
        if immediate or not instance.up:
            self.abandon(instance)
            self.commit(instance, "maintenance", "none", "restart", aux)
            return
        self.commit(instance, instance.state, "maintenance", aux=aux)
        self.executor.begin(instance, "stop", "restart", aux)

    def _refresh(self, instance: Instance) -> None:
        self.say(instance, "Rereading configuration.")
        self.configure(instance)
        if instance.up:
            self.commit(instance, instance.state, instance.state)
            self.executor.begin(instance, "refresh", "refresh", None)

    # --- state and its consequences

    def commit(
        self, instance: Instance, state: str, following: str, event: str = "none",
        aux: str | None = None,
    ) -> None:  # fmt: skip
        """Set state and next state; tell dependents of a stop or refresh (`event`)."""
        was_up, old = instance.up, instance.state
        instance.state, instance.next_state = state, following
        instance.since = time.time()
        if aux is not None:
            instance.auxiliary = aux
        self.publish(instance)
        self.dirty = True
        if state in UP and not was_up:
            self.repository.note_start(instance.fmri)
            self._tell(instance, "start")
        elif (was_up and state not in UP) or (event == "refresh" and old == state):
            self._tell(instance, event)

    def _tell(self, source: Instance, event: str) -> None:
        for instance, dependency in self.graph.dependents(source.fmri):
            if dependency.grouping == "exclude_all":
                hit = event == "start"
            else:
                hit = event in RESTART_ON.get(dependency.restart_on, ())
            if not hit or instance is source:
                continue
            if instance.up or instance.moving:
                self.request(instance, lambda i=instance: self.stop(i, "dependency"))  # type: ignore[misc]

    def settle(self) -> None:
        """Start what may run now, until nothing changes any more."""
        while self.dirty:
            self.dirty = False
            if self.closing:
                self.shut_next()
                continue
            for instance in list(self.instances.values()):
                waiting = instance.state == "offline" and not instance.moving
                if waiting and instance.enabled:
                    self._consider(instance)

    def _consider(self, instance: Instance) -> None:
        if not all(dependency.valid for dependency in instance.dependencies):
            self.maintain(instance, "invalid_dependency")
        elif self.graph.satisfied(instance) == SATISFIED:
            self.commit(instance, instance.state, "online", aux="none")
            self.executor.begin(instance, "start", "none", "dependencies_satisfied")
        elif instance.checked != self.graph.version:
            instance.checked = self.graph.version
            if self.graph.cycle(instance):
                self.maintain(instance, "dependency_cycle")

    def publish(self, instance: Instance) -> None:
        """Put the state into property group ``restarter``, which lives in memory only."""
        seconds = f"{instance.since:.9f}"
        props = {
            "state": Property("astring", [instance.state]),
            "next_state": Property("astring", [instance.next_state]),
            "auxiliary_state": Property("astring", [instance.auxiliary]),
            "state_timestamp": Property("time", [seconds]),
        }
        if instance.contract is not None:
            props["contract"] = Property("count", [str(instance.contract.id)])
        if instance.start_pid:
            props["start_pid"] = Property("count", [str(instance.start_pid)])
            stamp = f"{instance.start_time:.9f}"
            props["start_method_timestamp"] = Property("time", [stamp])
        if instance.start_status is not None:
            status = str(instance.start_status)
            props["start_method_waitstatus"] = Property("integer", [status])
        if instance.log_noted:
            props["logfile"] = Property("astring", [self.logs.path(instance.fmri)])
        group = PropertyGroup("framework", props, volatile=True)
        entity = self.repository.entities.get(instance.fmri)
        if entity is not None:
            self.repository.put(entity, "restarter", group)

    def say(self, instance: Instance, message: str) -> None:
        """Write a line to the log of an instance."""
        instance.log_noted = True
        self.logs.instance(instance.fmri, message)

    def abandon(self, instance: Instance) -> None:
        """Give up the contract of an instance; processes in it live on, on their own."""
        self.executor.forget_child(instance)
        if instance.contract is not None:
            self.contracts.close(instance.contract)
            instance.contract = None

    def failed_log(self, instance: Instance, how: str) -> None:
        """Write to svc.startd.log why an instance went to maintenance."""
        name = fmris.short(instance.fmri)
        self.logs.startd(f"{name} {how} (see 'svcs -xv' for details)")

    # --- the end of the zone

    def shut_next(self) -> None:
        """Stop every running instance on which no other running one depends."""
        for instance in list(self.instances.values()):
            if instance.up and not instance.moving and instance.fmri != fmris.RESTARTER:
                users = (user for user, _group in self.graph.dependents(instance.fmri))
                if not any(u is not instance and (u.up or u.run is not None) for u in users):
                    instance.enabled = False
                    self.stop(instance, "disable")

    @property
    def quiet(self) -> bool:
        """Has every instance stopped?"""
        return not any(
            i.run is not None or (i.up and i.fmri != fmris.RESTARTER)
            for i in self.instances.values()
        )
