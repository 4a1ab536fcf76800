"""How an instance gets from state to state: what is written down, and who is told."""

from __future__ import annotations

import time

from .. import fmri as fmris
from ..model import UP, Property, PropertyGroup
from .contracts import Contracts
from .instance import Instance
from .logs import Logs
from .loop import Loop
from .repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Transitions:
    """The instances of the zone, and everything that a change of their state touches.

    `tell` is called with an instance and the event for its dependents, `children` are the
    processes that are wait services; `dirty` says that something may be able to run now.
    """

    tell: Callable[[Instance, str], None]

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
        self.children: dict[int, Instance] = {}
        self.closing = False
        self.dirty = False

    def request(self, instance: Instance, act: Callable[[], None]) -> None:
        """Do `act` now, or when the method that runs has ended."""
        if instance.moving:
            instance.queue.append(act)
        else:
            act()

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
            self.tell(instance, "start")
        elif (was_up and state not in UP) or (event == "refresh" and old == state):
            self.tell(instance, event)

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
        self.children.pop(instance.wait_pid, None)
        instance.wait_pid = 0
        if instance.contract is not None:
            self.contracts.close(instance.contract)
            instance.contract = None

    def failed_log(self, instance: Instance, how: str) -> None:
        """Write to svc.startd.log why an instance went to maintenance."""
        name = fmris.short(instance.fmri)
        self.logs.startd(f"{name} {how} (see 'svcs -xv' for details)")
