"""Action plugin: whether what a user has said can be meant, before anything is asked or made.

    - check_variables:
        playbook: site          # the one that runs

Names come from -e alone: an inventory may hold variables for anything. Values are looked at
wherever they were said. All problems are told at once. playbooks/vars/variables.yml says what
there is. It runs on the machine of the user.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "playbooks" / "vars" / "variables.yml"
DERIVED = ROOT / "inventory" / "group_vars" / "all.yml"
OWN = ("ansible_", "molecule_")
"""How names begin that are Ansible's own, or a tool's."""
LONELY = "_raw_params"
"""Where Ansible puts the words of -e that are no NAME=VALUE."""


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("playbook",))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec({"playbook": {"type": "str", "required": True}})
        table: dict[str, dict[str, Any]] = self._loader.load_from_file(str(TABLE))
        said = load_extra_vars(self._loader)
        found = list(_unknown(said, table, self._of_experts(), options["playbook"]))
        values = {
            name: self._templar.template(task_vars[name])
            for name in table
            if task_vars and name in task_vars
        }
        for name, value in values.items():
            problem = _problem(table[name], value, values)
            if problem:
                found.append(f"{name} is {_shown(value)}{problem}. {_advice(name, table[name])}")
        if found:
            raise AnsibleActionFail("\n".join(found))
        return {**result, "changed": False}

    def _of_experts(self) -> Iterator[str]:
        """What is derived from the table's, and the options of all roles: experts may set both."""
        yield from self._loader.load_from_file(str(DERIVED))
        for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
            for entry in self._loader.load_from_file(str(path))["argument_specs"].values():
                yield from entry.get("options", {})
        for path in (ROOT / "roles").glob("*/defaults/main.yml"):
            yield from self._loader.load_from_file(str(path)) or {}


def _unknown(
    said: Mapping[str, Any],
    table: Mapping[str, Mapping[str, Any]],
    of_experts: Iterable[str],
    playbook: str,
) -> Iterator[str]:
    known = {*table, *of_experts}
    for name in said:
        if name == LONELY:
            yield (
                f"{said[name]!r} stands alone in -e: Ansible splits it at blanks. Separate the "
                "elements of a list by commas, or write -e as JSON: "
                '-e \'{"extra_packages": ["pyNN-scipy", "git-base"]}\''
            )
        elif name.startswith(OWN):
            continue
        elif name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"Is {near[0]} meant?" if near else "docs/variables.md says what there is."
            yield f"There is no variable {name}. {hint}"
        elif playbook not in table.get(name, {}).get("for", [playbook]):
            others = " and ".join(f"{other}.yml" for other in table[name]["for"])
            yield f"{name} is for {others}; {playbook}.yml does not use it."


def _problem(rule: Mapping[str, Any], value: Any, values: Mapping[str, Any]) -> str:
    """What is wrong with the value, as the end of a sentence; empty when it can be meant."""
    kind = rule["type"]
    if kind == "integer":
        return _integer(rule, value, values)
    if kind == "bool":
        right = str(value).lower() in ("yes", "no", "true", "false", "1", "0", "on", "off")
        return "" if right else ", neither yes nor no"
    if kind == "choice":
        return "" if value in rule["choices"] else f", not one of: {', '.join(rule['choices'])}"
    if kind in ("words", "requirements"):
        elements = value if isinstance(value, list) else [value]
        return "" if all(isinstance(item, str) for item in elements) else ", no list of texts"
    if not isinstance(value, str):
        return ", no text"
    if kind == "pattern":
        return "" if re.fullmatch(rule["pattern"], value) else ", which cannot be"
    if kind == "word" and re.search(r"\s", value):
        return ", with a blank in it"
    text = kind == "script" and (value.startswith("#!") or "\n" in value)
    if kind in ("file", "script") and value and not text and not Path(value).expanduser().is_file():
        return ", and there is no such file"
    return ""


def _integer(rule: Mapping[str, Any], value: Any, values: Mapping[str, Any]) -> str:
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]+", str(value).strip()):
        return ", no whole number"
    number = int(value)
    if number < rule["min"]:
        return f", less than {rule['min']}"
    limit = rule.get("max")
    if isinstance(limit, str):
        bound = values.get(limit)
        if bound is not None and str(bound).isdigit() and number > int(bound):
            return f", more than {limit} ({bound}) allows: if it is meant, -e {limit}={number}"
    elif limit is not None and number > limit:
        return f", more than {limit}"
    return ""


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"'{text if len(text) < 80 else text[:80] + '…'}'"


def _advice(name: str, rule: Mapping[str, Any]) -> str:
    return f"{rule['says']}, for example -e {name}={rule['example']}"
