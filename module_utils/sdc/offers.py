"""Packages, images and networks of a data center, by the names that people write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import Client, lookup, pools

SMALLEST = 512
"""MiB of memory without which no controller and no engine runs."""


class Offers:
    """Finds ids; each catalogue is fetched once, and only when it is needed.

    A name that does not exist raises LookupFailed, with the nearest names.
    """

    def __init__(self, api: Client) -> None:
        self.api = api

    @cached_property
    def packages(self) -> list[dict[str, Any]]:
        """All packages."""
        return self.api.list_packages()

    @cached_property
    def images(self) -> list[dict[str, Any]]:
        """All active images."""
        return self.api.list_images()

    @cached_property
    def networks(self) -> list[dict[str, Any]]:
        """All networks."""
        return self.api.list_networks()

    @cached_property
    def pools(self) -> pools.Pools:
        """On which of the networks an interface is."""
        return pools.Pools(self.api, self.networks)

    def package(self, wanted: str) -> dict[str, Any]:
        """A package by name or id."""
        return lookup.package(self.packages, wanted)

    def smallest_package(self, image: dict[str, Any]) -> dict[str, Any]:
        """The smallest package that runs a SmartOS zone of this image.

        That is one which is active, of brand joyent or of none in particular, with 512 MiB or
        what the image needs (CloudAPI, ListPackages, and ListImages `requirements`).

        Raises Refused when there is none.
        """
        needs = image.get("requirements") or {}
        least = max(SMALLEST, int(needs.get("min_ram") or 0))
        most = int(needs.get("max_ram") or 0)
        fitting = [
            package
            for package in self.packages
            if package.get("active", True)
            and package.get("brand") in (None, "", "joyent")
            and least <= package["memory"] <= (most or package["memory"])
        ]
        if not fitting:
            names = ", ".join(sorted(str(package["name"]) for package in self.packages)[:20])
            raise Refused(
                f"no package was named, and none is active, of brand joyent or none, and has "
                f"{least} MiB{f' to {most} MiB' if most else ' or more'}; name one of: {names}"
            )
        sizes = ("memory", "disk", "vcpus")
        return min(fitting, key=lambda p: (*(p.get(size) or 0 for size in sizes), p["name"]))

    def image(self, wanted: str) -> dict[str, Any]:
        """An image by id, `name@version` or name (then the newest)."""
        return lookup.image(self.images, wanted)

    def network(self, wanted: str) -> dict[str, Any]:
        """A network by name or id."""
        return lookup.network(self.networks, wanted)

    def attachments(self, wanted: Sequence[str]) -> list[str] | list[dict[str, Any]]:
        """Networks as CreateMachine takes them; `NAME=ADDRESS` asks for an address.

        A list has ids or objects, not both (sdc-cloudapi, docs/index.md, CreateMachine;
        lib/machines.js, getCreateOptions). Addresses are for fabric networks only.
        """
        parts = [entry.partition("=") for entry in wanted]
        ids = [str(self.network(name)["id"]) for name, _, _ in parts]
        if not any(address for _, _, address in parts):
            return ids
        return [
            {"ipv4_uuid": ident, **({"ipv4_ips": [address]} if address else {})}
            for ident, (_, _, address) in zip(ids, parts, strict=True)
        ]
