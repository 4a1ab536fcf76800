#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: firewall rules of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_firewall_rule
short_description: Firewall rules of a SmartDataCenter (Triton) account
description:
  - Adds, changes and removes firewall rules. They apply to machines with C(firewall_enabled).
  - A rule is recognised by O(id), else by O(description), else by its text. Texts of which the
    data center makes the same rule are the same.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  id:
    description:
      - Id of an existing rule.
    type: str
  rule:
    description:
      - The rule, such as C(FROM any TO tag "role" = "web" ALLOW tcp PORT 80). In C(vm NAME) the
        name of a machine may stand for its id. Keywords are all upper or all lower case. What is
        no rule is refused before anything is asked or changed, as the data center would.
    type: str
  description:
    description:
      - What the rule is for. Rules of the account with the same description are the same rule, so
        its text can be changed.
    type: str
  enabled:
    description:
      - Whether the rule is in force. A new rule is, unless this says otherwise.
    type: bool
  log:
    description:
      - Whether connections that the rule decides on are logged.
    type: bool
  state:
    description:
      - Whether it shall exist.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [sdc, sdc.changes]
"""

EXAMPLES = r"""
- name: Web servers are reached by everybody
  sdc_firewall_rule:
    description: web
    rule: FROM any TO tag "role" = "web" ALLOW tcp (PORT 80 AND PORT 443)

- name: No longer
  sdc_firewall_rule:
    description: web
    state: absent
"""

RETURN = r"""
rule:
  description: The rule, in check mode as it would be; null when it is gone.
  returned: success
  type: dict
  sample:
    id: 38de17c4-39e8-48c7-a168-0f58083de860
    rule: FROM any TO tag "role" = "web" ALLOW tcp PORT 80
    enabled: true
    description: web
data_center:
  description: Name and URL of the data center and where the settings came from.
  returned: always
  type: dict
  sample: {name: localdc, url: "http://127.0.0.1:8080", account: localdc, source: embedded}
code:
  description: CloudAPI error code, when a request failed.
  returned: failure
  type: str
  sample: InvalidCredentials
status:
  description: HTTP status, when a request failed.
  returned: failure
  type: int
  sample: 401
request_id:
  description: Id of the failed request in the data center's logs.
  returned: failure
  type: str
machine_id:
  description: Id of the machine that the failure is about.
  returned: failure
  type: str
"""

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors, firewall, lookup
from ansible.module_utils.sdc.once import once
from ansible.module_utils.sdc.resource import Record, Resource

OPTIONS: dict[str, Any] = {
    "id": {"type": "str"},
    "rule": {"type": "str"},
    "description": {"type": "str"},
    "enabled": {"type": "bool"},
    "log": {"type": "bool"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}

MACHINE = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<vm>(?<![\w-])(?:vm|VM)\s+)(?P<quote>"?)(?P<name>[A-Za-z0-9][\w.-]*)(?P=quote)""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)
"""A machine in a rule, by id or name, or a string, in which there is none."""

SOME_ID = "00000000-0000-0000-0000-000000000000"


class FirewallRule(Resource):
    """One rule by id, description or text."""

    options = OPTIONS
    kind = "rule"

    @cached_property
    def text(self) -> str | None:
        """The wanted rule as the data center writes it, with machines' ids in place of names."""
        return self._normal(lambda name: str(self.machine(name)["id"]))

    def _normal(self, identify: Callable[[str], str]) -> str | None:
        def with_id(match: re.Match[str]) -> str:
            if match["string"]:
                return match[0]
            name = match["name"]
            return match["vm"] + (name if lookup.is_uuid(name) else identify(name))

        if not self.params["rule"]:
            return None
        rule = MACHINE.sub(with_id, self.params["rule"])
        try:
            return firewall.normalise(rule)
        except errors.UsageError as exc:
            raise Refused(f"rule: {exc}") from None

    def find(self) -> Record | None:
        ident, description = self.params["id"], self.params["description"]
        # refuses what is no rule before there is a request
        self._normal(lambda name: SOME_ID)
        if ident:
            return self._by_id(ident)
        if not description and not self.text:
            raise Refused("say which rule: give id, description or rule")
        rules = self.api.fwrules()
        found = [r for r in rules if description and r.get("description") == description]
        if not found and self.text:
            wanted = firewall.key(self.text)
            found = [r for r in rules if firewall.key(r["rule"]) == wanted]
        if len(found) > 1:
            ids = ", ".join(rule["id"] for rule in found)
            raise Refused(f"{len(found)} rules fit; give id: {ids}")
        return found[0] if found else None

    def _by_id(self, ident: str) -> Record | None:
        try:
            return self.api.fwrule(ident)
        except errors.NotFound:
            if self.params["state"] == "absent":
                return None
            raise Refused(
                f"there is no firewall rule {ident}; leave id out to create one"
            ) from None

    def wanted(self) -> Record:
        wanted = {name: self.params[name] for name in ("description", "enabled", "log")}
        wanted["rule"] = self.text
        return {name: value for name, value in wanted.items() if value is not None}

    def title(self, thing: Mapping[str, Any]) -> str:
        return str(thing.get("description") or thing.get("id") or thing["rule"])

    def same(self, name: str, before: Any, after: Any) -> bool:
        if name == "rule":
            return firewall.key(before) == firewall.key(after)
        # left out of answers while they are nothing
        nothing = name in ("log", "description") and not before and not after
        return bool(before == after) or nothing

    def new(self) -> Record:
        if not self.text:
            raise Refused(f"{self.params['description']!r} has to be added, which needs rule")
        return {"enabled": True, **self.wanted()}

    def create(self, new: Record) -> Record:
        return once(self.api, lambda: self.api.create_fwrule(**new), self.find)

    def update(self, thing: Record, changes: Record) -> Record:
        return self.api.update_fwrule(thing["id"], **changes)

    def delete(self, thing: Record) -> None:
        self.api.delete_fwrule(thing["id"])


def main() -> None:
    """Entry point."""
    FirewallRule().run()


if __name__ == "__main__":
    main()
