#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: network interfaces of machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_nic
short_description: Network interfaces of SmartDataCenter (Triton) machines
description:
  - Adds interfaces to machines and removes them. Either reboots the machine when it runs, and
    the task ends after that.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  machine:
    description:
      - The machine, by name or id.
    type: str
    required: true
  network:
    description:
      - Network, by name or id. A machine has at most one interface in a network.
      - Of a pool of networks an interface shows the member, which the data center does not list.
        Where several pools come into question and the address does not tell, the task fails
        and asks for O(mac). O(state=absent) removes all interfaces that are in the pool.
    type: str
  mac:
    description:
      - Hardware address of an existing interface, in place of O(network).
    type: str
  ip:
    description:
      - Address that a new interface shall get. Without it the data center chooses. An interface
        with another address is a failure, because it cannot be changed.
    type: str
  primary:
    description:
      - Make a new interface the primary one. Only used when it is added.
    type: bool
    default: false
  state:
    description:
      - Whether it shall exist.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [sdc, sdc.changes, sdc.waits]
"""

EXAMPLES = r"""
- name: The gateway is in the internal network as well
  sdc_nic:
    machine: gateway
    network: internal

- name: No longer
  sdc_nic:
    machine: gateway
    network: internal
    state: absent
"""

RETURN = r"""
nic:
  description: The interface, in check mode as it would be; null when it is gone.
  returned: success
  type: dict
  sample:
    mac: 90:b8:d0:2f:b8:f9
    ip: 10.99.0.12
    netmask: 255.255.252.0
    primary: false
    state: running
    network: 2f0f0f5c-7a34-4c7e-9e0b-3b4c1de1a5f0
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

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors
from ansible.module_utils.sdc.jobs import NicJobs
from ansible.module_utils.sdc.offers import Offers
from ansible.module_utils.sdc.options import WAITING
from ansible.module_utils.sdc.resource import Record, Resource

OPTIONS: dict[str, Any] = {
    "machine": {"type": "str", "required": True},
    "network": {"type": "str"},
    "mac": {"type": "str"},
    "ip": {"type": "str"},
    "primary": {"type": "bool", "default": False},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    **WAITING,
}
NO_AUDIT = (
    "this account may not read the audit of the machine (CloudAPI's right machineaudit), so the "
    "task may end before the machine reboots"
)


class Nic(Resource):
    """One interface of one machine, by network or hardware address."""

    options = OPTIONS
    constraints = {  # noqa: RUF012
        "required_one_of": [("network", "mac")],
        "mutually_exclusive": [("network", "mac")],
    }
    kind = "nic"
    found: Sequence[Record] = ()

    def find(self) -> Record | None:
        absent = self.params["state"] == "absent"
        try:
            self.host = self.machine(self.params["machine"])
        except (errors.Gone, errors.NotFound, errors.LookupFailed):
            if absent:
                return None
            raise
        nics = self.api.nics(self.host["id"])
        if self.params["mac"]:
            wanted = _plain(self.params["mac"])
            found = next((nic for nic in nics if _plain(nic["mac"]) == wanted), None)
            if found is None and not absent:
                raise Refused(
                    f"machine {self.host['name']!r} has no interface {self.params['mac']}; "
                    "give network to add one"
                )
            return found
        self.offers = Offers(self.api)
        self.network = self.offers.network(self.params["network"])["id"]
        self.found = self.offers.pools.on(nics, self.network)
        if absent and self.found:
            self.found = self.offers.pools.on(nics, self.network, certain=True)
        return next(iter(self.found), None)

    def wanted(self) -> Record:
        wanted: Record = {"network": self.network} if self.params["network"] else {}
        if self.params["ip"]:
            wanted["ip"] = self.params["ip"]
        return wanted

    def title(self, thing: Mapping[str, Any]) -> str:
        return f"{self.host['name']} {self.params['network'] or self.params['mac']}"

    def create(self, new: Record) -> Record:
        network: Record = {"ipv4_uuid": self.network}
        if self.params["ip"]:
            network["ipv4_ips"] = [self.params["ip"]]
        jobs = self._jobs("add_nics")
        made = self.api.add_nic(self.host["id"], network, primary=self.params["primary"])
        # None: somebody else was faster
        nic = made or next(iter(self._on_network()), None)
        if nic is None:
            raise Refused("the data center says that there is such an interface, and lists none")
        if not self.params["wait"]:
            return nic
        mac, ours = nic["mac"], made is not None
        found = self.poll(
            lambda: self._read(mac),
            lambda nic: (jobs is None or not ours or jobs.ended()) and self._settled(nic),
            "running",
        )
        assert found is not None
        return found

    def _on_network(self) -> list[Record]:
        return self.offers.pools.on(self.api.nics(self.host["id"]), self.network)

    def _jobs(self, action: str) -> NicJobs | None:
        """What tells the end of the change that is about to be asked for."""
        if not self.params["wait"]:
            return None
        jobs = NicJobs(self.api, self.host["id"], action)
        if not jobs.readable:
            self.module.warn(NO_AUDIT)
        return jobs

    def _read(self, mac: str) -> Record | None:
        nics = self.api.nics(self.host["id"])
        return next((nic for nic in nics if nic["mac"] == mac), None)

    def _settled(self, nic: Record | None) -> bool:
        """Whether a new interface is there and the machine is again what it was."""
        if nic is None or nic.get("state") not in ("running", "stopped"):
            return False
        return self._machine_settled()

    def _machine_settled(self) -> bool:
        return bool(self.api.get_machine(self.host["id"])["state"] == self.host["state"])

    def _update(self, thing: Record) -> None:
        ip = self.params["ip"]
        if ip and ip != thing["ip"]:
            raise Refused(
                f"the interface {thing['mac']} has {thing['ip']}, not {ip}; "
                "an address cannot be changed: remove the interface first"
            )
        self.result["nic"] = thing

    def remove(self, thing: Record) -> None:
        # a pool may be there more than once: CloudAPI adds an interface at every call
        for nic in self.found or [thing]:
            super().remove(nic)

    def delete(self, thing: Record) -> None:
        jobs = self._jobs("remove_nics")
        self.api.delete_nic(self.host["id"], thing["mac"])
        if jobs is not None:
            self.poll(
                lambda: self._read(thing["mac"]),
                lambda nic: jobs.ended() and nic is None and self._machine_settled(),
                "deleted",
            )


def _plain(mac: str) -> str:
    return mac.replace(":", "").lower()


def main() -> None:
    """Entry point."""
    Nic().run()


if __name__ == "__main__":
    main()
