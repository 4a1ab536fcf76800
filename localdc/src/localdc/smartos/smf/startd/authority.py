"""Who may do what to a service (smf_security(7)): user id 0, or authorizations of user_attr(5)."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import pwd

from ..model import Groups, PropertyGroup, SmfError

MODIFY = "solaris.smf.modify"
MANAGE = "solaris.smf.manage"
_PUBLIC_TYPES = ("framework", "dependency", "method")


class Authority:
    """Answers for user ids; reads ``/etc/user_attr`` when a user other than root asks."""

    def __init__(self, user_attr: str) -> None:
        self.user_attr = user_attr

    def granted(self, uid: int) -> tuple[str, ...]:
        """The authorizations of a user, wildcards such as ``solaris.smf.*`` included."""
        try:
            name = pwd.getpwuid(uid).pw_name
            with open(self.user_attr, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (KeyError, OSError):
            return ()
        found: list[str] = []
        for line in lines:
            fields = line.split(":")
            if len(fields) < 5 or fields[0] != name:
                continue
            for pair in fields[4].split(";"):
                key, _equals, value = pair.strip().partition("=")
                if key == "auths":
                    found.extend(word.strip() for word in value.split(","))
        return tuple(found)

    def holds(self, uid: int, wanted: list[str]) -> bool:
        """Does the user hold one of the authorizations `wanted`?"""
        if uid == 0:
            return True
        granted = self.granted(uid)
        return any(_matches(pattern, name) for pattern in granted for name in wanted)

    def may_read(self, uid: int, group: PropertyGroup) -> bool:
        """May the user see the values? A ``read_authorization`` property protects the group.

        Whoever may change a group may read it, too; groups of svc.startd's own types cannot be
        protected (svc.configd, rc_node_property_may_read).
        """
        if uid == 0 or "read_authorization" not in group.props or group.type in _PUBLIC_TYPES:
            return True
        names = ("read_authorization", "value_authorization", "modify_authorization")
        wanted = [
            value for name in names if name in group.props for value in group.props[name].values
        ]
        return self.holds(uid, [*wanted, MODIFY, f"{MODIFY}.{group.type}"])

    def must_modify(self, uid: int, groups: Groups, group: str = "", values: bool = False) -> None:
        """Raise SmfError("permission") unless the user may change property group `group`."""
        found = groups.get(group)
        wanted = [MODIFY]
        if found is not None:
            wanted.append(f"{MODIFY}.{found.type}")
            names = ["modify_authorization"] + ["value_authorization"] * values
            wanted += [v for n in names if n in found.props for v in found.props[n].values]
        if not self.holds(uid, wanted):
            raise SmfError("Permission denied.", "permission")

    def must_act(self, uid: int, groups: Groups) -> None:
        """Raise SmfError("permission") unless the user may enable, restart … the instance."""
        wanted = [MODIFY, MANAGE]
        general = groups.get("general")
        if general is not None and "action_authorization" in general.props:
            wanted += general.props["action_authorization"].values
        if not self.holds(uid, wanted):
            raise SmfError("Permission denied.", "permission")


def _matches(pattern: str, name: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return pattern == name
