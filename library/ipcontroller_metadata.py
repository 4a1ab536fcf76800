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
    controller where O(address) says so, otherwise as soon as the controller has an address.
  - Changes nothing. The result holds the key of the cluster. Use C(no_log) with the task.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  cluster:
    description:
      - Value of the tag C(ipython_cluster).
    type: str
    required: true
  address:
    description:
      - Where engines reach the controller. A name or an address that is known beforehand, or one of
        the following.
      - V(cns) is the name that the container name service (CNS) will give the machine
        O(controller).
      - V(later) is the address that the controller has, once it has one.
      - V(auto) keeps what the engines that exist were given, while it is right. Otherwise it is
        V(cns) if the account uses CNS and the name is sure to mean the one address that the engines
        are to use, else V(later). It is not where CNS has the controller's public and private
        addresses in one zone, or where the controller is on several private networks.
    type: str
    default: auto
  controller:
    description:
      - Name of the controller's machine. Default is O(cluster) and C(-controller).
    type: str
  networks:
    description:
      - Names or ids of the controller's networks; engines reach it in the last one that is private,
        else in the last one. When empty, the data center chooses.
    type: list
    elements: str
    default: []
  engines_per_machine:
    description:
      - Number of engines on each machine. Refused if machines that exist have another number of
        them (tag C(engines_per_machine)).
    type: int
    default: 1
  adopt:
    description:
      - Count machines, too, that have the cluster's names and tags and not its mark, the tag
        C(ipython_cluster).
    type: bool
    default: false
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
source:
  description: What the URL is. One of V(given), V(cns), V(address) and V(later) (not known yet).
  returned: always
  type: str
stale:
  description:
    - Names of the machines of engines that were given another URL, or none, or that belonged to a
      controller which does not exist any more.
  returned: always
  type: list
  elements: str
"""

import secrets
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.sdc.base import Refused, SdcModule
from ansible.module_utils.sdc.client import addresses, clusters

KEY, URL = "ipython.key", "ipython.url"
Machine = dict[str, Any]


def metadatum(machine: Machine, name: str) -> str:
    """One value of a machine's metadata; empty when it has none."""
    return str((machine.get("metadata") or {}).get(name) or "")


def own_address(machine: Machine) -> str:
    """Where the controller listens: its last private address, or else shared one, or else any.

    The method of the service goes by the same rule (own_address in ipyparallel.sh).
    """
    known = [
        ip for ip in map(addresses.address, machine.get("ips") or []) if ip and ip.version == 4
    ]
    return str(addresses.innermost(known) or "")


OPTIONS: dict[str, Any] = {
    "cluster": {"type": "str", "required": True},
    "address": {"type": "str", "default": "auto"},
    "controller": {"type": "str"},
    "networks": {"type": "list", "elements": "str", "default": []},
    "engines_per_machine": {"type": "int", "default": 1},
    "adopt": {"type": "bool", "default": False},
    "port": {"type": "int", "default": 20000},
}


