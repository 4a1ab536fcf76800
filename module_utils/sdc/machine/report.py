"""How sdc_machine shows what it will do: diff, prediction, summary of failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.difference import HIDDEN, Differences
from ansible.module_utils.sdc.base import shown, wire
from ansible.module_utils.sdc.machine.change import Update
from ansible.module_utils.sdc.machine.plan import REQUEST_TAG, Group, Machine

Payload = Mapping[str, Any]


def brief(machine: Machine) -> dict[str, Any]:
    """A machine in a diff, where it disappears."""
    names = ("state", "package", "image", "tags")
    return {name: machine[name] for name in names if machine.get(name) is not None}


def describe(
    differences: Differences,
    creations: Iterable[tuple[Group, Payload]],
    surplus: Iterable[Machine],
    updates: Iterable[tuple[Group, Update]],
    sleeping: Iterable[Machine],
) -> None:
    """Enter everything that will happen into the differences."""
    for group, payload in creations:
        differences.add_thing(payload["name"], None, _creation(group, payload))
    for machine in surplus:
        differences.add_thing(machine["name"], brief(machine), None)
    for group, update in updates:
        _describe_update(differences, group, update)
    for machine in sleeping:
        differences.add(machine["name"], "state", machine["state"], "running")


def _creation(group: Group, payload: Payload) -> dict[str, Any]:
    tags = {key: value for key, value in payload["tags"].items() if key != REQUEST_TAG}
    new = {"state": "running", "package": group.package, "image": group.image, "tags": tags}
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


def _describe_update(differences: Differences, group: Group, update: Update) -> None:
    machine = update.machine
    name = machine["name"]
    for key, want in update.tags.items():
        old = (machine.get("tags") or {}).get(key)
        differences.add(name, f"tags.{key}", None if old is None else wire(old), wire(want))
    for key in update.no_tags:
        differences.add(name, f"tags.{key}", wire(machine["tags"][key]), None)
    for key, value in update.metadata.items():
        old = (machine.get("metadata") or {}).get(key)
        differences.add(name, f"metadata.{key}", old, value, secret=group.is_secret(key))
    for key in ("name", "package"):
        if getattr(update, key):
            differences.add(name, key, machine.get(key), getattr(update, key))
    for key, wanted in update.switches.items():
        differences.add(name, key, bool(machine.get(key)), wanted)
    if update.networks:
        before = list(machine.get("networks") or [])
        differences.add(name, "networks", before, [*before, *update.networks])


def predicted(group: Group, payload: Payload) -> dict[str, Any]:
    """The result for a machine that check mode does not create."""
    tags = {key: value for key, value in payload["tags"].items() if key != REQUEST_TAG}
    machine = {**payload, "id": None, "state": "running", "package": group.package, "tags": tags}
    return shown(machine)


def summary(failures: Sequence[Mapping[str, Any]], reasons: int = 5, names: int = 50) -> str:
    """One line about failures: some with their reasons, the others by name, then a number."""
    lines = [f"{f['name']} ({f['action']}): {f['message']}" for f in failures[:reasons]]
    rest = [str(f["name"]) for f in failures[reasons:]]
    if rest:
        more = ", ..." if len(rest) > names else ""
        lines.append(f"and {len(rest)} more: {', '.join(rest[:names])}{more}")
    one = len(failures) == 1
    return f"{len(failures)} machine{'' if one else 's'} failed: {'; '.join(lines)}"
