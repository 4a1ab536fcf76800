#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: which machines an account has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_machine_info
short_description: Machines that a SmartDataCenter (Triton) account has
description:
  - Lists machines, with one request per 1,000.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  name:
    description:
      - Id or name.
      - A pattern as in the shell (C(*), C(?), C([a-z])) lists all that match.
    type: str
  selector:
    description:
      - Only machines with these tags; the data center does the filtering.
    type: dict
  states:
    description:
      - Only machines in these states. C(failed) and C(deleted) ones are listed when they are asked
        for here.
    type: list
    elements: str
  image:
    description:
      - Only machines of this image, by id, V(name@version) or name (the newest version).
    type: str
  package:
    description:
      - Only machines of this package, by name or id.
    type: str
  network:
    description:
      - Only machines with an address in this network or pool of networks, by name or id.
    type: str
  metadata:
    description:
      - Also show metadata. Values of keys that look secret (C(*_pw), C(*key), C(*password),
        C(*secret), C(*token)) are hidden.
    type: bool
    default: false
extends_documentation_fragment: [sdc, sdc.looks]
"""

EXAMPLES = r"""
- name: The engines of a cluster that run
  sdc_machine_info:
    selector: {cluster: ipython, role: engine}
    states: [running]
  register: engines

- name: One machine
  sdc_machine_info:
    name: gateway
"""

RETURN = r"""
machines:
  description: The machines, by name.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d
      name: ipython-engine-001
      state: running
      primary_ip: 100.64.0.12
      package: sample-512M
      tags: {cluster: ipython, role: engine}
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
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.difference import HIDDEN
from ansible.module_utils.sdc.base import SECRET_KEY, shown
from ansible.module_utils.sdc.client import pools
from ansible.module_utils.sdc.info import Info, Record
from ansible.module_utils.sdc.offers import Offers
from ansible.module_utils.sdc.options import LOOKING

OPTIONS: dict[str, Any] = {
    **LOOKING,
    "selector": {"type": "dict"},
    "states": {"type": "list", "elements": "str"},
    "image": {"type": "str"},
    "package": {"type": "str"},
    "network": {"type": "str"},
    "metadata": {"type": "bool", "default": False},
}


class MachineInfo(Info):
    """Machines by id, name, pattern, tags and properties."""

    options = OPTIONS
    kind = "machine"

    def fetch(self) -> list[Record]:
        offers, params = Offers(self.api), self.params
        filters: dict[str, Any] = {"tags": params["selector"] or None}
        if params["image"]:
            filters["image"] = offers.image(params["image"])["id"]
        if params["package"]:
            filters["package"] = offers.package(params["package"])["name"]
        if {"failed", "deleted"} & set(params["states"] or ()):
            filters["tombstone"] = True
        machines = self.api.list_machines(**filters)
        self.network = params["network"] and offers.network(params["network"])["id"]
        self.offers = offers
        return sorted(machines, key=lambda m: (str(m.get("name")), str(m.get("id"))))

    def fits(self, thing: Mapping[str, Any]) -> bool:
        states = self.params["states"]
        if states and thing.get("state") not in states:
            return False
        return not self.network or bool(self.offers.pools.on(pools.interfaces(thing), self.network))

    def view(self, thing: Record) -> Record:
        view = shown(thing)
        view["nics"] = thing.get("nics") or []
        if self.params["metadata"]:
            values = thing.get("metadata") or {}
            view["metadata"] = {
                key: HIDDEN if SECRET_KEY.search(key) else value for key, value in values.items()
            }
        return view


def main() -> None:
    """Entry point."""
    MachineInfo().run()


if __name__ == "__main__":
    main()
