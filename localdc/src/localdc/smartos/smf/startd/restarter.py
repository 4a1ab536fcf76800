"""svc.startd's restarter: moves instances between their states (restarter.c, method.c).

Everything happens in the event loop. An instance whose method runs is *in transition*; requests
for it wait in its queue until the method's result is known.
"""

from __future__ import annotations

from .. import fmri as fmris
from ..model import boolean_of, value_of
from .dependency import RESTART_ON, dependencies
from .execution import Executor
from .graph import SATISFIED, Graph
from .instance import WAIT_FAILURE_RATE, WAIT_THROTTLE, Instance
from .transitions import Transitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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

    def __init__(self, states: Transitions) -> None:
        self.states = states
        self.repository = states.repository
        self.contracts = states.contracts
        self.loop = states.loop
        self.states.tell = self._tell
        self.instances = self.states.instances
        self.graph = Graph(self.instances)
        self.executor = Executor(self.states, self.stop)
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
        self.states.publish(instance)
        if fmri == fmris.RESTARTER:
            instance.enabled, instance.style = True, "transient"
            self.states.commit(instance, "online", "none")
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
        self.states.abandon(instance)
        self.states.dirty = True

    def configure(self, instance: Instance) -> None:
        """Read styles and dependencies from the running snapshot."""
        groups = self.repository.effective(instance.fmri)
        instance.configure(groups)
        instance.dependencies = dependencies(groups)
        self.graph.changed()
        self.states.dirty = True

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
        self.states.dirty = True
        self.states.request(instance, lambda: self._enable(instance, wanted, admin))

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

        self.states.request(instance, act)

    def refresh(self, fmri: str) -> None:
        """``svcadm refresh``: the running snapshot becomes the current configuration."""
        self.repository.take(fmri, "running")
        instance = self.instances.get(fmri)
        if instance is None:
            self.add(fmri)
            return
        self.states.request(instance, lambda: self._refresh(instance))

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
                self.states.commit(instance, "online", "none", aux="clear_request")

        self.states.request(instance, act)

    def mark(self, fmri: str, state: str, immediate: bool) -> None:
        """``svcadm mark``: to maintenance (after a stop, or immediately) or degraded."""
        instance = self.instances.get(fmri)
        if instance is None:
            return

        def act() -> None:
            if state == "maintenance":
                self.maintain(instance, "administrative_request", immediate)
            elif instance.state == "online":
                self.states.commit(instance, "degraded", "none", aux="administrative_request")

        self.states.request(instance, act)

    # --- transitions

    def _enable(self, instance: Instance, wanted: bool, admin: bool) -> None:
        instance.enabled_soon = False
        if instance.enabled is wanted and not admin and instance.state != "uninitialized":
            return
        instance.enabled = wanted
        if wanted:
            if instance.state in ("uninitialized", "disabled"):
                self.states.say(instance, "Enabled.")
                self.states.commit(instance, "offline", "none", aux="enable_request")
            return
        if instance.up:
            self.stop(instance, "disable")
        elif instance.state in ("offline", "uninitialized"):
            self.states.abandon(instance)
            self.states.say(instance, "Disabled.")
            self.states.commit(instance, "disabled", "none", "restart", "disable_request")
        elif instance.state == "maintenance" and admin:
            self._unmaintain(instance, "disable requested", "disable_request")
        instance.starts = 0

    def _unmaintain(self, instance: Instance, why: str, aux: str) -> None:
        self.states.say(instance, f"Leaving maintenance because {why}.")
        self.states.abandon(instance)
        instance.faults = 0
        self.states.commit(instance, "uninitialized", "none", "restart", "none")
        self._enable(instance, self.wants(instance.fmri), False)
        instance.auxiliary = aux
        self.states.publish(instance)

    def stop(self, instance: Instance, cause: str) -> None:
        """Stop a running instance for one of `STOP_REASONS`."""
        if not instance.up or instance.moving:
            return
        error, aux, text = STOP_REASONS[cause]
        self.states.say(instance, f"Stopping because {text}.")
        if instance.waits and cause in _EXITS:
            self._child_gone(instance, cause)
            return
        following = "offline" if instance.enabled and not self.states.closing else "disabled"
        self.states.commit(instance, instance.state, following, aux=aux)
        self.executor.begin(instance, "stop", error, aux)

    def _child_gone(self, instance: Instance, cause: str) -> None:
        error, aux, _text = STOP_REASONS[cause]
        instance.faults = 0
        if cause == "config":
            self.states.abandon(instance)
            self.states.failed_log(instance, "failed: transitioned to maintenance")
            self.states.commit(instance, "maintenance", "none", error, aux)
            return

        def leave() -> None:
            instance.throttled = False
            if self.instances.get(instance.fmri) is instance:
                self.states.abandon(instance)
                following = "offline" if instance.enabled else "disabled"
                self.states.commit(instance, following, "none", error, aux)
                self.executor.serve_queue(instance)

        if cause == "exit":
            instance.starts = 0
        elif self.executor.too_quick(instance, WAIT_FAILURE_RATE):
            self.states.say(instance, "Failing too quickly, throttling.")
            instance.throttled = True
            self.states.commit(instance, instance.state, "offline", aux=aux)
            self.executor.sleep(WAIT_THROTTLE, leave)
            return
        leave()

    def maintain(self, instance: Instance, aux: str, immediate: bool = False) -> None:
        """Stop an instance for maintenance."""
        if instance.state == "maintenance":
            return
        self.states.say(instance, f"Stopping for maintenance due to {aux}.")
        if immediate or not instance.up:
            self.states.abandon(instance)
            self.states.commit(instance, "maintenance", "none", "restart", aux)
            return
        self.states.commit(instance, instance.state, "maintenance", aux=aux)
        self.executor.begin(instance, "stop", "restart", aux)

    def _refresh(self, instance: Instance) -> None:
        self.states.say(instance, "Rereading configuration.")
        self.configure(instance)
        if instance.up:
            self.states.commit(instance, instance.state, instance.state)
            self.executor.begin(instance, "refresh", "refresh", None)

    # --- state and its consequences

    def _tell(self, source: Instance, event: str) -> None:
        for instance, dependency in self.graph.dependents(source.fmri):
            if dependency.grouping == "exclude_all":
                hit = event == "start"
            else:
                hit = event in RESTART_ON.get(dependency.restart_on, ())
            if not hit or instance is source:
                continue
            if instance.up or instance.moving:
                self.states.request(instance, lambda i=instance: self.stop(i, "dependency"))  # type: ignore[misc]

    def settle(self) -> None:
        """Start what may run now, until nothing changes any more."""
        while self.states.dirty:
            self.states.dirty = False
            if self.states.closing:
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
            self.states.commit(instance, instance.state, "online", aux="none")
            self.executor.begin(instance, "start", "none", "dependencies_satisfied")
        elif instance.checked != self.graph.version:
            instance.checked = self.graph.version
            if self.graph.cycle(instance):
                self.maintain(instance, "dependency_cycle")

    # --- the end of the zone

    def shut_next(self) -> None:
        """Stop every running instance on which no other running one depends."""
        for instance in list(self.instances.values()):
            if instance.up and not instance.moving and instance.fmri != fmris.RESTARTER:
                users = (user for user, _group in self.graph.dependents(instance.fmri))
                if not any(u is not instance and (u.up or u.run is not None) for u in users):
                    instance.enabled = False
                    self.stop(instance, "disable")

    def close(self) -> None:
        """Stop everything, for good."""
        self.states.closing = self.states.dirty = True

    @property
    def closing(self) -> bool:
        """Is the zone on its way down?"""
        return self.states.closing

    @property
    def quiet(self) -> bool:
        """Has every instance stopped?"""
        return not any(
            i.run is not None or (i.up and i.fmri != fmris.RESTARTER)
            for i in self.instances.values()
        )
