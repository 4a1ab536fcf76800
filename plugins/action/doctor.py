"""Action plugin: what stands in the way of a cluster, found out by questions alone.

    - doctor:
        package: sample-1G            # all as a run of site.yml is told them, empty for its choice
        image: base-64-lts
        networks: [external, internal]
      register: doctor                # findings, reached, and the names that can be had

`findings`: dicts of `topic`, `state` (ok, note, problem, not known) and `says`. `reached`: whether
the data center answers, takes the key and shows its machines. `package`, `image`, `networks`: those
that were said, empty where they cannot be had.

It runs on the machine of the user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from smartdc.client import Client
from smartdc.config import Settings, resolve
from smartdc.doctor import Finding, access, here, offers, rights
from smartdc.errors import NoDataCenter, SmartDCError

PATIENCE = 15.0
"""Seconds for a call with its repetitions, unless SDC_TIMEOUT says otherwise."""
DEFAULT_IMAGE = "base-64-lts"

Findings = list[Finding]


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("package", "image", "networks"))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "package": {"type": "str", "default": ""},
                "image": {"type": "str", "default": ""},
                "networks": {"type": "list", "elements": "str", "default": []},
            }
        )
        variables = task_vars or {}
        way = variables.get("sdc_ssh") or {}
        findings, api = _data_center()
        local = [here.ssh(api, way), here.ipyparallel()]
        usable, unreadable = dict(options), _inventory(variables)
        if api is not None:
            with api:
                findings += _offered(api, options, usable)
            findings += unreadable
        found = [*findings, *local]
        return {
            **result,
            **usable,
            "changed": False,
            "reached": api is not None and not unreadable,
            "findings": [asdict(finding) for finding in found],
        }


def _data_center() -> tuple[Findings, Client | None]:
    """The findings of the first request, and a client if it was accepted."""
    try:
        settings = resolve()
    except NoDataCenter as error:
        return [access.embedded(error.message)], None
    except SmartDCError as error:
        return [Finding("Data center", "problem", str(error))], None
    try:
        api = settings.connect(**({} if settings.timeout else {"patience": PATIENCE}))
    except SmartDCError as error:
        where = f"{settings.name} ({settings.url}), settings from: {settings.source}"
        return [
            Finding("Data center", "not known", f"{where}; no request can be signed"),
            Finding("Key", "problem", str(error)),
        ], None
    return _asked(api, settings)


def _asked(api: Client, settings: Settings) -> tuple[Findings, Client | None]:
    try:
        found = access.knock(api, settings)
    except SmartDCError as error:
        # of an agent that does not sign
        api.close()
        return [Finding("Key", "problem", str(error))], None
    if not found.accepted:
        api.close()
        return found.findings, None
    return [
        *found.findings,
        *rights.rights(api, settings),
        access.cns(found.account),
    ], api


def _offered(api: Client, options: Mapping[str, Any], usable: dict[str, Any]) -> Findings:
    """Findings about what was named; what cannot be had is taken out of `usable`."""
    looks: dict[str, Callable[[], Finding]] = {
        "package": lambda: offers.package(api, options["package"]),
        "image": lambda: offers.image(api, options["image"] or DEFAULT_IMAGE),
        "networks": lambda: offers.networks(api, options["networks"]),
    }
    findings = []
    for name, look in looks.items():
        findings.append(look())
        if findings[-1].state == "problem":
            usable[name] = [] if name == "networks" else ""
    return [*findings, offers.limits(api)]


def _inventory(variables: Mapping[str, Any]) -> Findings:
    """Without the inventory no playbook finds machines."""
    reason = variables.get("sdc_inventory_error")
    if reason or "sdc_ssh" not in variables:
        return [Finding("Inventory", "problem", str(reason or "a warning above says why"))]
    return []
