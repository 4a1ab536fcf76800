"""Action plugin: which hosts of the inventory are the machines of a cluster.

    - cluster_machines:
        cluster: ipython
        ask: true          # the data center too, which knows of machines that do not run
        adopt: false       # count machines without the mark, too (see smartdc.clusters)
        ids: [...]         # those that a task has just made or kept; default: all of the cluster
      register: here       # see below

Groups are anybody's: those of my-app and my_app have one name, and a machine may have the tags
cluster and role and be somebody else's database. What decides is in smartdc.clusters.

Returns, as names of hosts: `all`, `controllers`, `engines`, and `strangers`, which share the tag
`cluster` and are none of them, those with names of the cluster as `alike`. `probed`: the engines'
machines with all that they may call themselves. With `ask`, what the cluster was made with:
`exists`, `bootstrap`, `wanted_engines`, `engines_per_machine` and `pythons`; and `no_data_center`,
why there is none to ask, else empty.

It runs on the machine of the user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from smartdc import clusters
from smartdc.config import resolve
from smartdc.errors import NoDataCenter, SmartDCError

RECORDED = "ipython.python"
"""The metadata in which machines leave the version of their Python (roles/pkgsrc)."""


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

        A machine's host name is its id, or, in accounts with CNS, what DNS makes of its name.
        """
        name = str(self.variables.get("sdc_name") or self.name)
        known = [self.id, name, clusters.dns_name(name)]
        return list(dict.fromkeys([*known, *map(str, self.variables.get("sdc_ips") or ())]))


def sort_out(hosts: Sequence[Host], own: Sequence[Host], cluster: str) -> dict[str, Any]:
    """The names of the hosts, by what they are."""
    engines = [host for host in own if host.tags.get("role") == "engine"]
    ours = {host.name for host in own}
    strangers = [
        host
        for host in hosts
        if host.name not in ours and str(host.tags.get("cluster", "")) == cluster
    ]
    return {
        "all": [host.name for host in own],
        "controllers": [host.name for host in own if host.tags.get("role") == "controller"],
        "engines": [host.name for host in engines],
        "probed": [{"name": host.name, "aliases": host.aliases()} for host in engines],
        "strangers": [host.name for host in strangers],
        "alike": [host.name for host in strangers if clusters.is_name_of(host.name, cluster)],
    }


def of_one_center(own: Sequence[Host], center: str) -> list[Host]:
    """The hosts that are in the data center which the modules talk to.

    Only asked when an inventory has several: there, its name for one need not be ours.
    """
    centers = {str(host.variables.get("sdc_datacenter")) for host in own}
    if len(centers) < 2:
        return list(own)
    return [host for host in own if str(host.variables.get("sdc_datacenter")) == center]


def made_with(machines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the machines say of their cluster, those that do not run included."""
    found = [dict(machine) for machine in machines]
    texts = {str((m.get("metadata") or {}).get(RECORDED, "")) for m in found}
    versions = [text for text in texts if re.fullmatch(r"3\.\d+", text)]
    return {
        "no_data_center": "",
        "exists": bool(found),
        "bootstrap": clusters.common_tag(found, "bootstrap") or ("ssh" if found else ""),
        "wanted_engines": clusters.engines_of(found),
        "engines_per_machine": clusters.common_tag(found, "engines_per_machine"),
        "pythons": sorted(versions, key=lambda text: int(text.partition(".")[2])),
    }


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("cluster", "ids", "ask", "adopt"))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "cluster": {"type": "str", "required": True},
                "ids": {"type": "list", "elements": "str"},
                "ask": {"type": "bool", "default": False},
                "adopt": {"type": "bool", "default": False},
            }
        )
        cluster, variables = options["cluster"], task_vars or {}
        if "sdc_inventory_error" in variables or "sdc_ssh" not in variables:
            reason = variables.get("sdc_inventory_error") or "the warning above says why"
            raise AnsibleActionFail(
                f"The inventory could not be read, so nothing is known of machines: {reason}"
            )
        asked = self._ask(cluster, options["adopt"]) if options["ask"] else {}
        hostvars = variables["hostvars"]
        # as they are: a name or a tag that looks like a template is none
        hosts = [Host(name, hostvars.raw_get(name)) for name in variables["groups"]["all"]]
        own = self._own(hosts, cluster, options["ids"])
        return {**result, **asked, **sort_out(hosts, own, cluster), "changed": False}

    def _ask(self, cluster: str, adopt: bool) -> dict[str, Any]:
        try:
            with resolve().connect() as api:
                return made_with(clusters.machines_of(api, cluster, adopt))
        except NoDataCenter as error:
            return {**made_with([]), "no_data_center": str(error)}
        except SmartDCError as error:
            raise AnsibleActionFail(str(error)) from error

    def _own(self, hosts: Sequence[Host], cluster: str, ids: list[str] | None) -> list[Host]:
        if ids is None:
            own = [host for host in hosts if str(host.tags.get(clusters.MARK, "")) == cluster]
            return of_one_center(own, self._center()) if own else []
        own = [host for host in hosts if host.id in set(ids)]
        missing = set(ids) - {host.id for host in own}
        # in check mode, what does not run yet has not been started
        if missing and not self._task.check_mode:
            raise AnsibleActionFail(
                f"{len(missing)} machine(s) of the cluster are not in the inventory: "
                f"{', '.join(sorted(missing))}. Does it ask another data center or account than "
                "the modules do (inventory/sdc.yml), or leave machines out?"
            )
        return own

    @staticmethod
    def _center() -> str:
        try:
            return resolve().name
        except SmartDCError:
            return ""
