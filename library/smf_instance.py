#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: an SMF service instance, its properties and its state."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smf_instance
short_description: Properties and state of an SMF service instance
description:
  - Sets properties, refreshes and restarts the instance when something changed, enables or disables
    it and waits for the result.
  - One C(svcprop) reads everything, one C(svccfg) fed through stdin writes everything, so that no
    value appears in the process list.
  - Waiting follows the state columns of C(svcs). C(ON -) is done, C(MNT) fails at once with the
    tail of the service log, C(OFF ON) is patience until O(wait_timeout).
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
options:
  fmri:
    description:
      - Full FMRI of the instance, C(svc:/category/service:instance).
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(present) makes sure that the instance exists (created empty below its service when it does
        not) and has the properties.
      - V(online) is V(present) and O(enabled=true), V(disabled) is V(present) and
        O(enabled=false).
      - V(restarted) is V(online) and always restarts.
      - V(absent) disables the instance, waits until it has stopped and deletes it.
    type: str
    choices: [present, online, disabled, restarted, absent]
    default: present
  enabled:
    description:
      - Whether the instance shall run, now and after each boot.
    type: bool
  properties:
    description:
      - Properties by C(group/name). A value is a string (C(astring)), an integer (C(integer)), a
        boolean (C(boolean)), a list of strings, or a dict of C(type) and C(value).
      - Property groups that do not exist are added with type C(application).
      - Properties that are not named are left alone.
    type: dict
    default: {}
  secret_properties:
    description:
      - Properties, strings only, whose values appear in no output.
      - Their property groups get a C(read_authorization), so that only root can read the values.
    type: dict
    default: {}
  read_authorization:
    description:
      - Value of C(read_authorization) for groups of O(secret_properties) that have none.
    type: str
    default: solaris.smf.read
  restart:
    description:
      - Restart although no property changed, for example because a method script did. An instance
        that is not running is not restarted.
    type: bool
    default: false
  clear:
    description:
      - Clear the maintenance state that an instance which shall run is found in.
    type: bool
    default: true
  wait:
    description:
      - Wait until the wanted state is reached.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait.
    type: int
    default: 120
  settle:
    description:
      - Seconds for which an instance has to stay online without being restarted. Helps with
        services of the wait model, which are online from the moment they are started.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    description: Changes nothing and reports what would change.
  diff_mode:
    support: full
    description: Shows properties (not the secret ones) and state.
"""

EXAMPLES = r"""
- name: Engine configured and running
  smf_instance:
    fmri: svc:/pkgsrc/ipyparallel:engine
    state: online
    properties:
      config/url: tcp://10.99.0.11:20000
      config/timeout: 60
      config/profile: engine
    secret_properties:
      config/exec_key: "{{ ipcontroller_exec_key }}"
    restart: "{{ ipython_service_manifest is changed }}"

- name: Controller stopped
  smf_instance:
    fmri: svc:/pkgsrc/ipyparallel:controller
    state: disabled
"""

RETURN = r"""
fmri:
  description: The instance.
  returned: always
  type: str
smf_state:
  description: State of the instance at the end, as the restarter reports it.
  returned: always
  type: str
  sample: online
next_state:
  description: State that the instance is on its way to, or V(none).
  returned: always
  type: str
  sample: none
auxiliary_state:
  description: Reason for the state.
  returned: when SMF gives one
  type: str
  sample: restarting_too_quickly
actions:
  description: What was done, in order.
  returned: always
  type: list
  elements: str
  sample: [setprop, refresh, enable]
changed_properties:
  description: Names of properties that were set.
  returned: always
  type: list
  elements: str
  sample: [config/url]
log:
  description: The last lines of the service log.
  returned: failure
  type: list
  elements: str
logfile:
  description: Path of the service log.
  returned: failure
  type: str
