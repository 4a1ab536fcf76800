#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: SSH keys of an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sdc_key
short_description: SSH keys of a SmartDataCenter (Triton) account
description:
  - Adds and removes SSH public keys. The keys of an account open all of its machines and sign
    requests.
  - The key that signs the requests of this very task is never removed.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  name:
    description:
      - Name of the key. With O(state=absent) its MD5 fingerprint is accepted as well.
    type: str
    required: true
  key:
    description:
      - The public key, in OpenSSH form (C(ssh-ed25519 AAAA...)). Needed when it has to be added.
    type: str
  replace:
    description:
      - Replace a key of this name that is another one. Without it that is a failure.
    type: bool
    default: false
  state:
    description:
      - Whether it shall exist.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [sdc, sdc.changes]
"""

EXAMPLES = r"""
- name: My key
  sdc_key:
    name: laptop
    key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"

- name: The key of somebody who left
  sdc_key:
    name: old-laptop
    state: absent
"""

RETURN = r"""
key:
  description: The key, in check mode as it would be; null when it is gone.
  returned: success
  type: dict
  sample: {name: laptop, fingerprint: "9b:1f:...", key: ssh-ed25519 AAAA...}
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

import base64
import binascii
from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors, keys
from ansible.module_utils.sdc.once import once
from ansible.module_utils.sdc.resource import Record, Resource

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "key": {"type": "str", "no_log": False},
    "replace": {"type": "bool", "default": False},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}


def fingerprint(line: str) -> str:
    """MD5 fingerprint of an OpenSSH public key; Refused when it is none."""
    parts = line.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        blob = b""
    if not blob.startswith(len(parts[0] if parts else "").to_bytes(4, "big")):
        raise Refused("key is not an OpenSSH public key, such as: ssh-ed25519 AAAA... comment")
    return str(keys.md5_of(blob))


class SdcKey(Resource):
    """One key by name."""

    options = OPTIONS
    kind = "key"

    def find(self) -> Record | None:
        name = self._name
        known = self.api.keys()
        found = next((key for key in known if key.get("name") == name), None)
        if self.params["state"] == "absent":
            by_print = next((key for key in known if key.get("fingerprint") == name), None)
            found = found or by_print
            if found and self._signs(found):
                raise Refused(
                    f"{name!r} is the key that signs this task's requests; remove it with another"
                )
        elif found is None:
            if not self.params["key"]:
                raise Refused(f"{name!r} has to be added, which needs the option key")
            wanted = fingerprint(self.params["key"])
            twin = next((key for key in known if key.get("fingerprint") == wanted), None)
            if twin:
                raise Refused(f"the account has this key already, under the name {twin['name']!r}")
        return found

    @property
    def _name(self) -> str:
        """As it is kept, without blanks around it (node-ufds, lib/index.js, addKey)."""
        return str(self.params["name"]).strip()

    def _signs(self, key: Record) -> bool:
        auth = self.api.auth
        return auth is not None and keys.md5_of(auth.signer.blob) == key.get("fingerprint")

    def wanted(self) -> Record:
        line = self.params["key"]
        if line is None:
            return {"name": self._name}
        return {"name": self._name, "fingerprint": fingerprint(line), "key": line.strip()}

    def same(self, name: str, before: Any, after: Any) -> bool:
        if name == "key":
            # the comment is no part of the key
            return fingerprint(before) == fingerprint(after)
        return bool(before == after)

    def create(self, new: Record) -> Record:
        return once(
            self.api,
            lambda: self.api.add_key(new["name"], new["key"]),
            lambda: self._known(fingerprint(new["key"])),
        )

    def _known(self, wanted: str) -> Record | None:
        known = self.api.keys()
        return next((key for key in known if key.get("fingerprint") == wanted), None)

    def update(self, thing: Record, changes: Record) -> Record:
        self.remove(thing)
        try:
            return self.create(self.wanted())
        except errors.APIError:
            # refused: nobody shall be locked out by that
            self.create(thing)
            raise

    def _update(self, thing: Record) -> None:
        wanted = self.wanted()
        if wanted.get("fingerprint", thing["fingerprint"]) != thing["fingerprint"]:
            if not self.params["replace"]:
                raise Refused(
                    f"{thing['name']!r} is another key ({thing['fingerprint']}); "
                    "choose another name, or say replace: true"
                )
            if self._signs(thing):
                raise Refused(
                    f"{thing['name']!r} signs this task's requests; replace it with another key"
                )
        super()._update(thing)

    def delete(self, thing: Record) -> None:
        self.api.delete_key(thing["fingerprint"])


def main() -> None:
    """Entry point."""
    SdcKey().run()


if __name__ == "__main__":
    main()
