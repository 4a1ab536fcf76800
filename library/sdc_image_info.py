#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: images of a data center."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_image_info
short_description: Images of a SmartDataCenter (Triton) data center
description:
  - Lists images, with one request.
version_added: "0.2.0"
author: The sdc-ipython-cluster contributors
options:
  name:
    description:
      - Id, name (the newest version) or V(name@version).
      - A pattern as in the shell (C(*), C(?), C([a-z])) lists all that match.
    type: str
  os:
    description:
      - Only images of this operating system, such as V(smartos) or V(linux).
    type: str
  type:
    description:
      - Only images of this type, such as V(zone-dataset), V(lx-dataset) or V(zvol).
    type: str
  state:
    description:
      - Only images in this state; V(all) for every state.
    type: str
    choices: [active, unactivated, disabled, creating, failed, all]
    default: active
  newest:
    description:
      - Only the newest version of each name.
    type: bool
    default: false
extends_documentation_fragment: [sdc, sdc.looks]
"""

EXAMPLES = r"""
- name: The newest base image
  sdc_image_info:
    name: base-64-lts
  register: base

- name: Newest version of every SmartOS image whose name begins with base
  sdc_image_info:
    name: base-*
    os: smartos
    newest: true
"""

RETURN = r"""
images:
  description: The images, as CloudAPI describes them, the newest first.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 2f1dc911-6401-4fa4-8e9d-67ea2e39c271
      name: base-64-lts
      version: 24.4.1
      os: smartos
      type: zone-dataset
      state: active
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

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.sdc.client import errors, lookup
from ansible.module_utils.sdc.info import Info, Record
from ansible.module_utils.sdc.options import LOOKING

OPTIONS: dict[str, Any] = {
    **LOOKING,
    "os": {"type": "str"},
    "type": {"type": "str"},
    "state": {
        "type": "str",
        "default": "active",
        "choices": ["active", "unactivated", "disabled", "creating", "failed", "all"],
    },
    "newest": {"type": "bool", "default": False},
}


class ImageInfo(Info):
    """Images by id, name, name@version or pattern."""

    options = OPTIONS
    kind = "image"

    def fetch(self) -> list[Record]:
        images = self.api.list_images(state=self.params["state"])
        images.sort(key=lambda image: str(image.get("published_at") or ""), reverse=True)
        if not self.params["newest"]:
            return images
        first: dict[Any, Record] = {}
        for image in images:
            first.setdefault(image.get("name"), image)
        return list(first.values())

    def named(self, things: Sequence[Record], wanted: str) -> list[Record]:
        try:
            return [lookup.image(things, wanted)]
        except errors.LookupFailed:
            return []

    def fits(self, thing: Mapping[str, Any]) -> bool:
        names = [name for name in ("os", "type") if self.params[name]]
        return all(thing.get(name) == self.params[name] for name in names)


def main() -> None:
    """Entry point."""
    ImageInfo().run()


if __name__ == "__main__":
    main()