"""

from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.difference import Differences
from ansible.module_utils.smf_repository import (
    FMRI,
    Properties,
    Property,
    Smf,
    SmfError,
    setprop,
    wanted_property,
)
from ansible.module_utils.smf_wait import RUNNING, State, Waiter, WaitFailed

ARGUMENTS: dict[str, Any] = {
    "fmri": {"type": "str", "required": True, "aliases": ["name"]},
    "state": {
        "type": "str",
        "default": "present",
        "choices": ["present", "online", "disabled", "restarted", "absent"],
    },
    "enabled": {"type": "bool"},
    "properties": {"type": "dict", "default": {}},
    "secret_properties": {"type": "dict", "default": {}, "no_log": True},
    "read_authorization": {"type": "str", "default": "solaris.smf.read"},
    "restart": {"type": "bool", "default": False},
    "clear": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 120},
    "settle": {"type": "float", "default": 0},
}

IMPLIED = {"online": True, "restarted": True, "disabled": False}


class SmfInstance:
    """One run of the module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.smf = Smf(module)
        self.fmri: str = module.params["fmri"]
        self.differences = Differences()
        self.actions: list[str] = []
        self.changed_properties: list[str] = []

    def run(self) -> None:
        """Do what the parameters say and leave the module."""
        enabled = self._wanted_enabled()
        properties = self.smf.read(self.fmri)
        if self.params["state"] == "absent":
            self._absent(properties)
        else:
            self._present(properties, enabled)

    def fail(self, message: str, **result: Any) -> NoReturn:
        """Leave the module with an error; what was done so far stays in the result."""
        self.module.fail_json(msg=message, **self._result(), **result)

    def _wanted_enabled(self) -> bool | None:
        match = FMRI.fullmatch(self.fmri)
        if match is None or match["instance"] is None:
            self.fail(
                f"{self.fmri!r} is not the full FMRI of an instance; "
                "write svc:/category/service:instance"
            )
        enabled, implied = self.params["enabled"], IMPLIED.get(self.params["state"])
        if enabled is not None and implied is not None and enabled != implied:
            self.fail(f"state {self.params['state']} contradicts enabled {enabled}; leave one out")
        return implied if enabled is None else enabled

    # --- present ---------------------------------------------------------------------------

    def _present(self, properties: Properties | None, enabled: bool | None) -> None:
        before = State.of(properties or {})
        was_enabled = _is_enabled(properties or {})
        commands = self._edits(properties)
        if enabled is not None:
            self.differences.add(self.fmri, "enabled", was_enabled, enabled)
        steps = self._steps(before, was_enabled, enabled, edited=bool(commands))
        self._note_steps(steps, before)
        if self.module.check_mode:
            self.actions = (["configure"] if commands else []) + steps
            self._exit(before)
        if commands:
            self.smf.configure([*self._prologue(properties), *commands, "refresh"])
            self.actions.append("configure")
        for step in steps:
            self.smf.check("svcadm", step, self.fmri)
            self.actions.append(step)
        self._exit(self._wait(before, steps, enabled))

    def _edits(self, properties: Properties | None) -> list[str]:
        """The svccfg commands that bring the properties to their wanted values."""
        present = properties or {}
        edits: list[str] = []
        for secret, options in ((False, "properties"), (True, "secret_properties")):
            for name, value in self.params[options].items():
                old = present.get(name)
                new = wanted_property(name, value, old)
                if secret:
                    edits += self._guard(name, present)
                    # an old key in a log is as bad as the new one
                    self.module.no_log_values.update(filter(None, old.values if old else ()))
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

    def _steps(
        self, before: State, was_enabled: bool, enabled: bool | None, *, edited: bool
    ) -> list[str]:
        """The svcadm subcommands that lead to the wanted state."""
        if enabled is False:
            return ["disable"] if was_enabled or before.state == "maintenance" else []
        steps = ["enable"] if enabled and not was_enabled else []
        will_run = was_enabled or bool(enabled)
        if before.state == "maintenance" and will_run and self.params["clear"]:
            return [*steps, "clear"]
        restart = edited or self.params["restart"] or self.params["state"] == "restarted"
        if restart and was_enabled and before.state in RUNNING:
            steps.append("restart")
        return steps

    def _note_steps(self, steps: list[str], before: State) -> None:
        """Let clear and restart, which no property shows, count as changes."""
        if "clear" in steps:
            self.differences.add(self.fmri, "state", before.state, "online")
        elif "restart" in steps and not self.differences:
            self.differences.add(self.fmri, "restarted", None, True)
        elif "disable" in steps:
            self.differences.add(self.fmri, "state", before.state, "disabled")

    def _wait(self, before: State, steps: list[str], enabled: bool | None) -> State:
        waiter = self._waiter()
        if not self.params["wait"] or (enabled is None and not steps):
            return waiter.now()
        if enabled is False:
            return waiter.wait(("disabled",))
        return waiter.wait(RUNNING, after=before if steps else None)

    def _waiter(self) -> Waiter:
        return Waiter(self.smf, self.fmri, self.params["wait_timeout"], self.params["settle"])

    # --- absent ----------------------------------------------------------------------------

    def _absent(self, properties: Properties | None) -> None:
        if properties is None:
            self._exit(None)
        state = State.of(properties)
        self.differences.add_thing(self.fmri, {"state": state.state}, None)
        self.actions = ["disable", "delete"]
        if not self.module.check_mode:
            if state.state not in ("disabled", "uninitialized") or not state.settled:
                self.smf.check("svcadm", "disable", self.fmri)
                self._waiter().wait(("disabled", "maintenance"), after=None)
            self.smf.check("svccfg", "delete", "-f", self.fmri)
        self._exit(None)

    # --- results ---------------------------------------------------------------------------

    def _result(self) -> dict[str, Any]:
        return {
            "changed": bool(self.differences),
            "fmri": self.fmri,
            "actions": self.actions,
            "changed_properties": self.changed_properties,
            "diff": self.differences.as_diff(),
        }

    def _exit(self, state: State | None) -> NoReturn:
        result = self._result()
        result["smf_state"] = state.state if state else "absent"
        result["next_state"] = state.next_state if state else "none"
        if state and state.auxiliary not in ("none", "-"):
            result["auxiliary_state"] = state.auxiliary
        self.module.exit_json(**result)


def _is_enabled(properties: Properties) -> bool:
    """Whether the instance is to run, a temporary override included."""
    for name in ("general_ovr/enabled", "general/enabled"):
        if name in properties:
            return properties[name].value == "true"
    return False


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    instance = SmfInstance(module)
    try:
        instance.run()
    except WaitFailed as exc:
        instance.fail(
            str(exc),
            smf_state=exc.state.state,
            next_state=exc.state.next_state,
            auxiliary_state=exc.state.auxiliary,
            log=exc.log,
            logfile=exc.state.logfile,
        )
    except SmfError as exc:
        instance.fail(str(exc))


if __name__ == "__main__":
    main()
