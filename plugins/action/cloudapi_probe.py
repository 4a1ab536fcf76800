"""Action plugin: what a CloudAPI answers to a table of probes, and the removal of what they made.

    - cloudapi_probe:
        probes: "{{ table }}"            # roles/sdc_verify/vars
        values: {machine: "{{ id }}"}    # for {machine} in a probe; some are added
      register: asked                    # answers, values, seconds
    - cloudapi_probe:
        sweep: sdc-verify                # delete rules so described, keys and machines so named
      register: swept                    # deleted

It runs on the machine of the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smartdc.client import Client
from smartdc.config import Settings, resolve
from smartdc.errors import Gone, NotFound, SmartDCError
from smartdc.verify.cloudapi import Prober


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(("probes", "values", "sweep"))
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "probes": {"type": "list", "elements": "dict"},
                "values": {"type": "dict", "default": {}},
                "sweep": {"type": "str"},
            },
            required_one_of=[("probes", "sweep")],
        )
        try:
            settings = resolve()
            with settings.connect() as api:
                if options["sweep"]:
                    deleted = [] if self._task.check_mode else list(_sweep(api, options["sweep"]))
                    return {**result, "deleted": deleted, "changed": bool(deleted)}
                if self._task.check_mode:
                    return {**result, "skipped": True, "msg": "probes change machines"}
                return {**result, "changed": True, **_ask(settings, api, options)}
        except SmartDCError as error:
            raise AnsibleActionFail(str(error)) from error


def _ask(settings: Settings, api: Client, options: dict[str, Any]) -> dict[str, Any]:
    here = {"login": settings.account, "host": urlsplit(settings.url).netloc}
    prober = Prober(api, {"public_key": _throwaway(), **here, **options["values"]})
    try:
        answers = prober.answers(options["probes"])
    finally:
        prober.close()
    return {"answers": answers, "values": prober.values, "seconds": prober.seconds}


def _throwaway() -> str:
    """A public key whose private half is forgotten, as a line of authorized_keys."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _sweep(api: Client, mark: str) -> Iterator[str]:
    """Delete what carries the mark; yields what was deleted."""
    for rule in api.fwrules():
        if rule.get("description") == mark:
            api.delete_fwrule(rule["id"])
            yield f"rule {rule['id']}"
    for key in api.get_list("keys", params={"sync": True}):
        if key.get("name") == mark:
            api.delete_key(mark)
            yield f"key {mark}"
    for machine in api.list_machines(tags={mark.replace("-", "_"): "yes"}):
        try:
            api.act(machine["id"], "disable_deletion_protection")
            api.delete(machine["id"])
        except (Gone, NotFound):
            continue
        yield f"machine {machine['id']}"
