"""Bundles into the repository: fresh imports, upgrades that keep local changes, profiles.

An upgrade compares three versions of every property: what the last import brought, what the
repository holds now, and what the new manifest says (svccfg(8), svccfg_libscf.c).
"""

from __future__ import annotations

from .. import fmri as fmris
from ..model import Groups, Property, PropertyGroup, SmfError, groups_of
from .repository import Repository, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wire = dict[str, Any]

# these belong to the administrator as soon as the instance exists
_KEPT = (("general", "enabled"), ("general", "restarter"))


class Imported:
    """What an import did: instances to refresh (new and old), and messages for stderr."""

    def __init__(self) -> None:
        self.refreshed: list[str] = []
        self.created: list[str] = []
        self.messages: list[str] = []


def apply_bundle(repository: Repository, bundle: Wire) -> Imported:
    """Import a manifest or apply a profile; the caller commits, and has the instances refreshed.

    Raises SmfError for what cannot be stored; the repository may then hold a part, so the caller
    has to restore it.
    """
    done = Imported()
    for service in bundle["services"]:
        if bundle["type"] == "profile":
            _apply_profile(repository, service, done)
        else:
            _import_service(repository, service, done)
    return done


def _import_service(repository: Repository, wire: Wire, done: Imported) -> None:
    fmri = fmris.SCHEME + wire["name"]
    new = groups_of(wire["groups"])
    _note_dependents(new, wire["dependents"])
    base = repository.imported(fmri)
    if fmri not in repository.entities:
        base = {}
    _merge(repository, fmri, base, new, wire["groups"], done)
    repository.note_import(fmri, new)
    _dependents(repository, fmri, wire["dependents"], done)
    for instance in wire["instances"]:
        _import_instance(repository, fmri, new, instance, done)


def _import_instance(
    repository: Repository, service: str, above: Groups, wire: Wire, done: Imported
) -> None:
    fmri = f"{service}:{wire['name']}"
    new = groups_of(wire["groups"])
    general = new.get("general", PropertyGroup("framework"))
    enabled = "true" if wire["enabled"] else "false"
    new["general"] = general.having("enabled", Property("boolean", [enabled]))
    _note_dependents(new, wire["dependents"])
    fresh = fmri not in repository.entities
    last = repository.snapshot(fmri, "last-import")
    base: Groups | None = {} if fresh else last.instance if last else None
    _merge(repository, fmri, base, new, wire["groups"], done)
    _dependents(repository, fmri, wire["dependents"], done)
    snapshot = Snapshot(new, above)
    if fresh or repository.snapshot(fmri, "initial") is None:
        repository.take(fmri, "initial", snapshot)
    repository.take(fmri, "last-import", snapshot)
    if fresh:
        done.created.append(fmri)
    if fmri not in done.refreshed:
        done.refreshed.append(fmri)


def _merge(
    repository: Repository, fmri: str, base: Groups | None, new: Groups, wire: Wire,
    done: Imported,
) -> None:  # fmt: skip
    """Bring `new` into an entity; without `base` (never imported) the manifest wins."""
    entity = repository.create(fmri)
    for name, body in wire.items():
        if body.get("delete"):
            repository.drop(entity, name)
    for name, group in new.items():
        override = set(wire.get(name, {}).get("override", ()))
        now = entity.groups.get(name)
        was = None if base is None else base.get(name)
        if now is None:
            if was is not None and was == group:
                continue
            if was is not None and was != group:
                done.messages.append(
                    f"Conflict upgrading {fmri} (property group {name} is missing)"
                )
                continue
            repository.put(entity, name, group)
        elif now.type != group.type:
            done.messages.append(
                f"Conflict upgrading {fmri} (property group {name} has type {now.type},"
                f" not {group.type})"
            )
        else:
            merged = _merge_group(fmri, name, was, now, group, override, base is None, done)
            repository.put(entity, name, merged)
    for name, was in (base or {}).items():
        now = entity.groups.get(name)
        if name in new or now is None:
            continue
        rest = {k: p for k, p in now.props.items() if was.props.get(k) != p}
        if rest:
            repository.put(entity, name, PropertyGroup(now.type, rest, now.volatile))
        else:
            repository.drop(entity, name)


