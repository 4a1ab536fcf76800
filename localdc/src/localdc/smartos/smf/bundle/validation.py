"""Template validation (smf_template(7)) of a bundle: property groups, types, cardinality, values.

The patterns come from the bundle's own templates and, for services that svc.startd restarts,
from the ones that its manifest delegates (milestone/restarter.xml: ``start``, ``stop``,
``startd``). Wording of the problems: scf_tmpl_strerror(3SCF).
"""

from __future__ import annotations

from ..fmri import RESTARTER, SCHEME
from ..model import Groups, Property, PropertyGroup, compose, groups_of, value_of
from .templates import PG_PATTERN, PROP_PATTERN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Wire = dict[str, Any]

_ONE = (1, 1)
_ANY = (0, 2**64 - 1)
_METHOD_STRINGS = (
    "working_directory", "project", "resource_pool", "security_flags", "user", "group",
    "supp_groups", "privileges", "limit_privileges", "profile",
)  # fmt: skip


class PropPattern:
    """What a template says of one property."""

    __slots__ = ("cardinality", "name", "ranges", "required", "type", "values")

    def __init__(
        self,
        name: str,
        type: str = "",
        required: bool = False,
        cardinality: tuple[int, int] = _ANY,
        values: tuple[str, ...] = (),
        ranges: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self.name = name
        self.type = type
        self.required = required
        self.cardinality = cardinality
        self.values = values
        self.ranges = ranges


class PgPattern:
    """What a template says of property groups of a name, a type or both."""

    __slots__ = ("name", "props", "required", "target", "type")

    def __init__(
        self, name: str, type: str, required: bool, target: str, props: list[PropPattern]
    ) -> None:
        self.name = name
        self.type = type
        self.required = required
        self.target = target
        self.props = props

    def fits(self, name: str, group: PropertyGroup) -> bool:
        """Does the pattern speak of this group?"""
        if self.name:
            return name == self.name
        return not self.type or group.type == self.type


def _method(name: str, required: bool) -> PgPattern:
    props = [
        PropPattern("exec", "astring", True, _ONE),
        PropPattern("type", "astring", True, _ONE, ("method",)),
        PropPattern("timeout_seconds", "count", True, _ONE),
        PropPattern("use_profile", "boolean", False, _ONE),
        PropPattern("environment", "astring"),
        *(PropPattern(key, "astring", False, _ONE) for key in _METHOD_STRINGS),
    ]
    return PgPattern(name, "method", required, "this", props)


_DELEGATED = [
    _method("start", True),
    _method("stop", True),
    _method("refresh", False),
    PgPattern("startd", "framework", False, "this", [
        PropPattern("duration", "astring", False, _ONE,
                    ("contract", "transient", "child", "wait")),
        PropPattern("ignore_error", "astring", False, _ONE),
        PropPattern("need_session", "boolean", False, _ONE),
        PropPattern("utmpx_prefix", "astring", False, _ONE),
    ]),
]  # fmt: skip


def problems(bundle: Wire) -> list[str]:
    """Every violation in the instances (or services without one) of a manifest."""
    found: list[str] = []
    if bundle["type"] != "manifest":
        return found
    for service in bundle["services"]:
        above = groups_of(service["groups"])
        patterns = _patterns(above)
        fmri = SCHEME + service["name"]
        if not service["instances"]:
            found += _check(fmri, above, [p for p in patterns if p.target == "this"], False)
        for instance in service["instances"]:
            own = groups_of(instance["groups"])
            groups = compose(own, above)
            chosen = [p for p in patterns if p.target in ("this", "instance")]
            chosen += [p for p in _patterns(own) if p.target == "this"]
            found += _check(f"{fmri}:{instance['name']}", groups, chosen, True)
    return found


def _check(fmri: str, groups: Groups, patterns: list[PgPattern], instance: bool) -> list[str]:
    restarter = value_of(groups, "general", "restarter") or RESTARTER
    if instance and restarter == RESTARTER:
        patterns = [*_DELEGATED, *patterns]
    found: list[str] = []
    for pattern in patterns:
        hits = [name for name in groups if pattern.fits(name, groups[name])]
        if pattern.required and not hits:
            found.append(
                _text("Required property group missing", fmri, pattern.name, "", pattern.type)
            )
        for name in hits:
            if pattern.name and pattern.type and groups[name].type != pattern.type:
                found.append(
                    _text("Property group has bad type", fmri, name, "", groups[name].type)
                )
                continue
            for prop in pattern.props:
                found += _check_property(fmri, name, groups[name], prop)
    return found


def _check_property(fmri: str, group: str, found: PropertyGroup, want: PropPattern) -> list[str]:
    prop = found.props.get(want.name)
    if prop is None:
        if want.required:
            return [_text("Required property missing", fmri, group, want.name, want.type)]
        return []
    if want.type and prop.type != want.type:
        return [_text("Property has bad type", fmri, group, want.name, prop.type)]
    low, high = want.cardinality
    if not low <= len(prop.values) <= high:
        what = "Number of property values violates cardinality restriction"
        return [_text(what, fmri, group, want.name, str(len(prop.values)))]
    return list(_values(fmri, group, prop, want))


def _values(fmri: str, group: str, prop: Property, want: PropPattern) -> Iterator[str]:
    for value in prop.values:
        if want.values and value not in want.values and not want.ranges:
            yield _text("Property has illegal value", fmri, group, want.name, value)
        if not want.ranges or value in want.values:
            continue
        if not any(low <= int(value) <= high for low, high in want.ranges):
            yield _text("Property value is out of range", fmri, group, want.name, value)


def _text(problem: str, fmri: str, group: str, name: str, value: str) -> str:
    lines = [f"{problem}.", f'\tFMRI="{fmri}"', f'\tProperty group="{group}"']
    if name:
        lines.append(f'\tProperty name="{name}"')
    if value:
        lines.append(f'\tValue="{value}"')
    return "\n".join(lines)


def _patterns(groups: Groups) -> list[PgPattern]:
    """The patterns in the ``tm_*`` groups of an entity."""
    found = []
    for key, group in groups.items():
        if group.type != PG_PATTERN:
            continue
        props = [
            _prop_pattern(other)
            for other in groups.values()
            if other.type == PROP_PATTERN and other.first("pg_pattern") == key
        ]
        found.append(
            PgPattern(
                group.first("name") or "",
                group.first("type") or "",
                group.first("required") == "true",
                group.first("target") or "this",
                props,
            )
        )
    return found


def _prop_pattern(group: PropertyGroup) -> PropPattern:
    low, high = (int(group.first(f"cardinality_{end}") or _ANY[end == "max"]) for end in
                 ("min", "max"))  # fmt: skip
    texts = group.props.get("constraint_range")
    ranges = [text.partition(",") for text in texts.values] if texts else []
    names = group.props.get("constraint_name")
    return PropPattern(
        group.first("name") or "",
        group.first("type") or "",
        group.first("required") == "true",
        (low, high),
        names.values if names else (),
        tuple((int(low_), int(high_)) for low_, _comma, high_ in ranges),
    )
