#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: packages of a data center."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_package_info
short_description: Packages of a SmartDataCenter (Triton) data center
description:
  - Lists packages, the smallest first, with one request.
version_added: "0.2.0"
author: The sdc-ipython-cluster contributors
options:
  name:
    description:
      - Id or name.
      - A pattern as in the shell (C(*), C(?), C([a-z])) lists all that match.
    type: str
  group:
    description:
      - Only packages of this group.
    type: str
  min_memory:
    description:
      - Only packages with at least this memory, in MiB.
    type: int
  min_disk:
    description:
      - Only packages with at least this disk, in MiB.
    type: int
  min_vcpus:
    description:
      - Only packages with at least as many virtual CPUs.
    type: int
extends_documentation_fragment: [sdc, sdc.looks]
"""

EXAMPLES = r"""
- name: The smallest package with 1 GiB of memory
  sdc_package_info:
    min_memory: 1024
  register: large
- name: All sample packages
  sdc_package_info:
    name: sample-*
"""

RETURN = r"""
packages:
  description: The packages, as CloudAPI describes them, the one with the least memory first.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 3b1b7d66-6d55-4a86-9f29-7a1a7ad1b3b0
      name: sample-512M
      memory: 512
      disk: 10240
      vcpus: 1
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

from ansible.module_utils.sdc.info import Info, Record
from ansible.module_utils.sdc.options import LOOKING

OPTIONS: dict[str, Any] = {
    **LOOKING,
    "group": {"type": "str"},
    "min_memory": {"type": "int"},
    "min_disk": {"type": "int"},
    "min_vcpus": {"type": "int"},
}


class PackageInfo(Info):
    """Packages by id, name or pattern."""

    options = OPTIONS
    kind = "package"

    def fetch(self) -> list[Record]:
        packages = self.api.list_packages()
        return sorted(packages, key=lambda p: (p.get("memory") or 0, str(p.get("name"))))

    def fits(self, thing: Mapping[str, Any]) -> bool:
        group = self.params["group"]
        if group and thing.get("group") != group:
            return False
        least = {name: self.params[f"min_{name}"] for name in ("memory", "disk", "vcpus")}
        return all((thing.get(name) or 0) >= value for name, value in least.items() if value)


def main() -> None:
    """Entry point."""
    PackageInfo().run()


if __name__ == "__main__":
    main()