def _merge_group(
    fmri: str, name: str, was: PropertyGroup | None, now: PropertyGroup, new: PropertyGroup,
    override: set[str], unknown: bool, done: Imported,
) -> PropertyGroup:  # fmt: skip
    props = dict(now.props)
    before = was.props if was is not None else {}
    for key, prop in new.props.items():
        mine, last = now.props.get(key), before.get(key)
        if (name, key) in _KEPT and mine is not None:
            continue
        if mine == prop or (last == prop and key not in override and not unknown):
            continue
        if mine is None and last is not None:
            done.messages.append(f"Conflict upgrading {fmri} (property {name}/{key} is missing)")
        elif mine is None or mine == last or key in override or unknown:
            props[key] = prop
        else:
            done.messages.append(
                f'Conflict upgrading {fmri} (property "{name}/{key}" was changed here and in the'
                " manifest; keeping the value that is here)"
            )
    for key, last in before.items():
        if key not in new.props and now.props.get(key) == last and (name, key) not in _KEPT:
            del props[key]
    return PropertyGroup(now.type, props, now.volatile)


def _note_dependents(groups: Groups, dependents: list[Wire]) -> None:
    """Record the dependents in the entity that declares them, as group ``dependents``."""
    kept = {d["name"]: Property("fmri", [d["target"]]) for d in dependents if not d.get("delete")}
    if kept:
        groups["dependents"] = PropertyGroup("framework", kept)


def _dependents(repository: Repository, fmri: str, dependents: list[Wire], done: Imported) -> None:
    for wire in dependents:
        target = fmris.normalise(wire["target"])
        before = repository.generation
        if wire.get("delete"):
            if target in repository.entities:
                repository.drop(repository.entities[target], wire["name"])
        else:
            props = {key: Property(v[0], v[1:]) for key, v in wire["props"].items()}
            props["entities"] = Property("fmri", [fmri])
            entity = repository.create(target)
            repository.put(entity, wire["name"], PropertyGroup("dependency", props))
        if repository.generation == before:
            continue
        for instance in _instances(repository, target):
            if instance not in done.refreshed and instance in repository.running:
                done.refreshed.append(instance)


def _instances(repository: Repository, target: str) -> list[str]:
    if fmris.split(target)[1] is None:
        return repository.instances_of(target)
    return [target] if target in repository.entities else []


def _apply_profile(repository: Repository, wire: Wire, done: Imported) -> None:
    """Set what a profile says on services and instances that exist; others are passed over."""
    service = fmris.SCHEME + wire["name"]
    if service not in repository.entities:
        return
    _overlay(repository, service, wire["groups"])
    touched = list(repository.instances_of(service)) if wire["groups"] else []
    for instance in wire["instances"]:
        fmri = f"{service}:{instance['name']}"
        entity = repository.entities.get(fmri)
        if entity is None:
            continue
        _overlay(repository, fmri, instance["groups"])
        if instance["enabled"] is not None:
            enabled = "true" if instance["enabled"] else "false"
            repository.set(
                entity, "general", "enabled", Property("boolean", [enabled]), "framework"
            )
        touched.append(fmri)
    done.refreshed.extend(f for f in touched if f not in done.refreshed)


def _overlay(repository: Repository, fmri: str, wire: Wire) -> None:
    entity = repository.entities[fmri]
    for name, body in wire.items():
        if body.get("delete"):
            repository.drop(entity, name)
            continue
        inherited = repository.current(fmri).get(name)
        type = body["type"] or (inherited.type if inherited else "")
        if not type:
            raise SmfError(f"property group {name} of {fmri} does not exist; a type is needed")
        group = entity.groups.get(name) or PropertyGroup(type)
        known = inherited.props if inherited else {}
        props = {
            key: _typed(f"{fmri}: {name}/{key}", value, known.get(key))
            for key, value in body["props"].items()
        }
        repository.put(entity, name, PropertyGroup(group.type, {**group.props, **props}))


def _typed(where: str, wire: list[str], known: Property | None) -> Property:
    """A property of a profile, which may leave its type to the repository."""
    if wire[0]:
        return Property(wire[0], wire[1:])
    if known is None:
        raise SmfError(f"property {where} does not exist; a type is needed")
    # it needs re, which a zone whose properties nobody sets does not
    from ..values import normalise

    return Property(known.type, [normalise(known.type, value) for value in wire[1:]])
