#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: the metadata by which the machines of a cluster find each other."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipcontroller_metadata
short_description: Metadata by which engines find their IPython controller
description:
  - Returns the metadata C(ipython.url) and C(ipython.key) that the machines of a cluster are given.
    The key is that of the machines that exist, or a new one. The URL is known before there is a
    controller when O(address) is given, otherwise as soon as the controller has an address.
  - Changes nothing. The result holds the key of the cluster. Use C(no_log) with the task.
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
options:
  cluster:
    description:
      - Value of the tag C(cluster).
    type: str
    required: true
  address:
    description:
      - Name or address where engines reach the controller, if it is known beforehand.
    type: str
    default: ""
  port:
    description:
      - Port where engines register.
    type: int
    default: 20000
extends_documentation_fragment: [sdc]
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Key and address
  ipcontroller_metadata:
    cluster: ipython
  register: metadata
  no_log: true
"""

RETURN = r"""
key:
  description: The key of the cluster.
  returned: always
  type: str
url:
  description: Where engines register; empty while the controller has no address.
  returned: always
  type: str
  sample: tcp://10.99.0.11:20000
stale:
  description: Names of engines that were given another URL, or none.
  returned: always
  type: list
  elements: str
"""

import secrets
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.sdc_base import Refused, SdcModule

KEY, URL = "ipython.key", "ipython.url"


def metadatum(machine: Mapping[str, Any], name: str) -> str:
    """One value of a machine's metadata; empty when it has none."""
    return str((machine.get("metadata") or {}).get(name) or "")


def own_address(machine: Mapping[str, Any]) -> str:
    """Where the controller listens: its second address, else its only one (net1, net0)."""
    ips = [str(ip) for ip in machine.get("ips") or []]
    return ips[1] if len(ips) > 1 else "".join(ips)


OPTIONS: dict[str, Any] = {
    "cluster": {"type": "str", "required": True},
    "address": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 20000},
}


class ControllerMetadata(SdcModule):
    """One run of the module."""

    options = OPTIONS

    def work(self) -> None:
        """Read the machines of the cluster."""
        name = self.params["cluster"]
        machines = self.api.list_machines(tags={"cluster": name})
        roles = {
            role: [m for m in machines if (m.get("tags") or {}).get("role") == role]
            for role in ("controller", "engine")
        }
        keys = {metadatum(m, KEY) for m in roles["controller"]} or {
            metadatum(m, KEY) for m in roles["engine"]
        }
        if "" in keys:
            raise Refused(
                f"cluster {name} was made with bootstrap=ssh: its machines have no metadata {KEY}. "
                f"Go on with -e bootstrap=ssh, or begin anew: ansible-playbook teardown.yml "
                f"-e cluster={name}"
            )
        if len(keys) > 1:
            raise Refused(
                f"machines of cluster {name} have different keys; begin anew: "
                f"ansible-playbook teardown.yml -e cluster={name}"
            )
        address = self.params["address"] or "".join(map(own_address, roles["controller"][:1]))
        url = f"tcp://{address}:{self.params['port']}" if address else ""
        stale = [m["name"] for m in roles["engine"] if url and metadatum(m, URL) != url]
        self.result.update(key=keys.pop() if keys else secrets.token_hex(32), url=url, stale=stale)


def main() -> None:
    """Entry point."""
    ControllerMetadata().run()


if __name__ == "__main__":
    main()
