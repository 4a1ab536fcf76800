"""What a data center offers, by the calls of smartdc 0.2: images, packages, networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .. import lookup
from ..client import Client
from ..errors import NotFound, UsageError
from ..pools import Pools
from ..raw import Record
from .arguments import identifier


class Offers(Client):
    """Everything is accepted by id, name, or the dict that another call returned."""

    _public_networks: frozenset[str] | None = None
    _pools: Pools | None = None

    def datasets(
        self, search: str | None = None, fields: Iterable[str] = ("description", "urn")
    ) -> list[Record]:
        """Images under their name of 2013, with ``urn``; ``search`` is a regular expression."""
        try:
            found = self.get_list("datasets")
        except NotFound:
            found = self.list_images()
        for item in found:
            item.setdefault("urn", f"sdc:sdc:{item.get('name')}:{item.get('version')}")
        return list(search_dicts(found, search, fields)) if search else found

    def dataset(self, wanted: str | Mapping[str, Any]) -> Record:
        """One image by id, name or URN, or by a dict with ``id`` or ``urn``."""
        return lookup.image(self.datasets(), identifier(wanted, "id", "urn"))

    def images(
        self, name: str | None = None, os: str | None = None, version: str | None = None
    ) -> list[Record]:
        return self.list_images(name=name, os=os, version=version)

    def image(self, wanted: str | Mapping[str, Any]) -> Record:
        """One image by id, ``name`` or ``name@version``.

        :raises NotFound, LookupFailed: there is none
        """
        ident = identifier(wanted)
        if lookup.is_uuid(ident):
            return self.get_image(ident)
        return lookup.image(self.list_images(), ident)

    def packages(self, name: str | None = None, **filters: Any) -> list[Record]:
        """Packages; filters memory, disk, swap (MiB), version, vcpus, group."""
        return self.list_packages(name=name, **filters)

    def default_package(self) -> Record | None:
        return next((p for p in self.packages() if p.get("default") in (True, "true")), None)

    def package(self, wanted: str | Mapping[str, Any]) -> Record:
        """A package by name or id, or by a dict with one of them."""
        return self.get_package(identifier(wanted, "id", "name"))

    def networks(
        self, search: str | None = None, fields: Iterable[str] = ("name",)
    ) -> list[Record]:
        """Networks; ``search`` is a regular expression over ``fields``."""
        found = self.list_networks()
        return list(search_dicts(found, search, fields)) if search else found

    def public_networks(self) -> frozenset[str]:
        """Ids of the networks that the data center calls public; asked for once."""
        if self._public_networks is None:
            found = self.list_networks()
            self._public_networks = frozenset(str(n.get("id")) for n in found if n.get("public"))
        return self._public_networks

    def is_public(self, nic: Mapping[str, Any]) -> bool:
        """Whether an interface is on a network that the data center calls public, or in a pool."""
        if self._pools is None:
            self._pools = Pools(self, self.list_networks())
        return self._pools.of(nic) in self.public_networks()

    def network(self, wanted: str | Mapping[str, Any]) -> Record:
        """A network by id or name."""
        ident = identifier(wanted)
        if lookup.is_uuid(ident):
            return self.get_network(ident)
        return lookup.network(self.list_networks(), ident)

    def _image_id(self, wanted: str) -> str:
        return (
            wanted
            if lookup.is_uuid(wanted)
            else str(lookup.image(self.list_images(), wanted)["id"])
        )


def search_dicts(
    dicts: Iterable[Record], predicate: str, fields: Iterable[str]
) -> Iterable[Record]:
    """The dicts in which a case-insensitive regular expression matches one of the fields."""
    try:
        matches: Callable[[str], object] = re.compile(predicate, re.IGNORECASE).search
    except re.error as error:
        raise UsageError(f"{predicate!r} is not a regular expression: {error}") from None
    keys = tuple(fields)
    for item in dicts:
        if any(matches(str(item.get(key) or "")) for key in keys):
            yield item
