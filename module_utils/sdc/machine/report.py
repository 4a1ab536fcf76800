"""What sdc_machine will do, as a diff and as the result of check mode."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.difference import HIDDEN, Differences
from ansible.module_utils.sdc.base import shown
from ansible.module_utils.sdc.client import wire
from ansible.module_utils.sdc.machine.creation import Creation
from ansible.module_utils.sdc.machine.group import Machine
from ansible.module_utils.sdc.machine.plan import Plan
from ansible.module_utils.sdc.machine.result import Result
from ansible.module_utils.sdc.machine.update import Update, updated
from ansible.module_utils.sdc.offers import Offers


def describe(plan: Plan, differences: Differences) -> None:
    """Enter everything that will happen into the differences."""
    for creation in plan.create:
        differences.add_thing(creation.name, None, _new(creation))
    for machine in plan.delete:
        differences.add_thing(machine["name"], _old(machine), None)
    for update in plan.update:
        _describe_update(update, differences)
    for machine in plan.keep:
        if plan.goal == "restarted":
            differences.add(machine["name"], "restarted", None, True)
        else:
            after = plan.state_after(machine)
            differences.add(machine["name"], "state", machine.get("state"), after)


def _old(machine: Machine) -> dict[str, Any]:
    names = ("state", "package", "image", "tags")
    return {name: machine[name] for name in names if machine.get(name) is not None}


def _new(creation: Creation) -> dict[str, Any]:
    group = creation.group
    new: dict[str, Any] = {
        "state": "running",
        "package": group.package,
        "image": group.image,
        "tags": creation.tags,
    }
    if group.networks is not None:
        new["networks"] = list(group.networks)
    if group.volumes:
        new["volumes"] = [f"{v['name']}:{v['mountpoint']}:{v['mode']}" for v in group.volumes]
    for name in ("firewall_enabled", "deletion_protection", "affinity"):
        if getattr(group, name):
            new[name] = getattr(group, name)
    if group.metadata:
        new["metadata"] = {
            key: HIDDEN if group.is_secret(key) else value for key, value in group.metadata.items()
        }
    return new


def _describe_update(update: Update, differences: Differences) -> None:
    machine = update.machine
    name = machine["name"]
    for key, want in update.tags.items():
        old = (machine.get("tags") or {}).get(key)
        differences.add(name, f"tags.{key}", None if old is None else wire(old), wire(want))
    for key in update.no_tags:
        differences.add(name, f"tags.{key}", wire(machine["tags"][key]), None)
    for key, value in update.metadata.items():
        old = (machine.get("metadata") or {}).get(key)
        secret = update.group.is_secret(key)
        differences.add(name, f"metadata.{key}", old, value, secret=secret)
    for key in ("name", "package"):
        if getattr(update, key):
            differences.add(name, key, machine.get(key), getattr(update, key))
    for key, wanted in update.switches.items():
        differences.add(name, key, bool(machine.get(key)), wanted)
    if update.networks:
        before = list(machine.get("networks") or [])
        differences.add(name, "networks", before, [*before, *update.networks])


def predict(plan: Plan, offers: Offers, result: Result) -> None:
    """Enter what carrying out the plan would give."""
    after = {machine["id"]: dict(machine) for machine in plan.keep}
    for update in plan.update:
        after[update.id] = updated(update)
        if update.package:
            package = offers.package(update.package)
            after[update.id] |= {k: package[k] for k in ("memory", "disk") if k in package}
    for machine in plan.keep:
        after[machine["id"]]["state"] = plan.state_after(machine)
    result.machines = [shown(machine) for machine in after.values()]
    result.machines += [_predicted(creation) for creation in plan.create]
    result.created = [creation.name for creation in plan.create]
    result.deleted = [machine["id"] for machine in plan.delete]
    result.updated = [update.id for update in plan.update]
    result.started_ids = [machine["id"] for machine in plan.start]


def _predicted(creation: Creation) -> dict[str, Any]:
    new = {"id": None, "state": "running", "package": creation.group.package}
    return shown({**creation.payload, **new, "tags": creation.tags})
