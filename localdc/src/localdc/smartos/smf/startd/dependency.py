"""Dependency groups (smf(7)): what an instance says of the others that it needs."""

from __future__ import annotations

from .. import fmri as fmris
from ..model import Groups

GROUPINGS = ("require_all", "require_any", "exclude_all", "optional_all")
# which stop events reach a dependent, by restart_on; the events are error > restart > refresh
RESTART_ON = {
    "none": (), "error": ("error",), "restart": ("error", "restart"),
    "reset": ("error", "restart"), "refresh": ("error", "restart", "refresh"),
}  # fmt: skip


class Dependency:
    """One dependency group of an instance."""

    __slots__ = ("entities", "grouping", "kind", "name", "restart_on")

    def __init__(
        self, name: str, grouping: str, restart_on: str, kind: str, entities: tuple[str, ...]
    ) -> None:
        self.name = name
        self.grouping = grouping
        self.restart_on = restart_on
        self.kind = kind
        self.entities = entities

    @property
    def valid(self) -> bool:
        """False sends the instance to maintenance (invalid_dependency)."""
        return (
            self.grouping in GROUPINGS
            and self.kind in ("service", "path")
            and self.restart_on in RESTART_ON
            and all(entity.startswith(("svc:", "file:")) for entity in self.entities)
        )


def dependencies(groups: Groups) -> list[Dependency]:
    """The dependency groups in a composed configuration, by name."""
    found = []
    for name in sorted(groups):
        group = groups[name]
        if group.type != "dependency":
            continue
        entities = group.props.get("entities")
        found.append(
            Dependency(
                name,
                group.first("grouping") or "",
                group.first("restart_on") or "none",
                group.first("type") or "service",
                tuple(_entity(text) for text in entities.values) if entities else (),
            )
        )
    return found


def _entity(text: str) -> str:
    if not text.startswith("svc:"):
        return text
    service, instance = fmris.split(text)
    return fmris.SCHEME + service + (f":{instance}" if instance is not None else "")
