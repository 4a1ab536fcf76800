"""Action plugin: which hosts of the inventory are the machines of a cluster.

    - cluster_machines:
        cluster: ipython
        ids: [...]         # those that a task has just made or kept; default: all of the cluster
      register: here       # see below

Tags and groups are anybody's: a machine may have the tags cluster and role and be somebody else's
database, and groups of my-app and my_app have one name. What decides is the tag ipython_cluster,
which only this project writes.

Returns, as names of hosts: `all`, `controllers`, `engines`, and `strangers`, which share the tag
`cluster` and are none of them. `probed`: the engines' machines with all that they may call
themselves. `bootstrap` and `engines_per_machine`: what the machines were made with, empty if that
is not known.

It runs on the machine of the user, and asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

MARK = "ipython_cluster"


@dataclass(frozen=True)
class Host:
    """A machine in the inventory."""

    name: str
    variables: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The machine's id."""
        return str(self.variables.get("sdc_id") or "")

    @property
    def tags(self) -> Mapping[str, Any]:
        """The machine's tags."""
        tags: Mapping[str, Any] = self.variables.get("sdc_tags") or {}
        return tags

    def aliases(self) -> list[str]:
        """Everything by which an engine may know its machine.

        A machine's host name is its id, or, in accounts with CNS, its name with everything but
        letters, digits and hyphens made a hyphen (sdc-cloudapi, lib/machines.js).
        """
        name = str(self.variables.get("sdc_name") or self.name)
        known = [self.id, name, re.sub("[^a-z0-9-]", "-", name.lower())]
        return list(dict.fromkeys([*known, *map(str, self.variables.get("sdc_ips") or ())]))


def sort_out(hosts: Iterable[Host], cluster: str, ids: Iterable[str] | None) -> dict[str, Any]:
    """The plugin's result; KeyError with the ids that no host has."""
    known = list(hosts)
    own = [host for host in known if str(host.tags.get(MARK, "")) == cluster]
    if ids is not None:
        wanted = set(ids)
        own = [host for host in known if host.id in wanted]
        missing = wanted - {host.id for host in own}
        if missing:
            raise KeyError(*sorted(missing))
    engines = [host for host in own if host.tags.get("role") == "engine"]
    ours = {host.name for host in own}
    return {
        "all": [host.name for host in own],
        "controllers": [host.name for host in own if host.tags.get("role") == "controller"],
        "engines": [host.name for host in engines],
        "probed": [{"name": host.name, "aliases": host.aliases()} for host in engines],
        "strangers": [
            host.name
            for host in known
            if host.name not in ours and str(host.tags.get("cluster", "")) == cluster
        ],
        "bootstrap": _common(own, "bootstrap") or ("ssh" if own else ""),
        "engines_per_machine": _common(engines, "engines_per_machine"),
    }


def _common(hosts: Iterable[Host], tag: str) -> str:
    """The value of a tag that some of the machines have; empty if they have several."""
    values = {str(host.tags[tag]) for host in hosts if tag in host.tags}
    return values.pop() if len(values) == 1 else ""


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("cluster", "ids"))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "cluster": {"type": "str", "required": True},
                "ids": {"type": "list", "elements": "str"},
            }
        )
        variables = task_vars or {}
        hostvars = variables["hostvars"]
        # as they are: a name or a tag that looks like a template is none
        hosts = [Host(name, hostvars.raw_get(name)) for name in variables["groups"]["all"]]
        try:
            found = sort_out(hosts, options["cluster"], options["ids"])
        except KeyError as error:
            raise AnsibleActionFail(
                f"{len(error.args)} machine(s) of the cluster are not in the inventory: "
                f"{', '.join(error.args)}. Does it ask another data center or account than the "
                "modules do (inventory/sdc.yml), or leave machines out?"
            ) from error
        return {**result, **found, "changed": False}
