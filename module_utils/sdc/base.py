"""What every CloudAPI module has in common: access, check mode, diff, and how it fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.difference import Differences
from ansible.module_utils.sdc import client
from ansible.module_utils.sdc.client import DataCenter, config, errors, lookup
from ansible.module_utils.sdc.options import ACCESS

SECRET_KEY = re.compile(r"(_pw|key|password|passwd|secret|token)$", re.IGNORECASE)
"""Names of metadata whose values are not shown."""

BY_HAND = 1.0
"""Seconds for a signature from which on a person takes part in it, by a touch or a click."""

SHOWN = frozenset(
    ["id", "name", "state", "type", "brand", "package", "image", "memory", "disk", "ips", "tags"]
) | {"networks", "firewall_enabled", "deletion_protection", "compute_node", "created", "updated"}


class Refused(Exception):
    """What the task asks for cannot be done; the message says what to do.

    :param details: what a play may want to test, such as `code` and `machine_id`
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


def working_directory() -> Path:
    """The directory in which the embedded data center has its state, if there is one.

    Ansible runs modules in the directory of the play that is running, which for an imported
    playbook is not where the user is.
    """
    here = Path.cwd()
    state = os.environ.get("LOCALDC_DIR") or ".localdc"
    return next((path for path in (here, *here.parents) if (path / state).is_dir()), here)


def shown(machine: Mapping[str, Any]) -> dict[str, Any]:
    """A machine as results show it: no metadata, which may hold secrets."""
    view = {key: value for key, value in machine.items() if key in SHOWN}
    view["primary_ip"] = machine.get("primaryIp")
    return view


def details(exc: Exception) -> dict[str, Any]:
    """The parts of a client error that a play may want to test."""
    names = ("code", "status", "request_id", "method", "path")
    found = {name: getattr(exc, name, None) for name in names}
    return {name: value for name, value in found.items() if value}


def secrets(given: Any, where: str = "") -> Iterator[str]:
    """The values that look secret in the metadata of a task's arguments, at any depth."""
    if isinstance(given, Mapping):
        for key, value in given.items():
            hidden = where == "secret" or (where == "metadata" and SECRET_KEY.search(str(key)))
            if key == "metadata":
                # text is a dict that was not understood
                yield from secrets(value, "secret" if isinstance(value, str) else "metadata")
            else:
                yield from secrets(value, "secret" if hidden else where)
    elif isinstance(given, list | tuple):
        for value in given:
            yield from secrets(value, where)
    elif where == "secret" and given not in (None, "", True, False):
        yield str(given)


def only(name: str, machines: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The machine of this name, if there is one.

    :raises Refused: there are several
    """
    if len(machines) > 1:
        ids = ", ".join(machine["id"] for machine in machines)
        raise Refused(f"{len(machines)} machines are called {name!r}; give an id: {ids}")
    return machines[0] if machines else None


def unknown_machine(api: DataCenter, name: str) -> errors.LookupFailed:
    """The error for a name that no machine has, with the nearest ones."""
    names = (str(machine.get("name")) for machine in api.list_machines())
    return errors.LookupFailed("machine", name, lookup.near(name, names))


class Module(AnsibleModule):
    """Keeps secrets out of all that leaves it, complaints about its own arguments included."""

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn:
        self.no_log_values.update(secrets(self.params))
        super().fail_json(msg, **kwargs)

    def exit_json(self, **kwargs: Any) -> NoReturn:
        self.no_log_values.update(secrets(self.params))
        super().exit_json(**kwargs)


class SdcModule:
    """Base of the modules: subclasses give `options` and `execute()`.

    `execute()` describes every change in `self.differences`, makes it unless `self.check_mode`,
    and fills `self.result`. Errors of the client become failures with `code`, `status` and
    `request_id`; what was done before stays in the result.
    """

    options: Mapping[str, Any] = {}
    constraints: Mapping[str, Any] = {}

    def __init__(self) -> None:
        # the constructor's no_log keeps metadata out of the system log
        self.module = Module(
            argument_spec={**ACCESS, **self.options},
            supports_check_mode=True,
            no_log=True,
            **self.constraints,
        )
        self.params: dict[str, Any] = self.module.params
        self.check_mode: bool = self.module.check_mode
        self.differences = Differences()
        self.result: dict[str, Any] = {}
        self.subject: dict[str, Any] = {}  # what a failure is about, such as machine_id

    def execute(self) -> None:
        """Find out what differs and change it."""
        raise NotImplementedError

    def run(self) -> NoReturn:
        """Execute the task, and leave the module with the result."""
        if client.MISSING is not None:
            self.module.fail_json(
                msg="the Python package smartdc of this repository cannot be imported: run the "
                "task on localhost with ansible_python_interpreter={{ ansible_playbook_python }}",
                exception=client.MISSING,
            )
        try:
            self.execute()
        except Refused as exc:
            self.fail(str(exc), **exc.details)
        except errors.SmartDCError as exc:
            self.fail(str(exc), **details(exc))
        self.module.exit_json(**self._returned())

    def fail(self, message: str, **more: Any) -> NoReturn:
        """Leave the module with an error; what was done so far stays in the result."""
        self.module.fail_json(msg=message, **{**self._returned(), **self.subject, **more})

    @cached_property
    def settings(self) -> config.Settings:
        """Which data center, which account, which key."""
        access = {name: self.params[name] for name in ACCESS}
        return config.resolve(**access, cwd=working_directory())

    @cached_property
    def api(self) -> DataCenter:
        """The client."""
        settings = self.settings
        self.result["data_center"] = {
            "name": settings.name,
            "url": settings.url,
            "account": settings.account,
            "source": settings.source,
        }
        return settings.connect()

    def machine(self, wanted: str) -> dict[str, Any]:
        """A machine by name or id, which failures then name as `machine_id`.

        A name that is not there raises LookupFailed with the nearest ones.
        """
        if lookup.is_uuid(wanted):
            self.subject["machine_id"] = wanted
            return self.api.get_machine(wanted)
        found = only(wanted, self.api.list_machines(name=wanted))
        if found is None:
            raise unknown_machine(self.api, wanted)
        self.subject["machine_id"] = found["id"]
        return found

    def _returned(self) -> dict[str, Any]:
        auth = self.__dict__["api"].auth if "api" in self.__dict__ else None
        if auth and auth.slowest >= BY_HAND:
            self.module.warn(
                f"a signature by {auth.signer.where} took {auth.slowest:.0f} s. Every request to "
                "the data center needs one: a key that wants a touch or a confirmation asks often"
            )
        returned = {"changed": bool(self.differences), **self.result}
        # a thousand new machines would be told twice to those who did not ask for it
        return {**returned, "diff": self.differences.as_diff()} if self.module._diff else returned
