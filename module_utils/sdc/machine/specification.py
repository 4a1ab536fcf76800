"""What the options of sdc_machine ask for, as groups of machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ansible.module_utils.sdc.base import Refused, SdcModule, lookup
from ansible.module_utils.sdc.machine.plan import Group, check_disjoint, check_group
from ansible.module_utils.sdc.offers import Offers

INHERITED = ("package", "image", "networks", "volumes", "user_script")
INHERITED += ("firewall_enabled", "deletion_protection", "affinity")


class Wish(SdcModule):
    """The part of sdc_machine that understands its options."""

    def check_options(self) -> None:
        """Refuse what makes no sense whatever the machines are."""
        params = self.params
        if params["parallel"] < 1:
            raise Refused(f"parallel must be 1 or more, not {params['parallel']}")
        if params["exact_count"] is not None and params["state"] not in ("present", "started"):
            raise Refused(
                f"exact_count does not go with state {params['state']}; leave it out, or write "
                "state: present"
            )
        for wish in (params, *(params["groups"] or ())):
            for option in ("selector", "tags"):
                for key, value in (wish.get(option) or {}).items():
                    if not isinstance(value, str | int | float):
                        raise Refused(f"{option}: {key!r} must be text, a number, true or false")

    @cached_property
    def selector(self) -> dict[str, Any]:
        """Tags of all machines of the task."""
        selector: dict[str, Any] = self.params["selector"] or {}
        empty = [key for key, value in selector.items() if value in ("", None)]
        if empty:
            raise Refused(f"selector tag {empty[0]!r} has no value")
        return selector

    @cached_property
    def groups(self) -> list[Group]:
        """The machines that the task wants, in groups."""
        wishes: Sequence[Mapping[str, Any]] = self.params["groups"] or []
        if not wishes:
            if not self.params["name"]:
                raise Refused("say which machines: give name, id, or groups")
            count = self.params["exact_count"]
            wishes = [{"name": self.params["name"], "exact_count": 1 if count is None else count}]
        if self.counting and not self.selector:
            raise Refused(
                "counting needs a selector that is not empty, such as {cluster: NAME}; without it "
                "every machine of the account would count"
            )
        groups = [self.group(wish) for wish in wishes]
        for group in groups:
            check_group(group)
        check_disjoint(groups)
        return groups

    def group(self, wish: Mapping[str, Any]) -> Group:
        """One entry of the option `groups`, completed from the task's own options."""

        def merged(option: str) -> dict[str, Any]:
            return {**(self.params[option] or {}), **(wish.get(option) or {})}

        taken: dict[str, Any] = {}
        for option in INHERITED:
            own = wish.get(option)
            taken[option] = self.params[option] if own is None else own
        secret = merged("secret_metadata")
        metadata = {**merged("metadata"), **secret}
        if taken["package"] and lookup.is_uuid(taken["package"]):
            # machines carry the name of their package
            taken["package"] = self.offers.package(taken["package"])["name"]
        script = taken.pop("user_script")
        if script is not None:
            metadata["user-script"] = script
        initial = {
            key: value
            for given in (self.params["initial"], wish.get("initial"))
            for key, value in (given or {}).items()
            if value is not None
        }
        return Group(
            name=wish["name"],
            count=wish["exact_count"],
            initial=initial,
            selector={**self.selector, **(wish.get("selector") or {})},
            own=wish.get("selector") or {},
            tags=merged("tags"),
            metadata={key: _metadatum(value) for key, value in metadata.items()},
            secret_keys=frozenset(secret),
            purge_tags=self.params["purge_tags"],
            rename=wish.get("rename"),
            **taken,
        )

    @property
    def counting(self) -> bool:
        """Whether the task is about a number of machines and not about one by name."""
        return bool(self.params["groups"]) or self.params["exact_count"] is not None

    @cached_property
    def offers(self) -> Offers:
        """Packages, images and networks of the data center."""
        return Offers(self.api)


def _metadatum(value: Any) -> str:
    """Metadata values are strings; what is not one is written as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
