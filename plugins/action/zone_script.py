"""Action plugin: run a POSIX shell script of a role in a zone that has no Python yet.

    - zone_script:
        src: bootstrap.sh                 # in the role's files/
        values: {packages: [python312]}   # become shell variables; lists are joined by blanks
        render: false                     # true: run nothing, return the text as "script"

Several scripts that work with the same variables are given as a list and run as one.

The script reports on its standard output: a line "changed: ..." for every change that it
made, "fact: name=value" for what the role wants to know, and "failed: ..." for what the user is
to read when it exits with another status than 0. In check mode the variable check_mode is
"yes", and the script says what it would change. The same scripts run at boot, without Ansible,
in machines that configure themselves: that is what render is for.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase


def assignments(values: dict[str, Any]) -> str:
    """Shell code that sets the variables."""
    lines = []
    for name, value in values.items():
        if not str(name).isidentifier():
            raise AnsibleActionFail(f"zone_script: {name!r} is not a name for a shell variable")
        words = value if isinstance(value, list) else [value]
        lines.append(f"{name}={shlex.quote(' '.join(str(word) for word in words))}")
    return "\n".join(lines)


def reported(output: str, keyword: str) -> list[str]:
    """The texts of the lines that start with the keyword."""
    prefix = keyword + ": "
    return [line.removeprefix(prefix) for line in output.splitlines() if line.startswith(prefix)]


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("src", "values", "render"))
    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        sources = self._task.args.get("src")
        if not sources:
            raise AnsibleActionFail("zone_script needs src, the name of a script")
        sources = sources if isinstance(sources, list) else [sources]
        values = dict(self._task.args.get("values") or {})
        files = [Path(self._find_needle("files", source)) for source in sources]
        text = "".join(file.read_text() for file in files)
        if boolean(self._task.args.get("render", False)):
            values["check_mode"] = ""
            return {**result, "changed": False, "script": f"{assignments(values)}\n{text}"}
        values["check_mode"] = "yes" if self._task.check_mode else ""
        # The shell reads the script from its standard input, so that neither root's login
        # shell nor a limit on arguments matters; what the script runs must not read it too.
        script = f"main() {{\n{assignments(values)}\n{text}\n}}\nmain </dev/null\n"
        reply = self._low_level_execute_command("/bin/sh -s", in_data=script.encode())
        changes = reported(reply["stdout"], "changed")
        facts = dict(fact.split("=", 1) for fact in reported(reply["stdout"], "fact"))
        result.update(changed=bool(changes), changes=changes, facts=facts)
        if self._task.diff and changes:
            result["diff"] = {"prepared": "".join(f"+ {change}\n" for change in changes)}
        if reply["rc"] != 0:
            reasons = reported(reply["stdout"], "failed")
            tail = (reply["stdout"] + reply["stderr"]).strip().splitlines()[-15:]
            message = "\n".join(
                reasons or [f"{sources[-1]} ended with status {reply['rc']}:", *tail]
            )
            result.update(failed=True, msg=message, rc=reply["rc"])
        return result
