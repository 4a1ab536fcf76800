"""A machine that is to be made: what CreateMachine is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import errors, pools
from ansible.module_utils.sdc.machine.group import REQUEST_TAG, Group, Machine
from ansible.module_utils.sdc.offers import Offers


@dataclass(frozen=True)
class Creation:
    """One new machine of a group, and the parameters of CreateMachine for it."""

    group: Group
    payload: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The machine's name."""
        return str(self.payload["name"])

    @property
    def tags(self) -> dict[str, Any]:
        """The tags that a user sees: the one that marks the request is our own."""
        return {key: tag for key, tag in self.payload["tags"].items() if key != REQUEST_TAG}


def creation(group: Group, name: str, request: str, offers: Offers) -> Creation:
    """A new machine of a completed group.

    :param request: the value of the tag by which a lost answer is found again
    :raises Refused: the group has no image
    :raises LookupFailed: the data center has no such package, image or network
    """
    if not group.package or not group.image:
        raise Refused(f"{name!r} has to be created, which needs an image")
    payload: dict[str, Any] = {
        "name": name,
        "package": offers.package(group.package)["id"],
        "image": offers.image(group.image)["id"],
        "metadata": dict(group.metadata),
        "tags": {**group.all_tags, REQUEST_TAG: request},
    }
    if group.networks is not None:
        payload["networks"] = offers.attachments(group.networks)
    if group.volumes:
        payload["volumes"] = [{**volume, "type": "tritonnfs"} for volume in group.volumes]
    for option in ("firewall_enabled", "deletion_protection", "affinity"):
        value = getattr(group, option)
        if value is not None:
            payload[option] = list(value) if option == "affinity" else value
    return Creation(group, payload)


def completed(group: Group, model: Machine | None, offers: Offers) -> Group:
    """The group with what its new machines shall be where the task does not say it.

    They are like the model; without one, as `initial` says.
    """
    default = group.initial if model is None else model
    networks = group.networks
    if networks is None:
        networks = default.get("networks") if model is None else _networks_of(model, offers)
    result = replace(
        group,
        image=group.image or default.get("image"),
        package=group.package or default.get("package"),
        networks=networks,
    )
    if result.image and not result.package:
        smallest = offers.smallest_package(offers.image(result.image))
        result = replace(result, package=smallest["name"])
    return result


def chosen(asked: Group, made: Group, offers: Offers) -> dict[str, str]:
    """What the task left open: of an image without a version the newest is taken."""
    choice: dict[str, str] = {}
    if made.package and asked.package != made.package:
        choice["package"] = made.package
    if made.image:
        image = offers.image(made.image)
        name = f"{image['name']}@{image['version']}"
        if asked.image not in (name, image["id"]):
            choice["image"] = f"{name} ({image['id']})"
    return choice


def _networks_of(machine: Machine, offers: Offers) -> list[str] | None:
    """Networks for a machine like this one; None for the data center's choice.

    A machine in a pool shows a member of it, which cannot be asked for.

    :raises Refused: it cannot be told which they are
    """
    try:
        return offers.pools.all_of(pools.interfaces(machine)) or None
    except errors.UsageError as error:
        raise Refused(
            f"new machines would be in the networks of {machine['name']}, but its "
            f"{error.message}; say networks"
        ) from None
