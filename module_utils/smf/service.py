"""One SMF instance on its way to what a task wants: read, plan, apply, settle."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.difference import Differences
from ansible.module_utils.smf.repository import (
    FMRI,
    Properties,
    Property,
    Smf,
    SmfError,
    setprop,
    wanted_property,
)
from ansible.module_utils.smf.wait import RUNNING, State, Waiter

IMPLIED = {"online": True, "restarted": True, "disabled": False}


class Instance:
    """An instance and the options of smf_instance.

    `plan` decides and describes, `apply` runs the commands, `settle` waits; so the instances of
    one task start at the same time.
    """

    def __init__(self, smf: Smf, fmri: str, params: dict[str, Any], diff: Differences) -> None:
        self.smf = smf
        self.fmri = fmri
        self.params = params
        self.differences = diff
        self.actions: list[str] = []
        self.changed_properties: list[str] = []
        self.state: State | None = None
        self._enabled = self._wanted_enabled()
        self._before = State.of({})
        self._commands: list[str] = []
        self._steps: list[str] = []

    def result(self) -> dict[str, Any]:
        """What the module says about this instance."""
        result: dict[str, Any] = {
            "fmri": self.fmri,
            "actions": self.actions,
            "changed_properties": self.changed_properties,
            "smf_state": self.state.state if self.state else "absent",
            "next_state": self.state.next_state if self.state else "none",
        }
        if self.state and self.state.auxiliary not in ("none", "-"):
            result["auxiliary_state"] = self.state.auxiliary
        return result

    def _wanted_enabled(self) -> bool | None:
        match = FMRI.fullmatch(self.fmri)
        if match is None or match["instance"] is None:
            raise SmfError(
                f"{self.fmri!r} is not the full FMRI of an instance; "
                "write svc:/category/service:instance"
            )
        enabled: bool | None = self.params["enabled"]
        implied = IMPLIED.get(self.params["state"])
        if enabled is not None and implied is not None and enabled != implied:
            raise SmfError(
                f"state {self.params['state']} contradicts enabled {enabled}; leave one out"
            )
        return implied if enabled is None else enabled

    # --- plan ------------------------------------------------------------------------------

    def plan(self) -> None:
        """Read the instance and decide what has to be done."""
        properties = self.smf.read(self.fmri)
        if properties is not None:
            self.state = self._before = State.of(properties)
        if self.params["state"] == "absent":
            self._plan_absent()
            return
        was_enabled = _is_enabled(properties or {})
        edits = self._edits(properties or {})
        if properties is None:
            self.differences.add(self.fmri, "instance", None, "new")
        if self._enabled is not None:
            self.differences.add(self.fmri, "enabled", was_enabled, self._enabled)
        if edits or properties is None:
            self._commands = [*self._prologue(properties), *edits, "refresh"]
        self._steps = self._transitions(was_enabled, edited=bool(edits))
        self._note_steps()

    def _plan_absent(self) -> None:
        if self.state is None:
            return
        self.differences.add_thing(self.fmri, {"state": self.state.state}, None)
        stopped = self.state.state in ("disabled", "uninitialized") and self.state.settled
        self._steps = ["delete"] if stopped else ["disable", "delete"]

    def _edits(self, present: Properties) -> list[str]:
        """The svccfg commands that bring the properties to their wanted values."""
        edits: list[str] = []
        for secret, options in ((False, "properties"), (True, "secret_properties")):
            for name, value in self.params[options].items():
                old = present.get(name)
                new = wanted_property(name, value, old)
                if secret:
                    edits += self._guard(name, present)
                    # an old key in a log is as bad as the new one
                    self.smf.module.no_log_values.update(filter(None, old.values if old else ()))
                if self._differs(name, old, new, secret):
                    edits.append(setprop(name, new))
                    self.changed_properties.append(name)
        return edits

    def _guard(self, name: str, present: Properties) -> list[str]:
        """Commands that make the group of a secret unreadable for others."""
        guard = f"{name.partition('/')[0]}/read_authorization"
        if guard in present or guard in self.changed_properties:
            return []
        new = Property("astring", (self.params["read_authorization"],))
        self._differs(guard, None, new, False)
        self.changed_properties.append(guard)
        return [setprop(guard, new)]

    def _differs(self, name: str, old: Property | None, new: Property, secret: bool) -> bool:
        if old == new:
            return False
        was = None if old is None else old.value
        if was == new.value and old is not None:
            return self.differences.add(
                self.fmri, name, f"{old.type}: {was}", f"{new.type}: {new.value}", secret=secret
            )
        return self.differences.add(self.fmri, name, was, new.value, secret=secret)

    def _prologue(self, properties: Properties | None) -> list[str]:
        """Commands that select the instance and add what setprop needs to exist."""
        service, _, instance = self.fmri.rpartition(":")
        if properties is None:
            lines = [f"select {service}", f"add {instance}", f"select {self.fmri}"]
            lines += ["addpg general framework", "setprop general/enabled = boolean: false"]
            own = {"general"}
        else:
            lines, own = [f"select {self.fmri}"], self.smf.own_groups(self.fmri)
        groups = dict.fromkeys(name.partition("/")[0] for name in self.changed_properties)
        return lines + [f"addpg {group} application" for group in groups if group not in own]

    def _transitions(self, was_enabled: bool, *, edited: bool) -> list[str]:
        """The svcadm subcommands that lead to the wanted state."""
        state = self._before.state
        if self._enabled is False:
            return ["disable"] if was_enabled or state == "maintenance" else []
        steps = ["enable"] if self._enabled and not was_enabled else []
        will_run = was_enabled or bool(self._enabled)
        if state == "maintenance" and will_run and self.params["clear"]:
            return [*steps, "clear"]
        restart = edited or self.params["restart"] or self.params["state"] == "restarted"
        if restart and was_enabled and state in RUNNING:
            steps.append("restart")
        return steps

    def _note_steps(self) -> None:
        """Let what no property shows count as a change."""
        if "clear" in self._steps:
            self.differences.add(self.fmri, "state", self._before.state, "online")
        elif "restart" in self._steps:
            self.differences.add(self.fmri, "restarted", None, True)
        elif "disable" in self._steps:
            self.differences.add(self.fmri, "state", self._before.state, "disabled")

    # --- apply -----------------------------------------------------------------------------

    def predict(self) -> None:
        """What `apply` would do, for check mode."""
        self.actions = (["configure"] if self._commands else []) + self._steps

    def apply(self) -> None:
        """Run the commands, all but the one that has to wait for another."""
        if self._commands:
            self.smf.configure(self._commands)
            self.actions.append("configure")
        for step in self._steps:
            if step != "delete":
                self.smf.check("svcadm", step, self.fmri)
                self.actions.append(step)

    def settle(self) -> None:
        """Wait for the wanted state, if the task wants to wait."""
        waiter = Waiter(self.smf, self.fmri, self.params["wait_timeout"], self.params["settle"])
        if self.params["state"] == "absent":
            if "disable" in self._steps:
                waiter.wait(("disabled", "maintenance"))
            if "delete" in self._steps:
                self.smf.check("svccfg", "delete", "-f", self.fmri)
                self.actions.append("delete")
            self.state = None
        elif not self.params["wait"] or (self._enabled is None and not self._steps):
            self.state = waiter.now()
        elif self._enabled is False:
            self.state = waiter.wait(("disabled",))
        else:
            self.state = waiter.wait(RUNNING, after=self._before if self._steps else None)


def _is_enabled(properties: Properties) -> bool:
    """Whether the instance is to run, a temporary override included."""
    for name in ("general_ovr/enabled", "general/enabled"):
        if name in properties:
            return properties[name].value == "true"
    return False
