"""A machine on its way to a state, and what is to be asked for next."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.sdc.machine.group import Machine


@dataclass
class Target:
    """A machine on its way to a goal: `running`, `stopped`, `restarted` or `gone`."""

    machine: Machine
    goal: str
    stop_first: bool = True
    unprotect: bool = False
    done: bool = False
    failure: dict[str, Any] | None = None
    asked: set[str] = field(default_factory=set)
    ssh: Future[str] | None = None

    @property
    def id(self) -> str:
        """The machine's id."""
        return str(self.machine["id"])

    @property
    def name(self) -> str:
        """The machine's name."""
        return str(self.machine.get("name") or self.id)

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be done about it."""
        return self.done or self.failure is not None

    @property
    def state(self) -> str:
        """The machine's last known state."""
        return str(self.machine.get("state") or "unknown")

    def fail(self, action: str, message: str, **more: Any) -> None:
        """Note why the goal is not reached."""
        self.failure = {
            "name": self.name,
            "id": self.id,
            "state": self.state,
            "action": action,
            "message": message,
            **more,
        }

    def step(self) -> str | None:
        """The action that the present state calls for; settles `done` and `failure`."""
        if self.goal == "gone":
            return self._step_gone()
        if self.state in ("failed", "deleted"):
            self.fail("provision", self._unprovisioned())
            return None
        if self.goal == "stopped":
            self.done = self.state == "stopped"
            return self._once("stop") if self.state in ("running", "ready") else None
        if self.goal == "restarted" and "start" not in self.asked and self.state == "running":
            return self._once("stop")
        self.done = self.state == "running"
        return self._once("start") if self.state == "stopped" else None

    def _unprovisioned(self) -> str:
        # of a job that failed CloudAPI tells no more than that it did (lib/audit.js)
        if self.state == "deleted":
            return "the machine was deleted"
        return (
            "provisioning failed, and the data center does not say why; often no server has room "
            f"for package {self.machine.get('package') or 'asked for'}. Its operator can tell, "
            f"and needs the id {self.id}"
        )

    def _step_gone(self) -> str | None:
        if self.state == "deleted":
            self.done = True
            return None
        if self.unprotect and self.machine.get("deletion_protection"):
            action = self._once("disable_deletion_protection")
            if action:
                return action
        if self.state in ("running", "ready") and self.stop_first:
            return self._once("stop")
        if self.state in ("provisioning", "stopping"):
            return None
        return self._once("delete")

    def _once(self, action: str) -> str | None:
        if action in self.asked:
            return None
        self.asked.add(action)
        return action