class ControllerMetadata(SdcModule):
    """One run of the module."""

    options = OPTIONS

    def execute(self) -> None:
        """Read the machines of the cluster."""
        self.cluster = self.params["cluster"]
        machines = clusters.machines_of(self.api, self.cluster, self.params["adopt"])
        controllers, engines = (
            [m for m in machines if (m.get("tags") or {}).get("role") == role]
            for role in ("controller", "engine")
        )
        key = self._key(controllers, engines)
        self._check_engines_per_machine(engines)
        source, address = self._address("".join(map(own_address, controllers[:1])), engines)
        url = self._url(address)
        stale = [m for m in engines if not controllers or (url and metadatum(m, URL) != url)]
        self.result.update(key=key, url=url, source=source)
        self.result["stale"] = [machine["name"] for machine in stale]

    def _key(self, controllers: Sequence[Machine], engines: Sequence[Machine]) -> str:
        keys = {metadatum(m, KEY) for m in controllers} or {metadatum(m, KEY) for m in engines}
        if "" in keys:
            raise Refused(
                f"cluster {self.cluster} was made with bootstrap=ssh: its machines have no "
                f"metadata {KEY}. Go on with -e bootstrap=ssh, or begin anew: {self._teardown()}"
            )
        if len(keys) > 1:
            raise Refused(
                f"machines of cluster {self.cluster} have different keys; begin anew: "
                f"{self._teardown()}"
            )
        return keys.pop() if keys else secrets.token_hex(32)

    def _teardown(self) -> str:
        return f"ansible-playbook teardown.yml -e cluster={self.cluster}"

    def _check_engines_per_machine(self, engines: Sequence[Machine]) -> None:
        wanted = self.params["engines_per_machine"]
        for machine in engines:
            present = (machine.get("tags") or {}).get("engines_per_machine", wanted)
            if str(present) != str(wanted):
                raise Refused(
                    f"{machine['name']} was set up for {present} engine(s), and "
                    f"engines_per_machine is {wanted} now. Keep engines_per_machine={present}, or "
                    f"begin anew: {self._teardown()}"
                )

    # --- address ---------------------------------------------------------------------------

    def _url(self, address: str) -> str:
        return f"tcp://{address}:{self.params['port']}" if address else ""

    def _address(self, own: str, engines: Sequence[Machine]) -> tuple[str, str]:
        """What the address is, and the address; `own` is the one of the controller, if it is."""
        wanted = self.params["address"] or "auto"
        if wanted not in ("auto", "cns", "later"):
            return "given", wanted
        listens = ("address", own) if own else ("later", "")
        if wanted == "later":
            return listens
        present = {metadatum(machine, URL) for machine in engines}
        if wanted == "auto" and own and self._url(own) in present:
            # another URL for the same controller would be a reason to restart engines
            return listens
        told = present.pop() if len(present) == 1 else ""
        host = told.removeprefix("tcp://").rpartition(":")[0]
        if wanted == "auto" and own and host and addresses.address(host) is None:
            # a name leads to whatever address the controller has
            return "given", host
        name = self._cns_name()
        if name:
            return "cns", name
        if wanted == "cns":
            raise Refused(
                "controller_address is cns, and the container name service gives no name: the "
                "account has no triton_cns_enabled (triton account update "
                "triton_cns_enabled=true), or its networks show no suffixes. Or leave "
                "controller_address out"
            )
        return listens

    def _cns_name(self) -> str:
        """The name of the controller in CNS; empty when it is not sure what it would mean.

        A machine's name ends with a suffix of the network that the address is in; what is no
        letter, digit or hyphen becomes a hyphen (Triton CNS, docs/metadata.md).  It means all
        addresses of the machine in networks with this suffix, in any order.
        """
        if not self.api.account().get("triton_cns_enabled"):
            return ""
        networks = self._networks()
        private = [network for network in networks if not network.get("public")]
        reached = private or networks
        if self.params["networks"] and (len(reached) > 1 or self._depends(networks)):
            return ""
        suffixes = {_suffix(network) for network in reached}
        others = {_suffix(network) for network in networks if network not in reached}
        if len(suffixes) != 1 or "" in suffixes or suffixes & others:
            return ""
        name = self.params["controller"] or f"{self.cluster}-controller"
        return f"{clusters.dns_name(name)}.{suffixes.pop()}"

    def _networks(self) -> list[Machine]:
        """The networks that the controller is in; when the data center chooses, may be in.

        It chooses by the order of its networks and by the package: of each kind the first, where
        the package has no networks of its own (sdc-cloudapi, lib/machines.js, getCreateOptions).
        """
        networks = self.api.list_networks()
        given = [entry.partition("=")[0] for entry in self.params["networks"]]
        if not given:
            return networks
        return [n for name in given for n in networks if name in (n["id"], n["name"])]

    @staticmethod
    def _depends(networks: Sequence[Machine]) -> bool:
        """Whether the network that the controller listens in is known by its address only.

        It listens at its last private address, and a public network after a private one may have
        such addresses, too.
        """
        public = [bool(network.get("public")) for network in networks]
        return bool(public) and public[-1] and not all(public)


def _suffix(network: Machine) -> str:
    """What names of machines in this network end with; empty when CNS has none for it."""
    return next((s for s in network.get("suffixes") or [] if s.startswith("inst.")), "")


def main() -> None:
    """Entry point."""
    ControllerMetadata().run()


if __name__ == "__main__":
    main()
