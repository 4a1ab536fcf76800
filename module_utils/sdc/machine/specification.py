"""What the options of sdc_machine ask for, as groups of machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.module_utils.sdc.base import Refused
from ansible.module_utils.sdc.client import lookup, values, wire
from ansible.module_utils.sdc.machine.group import Group, check_disjoint, check_group
from ansible.module_utils.sdc.offers import Offers

INHERITED = (
    "package",
    "image",
    "networks",
    "volumes",
    "user_script",
    "firewall_enabled",
    "deletion_protection",
    "affinity",
)
"""Options of a group for which the task's own stand in."""


def what_to_wait_for(given: str) -> str:
    """`false`, `running` or `ssh`; modules of other clouds have a truth value in this place.

    :raises Refused: it is none of these
    """
    if given in ("running", "ssh"):
        return given
    try:
        return "running" if boolean(given) else "false"
    except TypeError:
        raise Refused(f"wait is neither true, false, running nor ssh: {given!r}") from None


def check_options(params: Mapping[str, Any]) -> None:
    """Look at the options without regard to what there is.

    :raises Refused: they make no sense, whatever the machines are
    """
    if params["parallel"] < 1:
        raise Refused(f"parallel must be 1 or more, not {params['parallel']}")
    if params["exact_count"] is not None and params["state"] not in ("present", "started"):
        raise Refused(
            f"exact_count does not go with state {params['state']}; leave it out, or write "
            "state: present"
        )
    for part in (params, *(params["groups"] or ())):
        for option, problem_of in (
            ("selector", values.selector_problem),
            ("tags", values.tag_problem),
        ):
            for name, value in (part.get(option) or {}).items():
                if problem := problem_of(name, value):
                    raise Refused(f"{option}: {name!r} {problem}")
        for option in ("metadata", "secret_metadata"):
            for name in part.get(option) or {}:
                if problem := values.metadatum_problem(name):
                    raise Refused(f"{option}: {name!r} {problem}")
    _check_count(params)
    _check_tags("selector", params["selector"], "tags", params["tags"])
    for group in params["groups"] or ():
        name = group["name"]
        tags = {**(params["tags"] or {}), **(group["tags"] or {})}
        own = f"the selector of {name}"
        _check_tags("selector", params["selector"], own, group["selector"])
        _check_tags("selector", params["selector"], f"tags of {name}", tags)
        _check_tags(own, group["selector"], f"tags of {name}", tags)


def _check_count(params: Mapping[str, Any]) -> None:
    """Refuse more machines than anybody means, before each of them gets a name."""
    counts = [params["exact_count"], *(group["exact_count"] for group in params["groups"] or ())]
    wanted = sum(max(0, count) for count in counts if count is not None)
    if wanted > params["max_count"]:
        raise Refused(
            f"exact_count asks for {wanted} machines, and max_count is {params['max_count']}; "
            "correct exact_count, or give max_count too"
        )


def _check_tags(
    first: str, selector: Mapping[str, Any] | None, second: str, tags: Mapping[str, Any] | None
) -> None:
    """Refuse tags with which a machine would not be found again.

    :param first: where the selector is from, for the message; second, where the tags are from
    """
    for key, value in (selector or {}).items():
        if tags and key in tags and wire(tags[key]) != wire(value):
            raise Refused(
                f"{second}: {key!r} is {tags[key]!r}, but {first} says {value!r}, by which "
                "machines are found again; correct one of them"
            )


class Specification:
    """The machines that a task is about, and what they are to be.

    :param params: the module's options
    :param offers: knows the names of packages that are given by id
    """

    def __init__(self, params: Mapping[str, Any], offers: Offers) -> None:
        self.params = params
        self.offers = offers
        self.state: str = params["state"]
        self.adopt: dict[str, Any] = params["adopt"] or {}

    @cached_property
    def selector(self) -> dict[str, Any]:
        """Tags of all machines of the task.

        :raises Refused: a tag has no value
        """
        selector: dict[str, Any] = self.params["selector"] or {}
        empty = [key for key, value in selector.items() if value in ("", None)]
        if empty:
            raise Refused(f"selector tag {empty[0]!r} has no value")
        return selector

    @property
    def counting(self) -> bool:
        """Whether the task is about a number of machines and not about one by name."""
        return bool(self.params["groups"]) or self.params["exact_count"] is not None

    @cached_property
    def groups(self) -> list[Group]:
        """The machines that are to be, in groups.

        :raises Refused: no machines are named, or the groups make no sense
        """
        entries: Sequence[Mapping[str, Any]] = self.params["groups"] or []
        if not entries:
            if not self.params["name"]:
                raise Refused("say which machines: give name, id, or groups")
            count = self.params["exact_count"]
            entries = [{"name": self.params["name"], "exact_count": 1 if count is None else count}]
        if self.counting and not self.selector:
            raise Refused(
                "counting needs a selector that is not empty, such as {cluster: NAME}; without it "
                "every machine of the account would count"
            )
        groups = [self.group(entry) for entry in entries]
        for group in groups:
            check_group(group)
        check_disjoint(groups)
        return groups

    def group(self, entry: Mapping[str, Any]) -> Group:
        """One entry of the option `groups`, completed from the task's own options."""
        taken: dict[str, Any] = {}
        for option in INHERITED:
            own = entry.get(option)
            taken[option] = self.params[option] if own is None else own
        secret = self._merged("secret_metadata", entry)
        metadata = {**self._merged("metadata", entry), **secret}
        if taken["package"] and lookup.is_uuid(taken["package"]):
            # machines carry the name of their package
            taken["package"] = self.offers.package(taken["package"])["name"]
        script = taken.pop("user_script")
        if script is not None:
            metadata["user-script"] = script
        initial = {
            key: value
            for given in (self.params["initial"], entry.get("initial"))
            for key, value in (given or {}).items()
            if value is not None
        }
        return Group(
            name=entry["name"],
            count=entry["exact_count"],
            initial=initial,
            selector={**self.selector, **(entry.get("selector") or {})},
            own=entry.get("selector") or {},
            tags=self._merged("tags", entry),
            metadata={key: _metadatum(value) for key, value in metadata.items()},
            secret_keys=frozenset(secret),
            purge_tags=self.params["purge_tags"],
            rename=entry.get("rename"),
            **taken,
        )

    def _merged(self, option: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        return {**(self.params[option] or {}), **(entry.get(option) or {})}


def _metadatum(value: Any) -> str:
    """Metadata values are strings; what is not one is written as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
