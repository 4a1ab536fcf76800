"""Action plugin: what a machine answers to a table of shell commands, all in one connection.

    - shell_probe:
        probes: "{{ table }}"    # roles/sdc_verify/vars/inside.yml
      register: looked           # answers

The machine needs no Python.  `{now}` in a command becomes this computer's time, in seconds.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from smartdc.verify.machine import answers, script


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("probes",))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        probes = self._task.args.get("probes")
        if not isinstance(probes, list) or not probes:
            raise AnsibleActionFail("shell_probe needs probes, a list of commands with names")
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "probes change machines"}
        text = f"main() {{\n{script(probes, int(time.time()))}\n}}\nmain </dev/null\n"
        reply = self._low_level_execute_command("/bin/sh -s", in_data=text.encode())
        return {**result, "changed": True, "answers": answers(probes, reply["stdout"])}
