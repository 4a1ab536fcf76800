"""Properties and property groups, the values that the repository holds (smf(7)).

All objects are treated as immutable: an edit makes a new group. Snapshots may therefore share
them with the editing view, which keeps a daemon with hundreds of snapshots small.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Wire = dict[str, Any]


UP = ("online", "degraded")
"""States of an instance that runs."""


class SmfError(Exception):
    """A request that SMF refuses; ``code`` is a word that clients test, the text is for people."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.code = code


class Property:
    """A typed list of values; every value is kept as the text that svcprop(1) prints."""

    __slots__ = ("type", "values")

    def __init__(self, type: str, values: Iterable[str] = ()) -> None:
        self.type = type
        self.values = tuple(values)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Property) and self.type == other.type and self.values == other.values
        )

    def __hash__(self) -> int:
        return hash((self.type, self.values))

    def __repr__(self) -> str:
        return f"Property({self.type!r}, {self.values!r})"


class PropertyGroup:
    """A named set of properties. ``volatile`` groups do not survive a restart of the zone."""

    __slots__ = ("props", "type", "volatile")

    def __init__(
        self, type: str, props: Mapping[str, Property] | None = None, volatile: bool = False
    ) -> None:
        self.type = type
        self.props: dict[str, Property] = dict(props or {})
        self.volatile = volatile

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PropertyGroup)
            and self.type == other.type
            and self.props == other.props
            and self.volatile == other.volatile
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PropertyGroup({self.type!r}, {self.props!r})"

    def having(self, name: str, prop: Property) -> PropertyGroup:
        """A copy in which property `name` is `prop`."""
        return PropertyGroup(self.type, {**self.props, name: prop}, self.volatile)

    def lacking(self, name: str) -> PropertyGroup:
        """A copy without property `name`."""
        rest = {key: prop for key, prop in self.props.items() if key != name}
        return PropertyGroup(self.type, rest, self.volatile)

    def first(self, name: str, default: str | None = None) -> str | None:
        """The first value of property `name`, or `default` where there is none."""
        prop = self.props.get(name)
        return prop.values[0] if prop is not None and prop.values else default


Groups = dict[str, PropertyGroup]


def encode(groups: Mapping[str, PropertyGroup]) -> Wire:
    """`groups` as JSON values, ``{group: [type, {property: [type, value, …]}, volatile?]}``."""
    out: Wire = {}
    for name in sorted(groups):
        group = groups[name]
        props = {key: [p.type, *p.values] for key, p in sorted(group.props.items())}
        out[name] = [group.type, props, 1] if group.volatile else [group.type, props]
    return out


def decode(wire: Wire) -> Groups:
    """The inverse of `encode`."""
    return {
        name: PropertyGroup(
            body[0],
            {key: Property(value[0], value[1:]) for key, value in body[1].items()},
            len(body) > 2,
        )
        for name, body in wire.items()
    }


def groups_of(wire: Wire) -> Groups:
    """Property groups of a bundle as the repository holds them, those to delete left out."""
    return {
        name: PropertyGroup(
            body["type"], {key: Property(v[0], v[1:]) for key, v in body["props"].items()}
        )
        for name, body in wire.items()
        if not body.get("delete")
    }


def compose(instance: Groups, service: Groups) -> Groups:
    """What an instance inherits: groups and properties of its service, its own ones first.

    A group of the service is inherited only where the types agree (rc_node_setup_cpg of
    svc.configd).
    """
    composed = dict(service)
    for name, group in instance.items():
        below = service.get(name)
        if below is None or below.type != group.type:
            composed[name] = group
        else:
            props = {**below.props, **group.props}
            composed[name] = PropertyGroup(group.type, props, group.volatile)
    return composed


def value_of(groups: Mapping[str, PropertyGroup], group: str, name: str) -> str | None:
    """First value of ``group/name``, or None."""
    found = groups.get(group)
    return None if found is None else found.first(name)


def number(text: str | None) -> int | None:
    """A value as a number, or None where it is absent or of another type."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def boolean_of(groups: Mapping[str, PropertyGroup], group: str, name: str) -> bool | None:
    """A boolean property as bool, or None where it is absent."""
    value = value_of(groups, group, name)
    return None if value is None else value == "true"
