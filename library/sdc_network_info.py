#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: networks of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_network_info
short_description: Networks of a SmartDataCenter (Triton) account
description:
  - Lists the networks that machines of the account may use, fabric networks included.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  name:
    description:
      - Id or name.
      - A pattern as in the shell (C(*), C(?), C([a-z])) lists all that match.
    type: str
  public:
    description:
      - Only public networks, or only those that are not.
    type: bool
  fabric:
    description:
      - Only fabric networks, or only those that are none.
    type: bool
  addresses:
    description:
      - Also list the reserved and used addresses of each network, with one request per network.
        Those of a pool of networks are null, because the data center does not tell them.
    type: bool
    default: false
extends_documentation_fragment: [sdc, sdc.looks]
"""

EXAMPLES = r"""
- name: The public networks
  sdc_network_info:
    public: true
  register: outside

- name: Addresses that are used in the network "internal"
  sdc_network_info:
    name: internal
    addresses: true
"""

RETURN = r"""
networks:
  description: The networks, as CloudAPI describes them; with O(addresses) also C(addresses).
  returned: success
  type: list
  elements: dict
  sample:
    - id: 2f0f0f5c-7a34-4c7e-9e0b-3b4c1de1a5f0
      name: external
      public: true
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

from ansible.module_utils.sdc.client import errors, pools
from ansible.module_utils.sdc.info import Info, Record
from ansible.module_utils.sdc.options import LOOKING

OPTIONS: dict[str, Any] = {
    **LOOKING,
    "public": {"type": "bool"},
    "fabric": {"type": "bool"},
    "addresses": {"type": "bool", "default": False},
}


class NetworkInfo(Info):
    """Networks by id, name or pattern."""

    options = OPTIONS
    kind = "network"

    def fetch(self) -> list[Record]:
        return self.api.list_networks()

    def fits(self, thing: Mapping[str, Any]) -> bool:
        wanted = {name: self.params[name] for name in ("public", "fabric")}
        return all(
            bool(thing.get(name)) == value for name, value in wanted.items() if value is not None
        )

    def view(self, thing: Record) -> Record:
        if not self.params["addresses"]:
            return thing
        try:
            return {**thing, "addresses": self.api.network_ips(thing["id"])}
        except errors.InvalidArgument as error:
            if not pools.is_pool_refusal(error):
                raise
            return {**thing, "addresses": None}


def main() -> None:
    """Entry point."""
    NetworkInfo().run()


if __name__ == "__main__":
    main()
