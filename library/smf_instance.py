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
      - Full FMRI of the instance, C(svc:/category/service:instance), or of several that are to be
        alike. Several are started at the same time.
    type: list
    elements: str
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

- name: Two engines on one machine
  smf_instance:
    fmri:
      - svc:/pkgsrc/ipyparallel:engine-1
      - svc:/pkgsrc/ipyparallel:engine-2
    state: online
    properties:
      config/url: tcp://10.99.0.11:20000

- name: Controller stopped
  smf_instance:
    fmri: svc:/pkgsrc/ipyparallel:controller
    state: disabled
"""

RETURN = r"""
instances:
  description:
    - What became of each instance. With one instance the same keys are found in the result itself.
  returned: always
  type: list
  elements: dict
  contains:
    fmri:
      description: The instance.
      type: str
      sample: svc:/pkgsrc/ipyparallel:engine
    smf_state:
      description: State of the instance at the end, as the restarter reports it.
      type: str
      sample: online
    next_state:
      description: State that the instance is on its way to, or V(none).
      type: str
      sample: none
    auxiliary_state:
      description: Reason for the state, when SMF gives one.
      type: str
      sample: restarting_too_quickly
    actions:
      description: What was done, in order.
      type: list
      elements: str
      sample: [configure, enable]
    changed_properties:
      description: Names of properties that were set.
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.difference import Differences
from ansible.module_utils.smf.repository import Smf, SmfError
from ansible.module_utils.smf.service import Instance
from ansible.module_utils.smf.wait import WaitFailed

ARGUMENTS: dict[str, Any] = {
    "fmri": {"type": "list", "elements": "str", "required": True, "aliases": ["name"]},
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


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    smf, differences = Smf(module), Differences()
    instances: list[Instance] = []

    def result() -> dict[str, Any]:
        found = [instance.result() for instance in instances]
        only = found[0] if len(found) == 1 else {}
        diff = differences.as_diff()
        return {"changed": bool(differences), "diff": diff, **only, "instances": found}

    try:
        for fmri in dict.fromkeys(module.params["fmri"]):
            instances.append(Instance(smf, fmri, module.params, differences))
        for instance in instances:
            instance.plan()
        if module.check_mode:
            for instance in instances:
                instance.predict()
            module.exit_json(**result())
        for instance in instances:
            instance.apply()
        for instance in instances:
            instance.settle()
    except WaitFailed as exc:
        state = {"smf_state": exc.state.state, "auxiliary_state": exc.state.auxiliary}
        log = {"log": exc.log, "logfile": exc.state.logfile}
        module.fail_json(msg=str(exc), **{**result(), **state, **log})
    except SmfError as exc:
        module.fail_json(msg=str(exc), **result())
    module.exit_json(**result())


if __name__ == "__main__":
    main()
