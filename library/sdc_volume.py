#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: volumes of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_volume
short_description: Volumes of a SmartDataCenter (Triton) account
description:
  - Creates, renames and deletes volumes (NFS), which machines mount.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  name:
    description:
      - Name of the volume; with O(id) its new name.
    type: str
  id:
    description:
      - Id of an existing volume.
    type: str
  size:
    description:
      - Size in MiB. Cannot be changed afterwards. Without it the smallest that is offered.
    type: int
  network:
    description:
      - Network of the volume, by name or id; one of the account's own fabric.
      - Only used when it is created.
    type: str
  tags:
    description:
      - Tags, whose values are texts. Only used when the volume is created.
    type: dict
  state:
    description:
      - Whether it shall exist.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [sdc, sdc.changes, sdc.waits]
"""

EXAMPLES = r"""
- name: A volume for results
  sdc_volume:
    name: results
    size: 20480

- name: Gone, with everything on it
  sdc_volume:
    name: results
    state: absent
"""

RETURN = r"""
volume:
  description: The volume, in check mode as it would be; null when it is gone.
  returned: success
  type: dict
  sample:
    id: 0c5f2f2e-5f5d-4f5e-8d8f-2d7e1f0a2b3c
    name: results
    size: 20480
    state: ready
    filesystem_path: 10.99.0.20:/exports/data
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

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors
from ansible.module_utils.sdc.offers import Offers
from ansible.module_utils.sdc.once import once
from ansible.module_utils.sdc.options import WAITING
from ansible.module_utils.sdc.resource import Record, Resource

OPTIONS: dict[str, Any] = {
    "name": {"type": "str"},
    "id": {"type": "str"},
    "size": {"type": "int"},
    "network": {"type": "str"},
    "tags": {"type": "dict"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    **WAITING,
}


class Volume(Resource):
    """One volume by name or id."""

    options = OPTIONS
    kind = "volume"

    def find(self) -> Record | None:
        ident, name = self.params["id"], self.params["name"]
        if not ident and not name:
            raise Refused("say which volume: give name or id")
        if ident:
            found = self._read(ident)
            if found is None and self.params["state"] == "present":
                raise Refused(f"there is no volume {ident}; leave id out to create one by name")
            return found
        found = self._named(name)
        if found and found["state"] == "deleting" and not self.check_mode:
            # the name is taken until it is gone
            self._gone(found)
            found = None
        return found

    def _named(self, name: str) -> Record | None:
        return next((v for v in self.api.volumes(name=name) if v["name"] == name), None)

    def wanted(self) -> Record:
        wanted = {name: self.params[name] for name in ("name", "size")}
        return {name: value for name, value in wanted.items() if value is not None}

    def title(self, thing: Mapping[str, Any]) -> str:
        return str(thing.get("name"))

    def new(self) -> Record:
        new = self.wanted()
        if self.params["network"]:
            network = Offers(self.api).network(self.params["network"])
            new["networks"] = [network["id"]]
        if self.params["tags"]:
            new["tags"] = self.params["tags"]
        return new

    def create(self, new: Record) -> Record:
        made = once(
            self.api, lambda: self.api.create_volume(**new), lambda: self._named(new["name"])
        )
        return self._ready(made) if self.params["wait"] else made

    def _ready(self, volume: Record) -> Record:
        found = self.poll(
            lambda: self._read(volume["id"]),
            lambda v: bool(v and v["state"] == "ready"),
            "ready",
        )
        assert found is not None
        return found

    def _read(self, ident: str) -> Record | None:
        try:
            return self.api.volume(ident)
        except errors.NotFound:
            return None

    def _update(self, thing: Record) -> None:
        size = self.params["size"]
        if size is not None and size != thing["size"]:
            raise Refused(
                f"volume {thing['name']!r} has {thing['size']} MiB; its size cannot be changed"
            )
        if thing["state"] == "creating" and self.params["wait"] and not self.check_mode:
            thing = self._ready(thing)
        super()._update(thing)

    def update(self, thing: Record, changes: Record) -> Record:
        self.api.rename_volume(thing["id"], changes["name"])
        return {**thing, **changes}

    def delete(self, thing: Record) -> None:
        self.api.delete_volume(thing["id"])
        if self.params["wait"]:
            self._gone(thing)

    def _gone(self, thing: Record) -> None:
        self.poll(lambda: self._read(thing["id"]), lambda v: v is None, "deleted")


def main() -> None:
    """Entry point."""
    Volume().run()


if __name__ == "__main__":
    main()
