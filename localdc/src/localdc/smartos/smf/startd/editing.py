"""Requests of svccfg(8): edits of the repository, imports and profiles."""

from __future__ import annotations

from .. import fmri as fmris
from ..model import Property, PropertyGroup, SmfError
from .authority import Authority
from .importer import Imported, apply_bundle
from .repository import Entity, Repository
from .restarter import Restarter
from .server import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wire = dict[str, Any]


class Editing:
    """Handlers that change configuration; every one is a transaction of its own."""

    def __init__(
        self, repository: Repository, restarter: Restarter | None, authority: Authority | None
    ) -> None:
        self.repository = repository
        self.restarter = restarter
        self.authority = authority
        self.handlers = {
            "create": self.create, "delete": self.delete, "import": self.import_bundle,
            "addpg": self.addpg, "delpg": self.delpg, "setprop": self.setprop,
            "delprop": self.delprop, "revert": self.revert,
        }  # fmt: skip

    def _entity(self, peer: Peer, request: Wire, values: bool = False) -> Entity:
        entity = self.repository.get(request["fmri"])
        if self.authority is not None:
            groups = self.repository.current(entity.fmri)
            self.authority.must_modify(peer.uid, groups, request.get("group", ""), values)
        return entity

    def _committed(self, entity: Entity, group: str = "") -> Wire:
        self.repository.commit()
        # startd follows general/enabled itself; everything else acts at the next refresh
        if group in ("general", "general_ovr") and self.restarter is not None:
            names = (
                [entity.fmri] if fmris.split(entity.fmri)[1] is not None
                else self.repository.instances_of(entity.fmri)
            )  # fmt: skip
            for name in names:
                self._follow(self.restarter, name)
        return {"generation": entity.generation}

    @staticmethod
    def _follow(restarter: Restarter, fmri: str, imported: bool = False) -> None:
        """Have svc.startd act on ``general/enabled``, and on all of what came with an import."""

        def act() -> None:
            if imported:
                restarter.refresh(fmri)
            restarter.enabled_changed(fmri)

        restarter.ask(fmri, act, refresh=imported)

    def create(self, peer: Peer, request: Wire) -> Wire:
        """Add an empty service or instance."""
        if self.authority is not None:
            self.authority.must_modify(peer.uid, {})
        fmri = fmris.normalise(request["fmri"])
        if fmri in self.repository.entities:
            kind = "Service" if fmris.split(fmri)[1] is None else "Instance"
            raise SmfError(f"{kind} already exists.", "exists")
        return self._committed(self.repository.create(fmri))

    def delete(self, peer: Peer, request: Wire) -> Wire:
        """Remove a service or instance; a running one only with ``force``."""
        entity = self._entity(peer, request)
        fmri = entity.fmri
        service = fmris.split(fmri)[1] is None
        names = self.repository.instances_of(fmri) if service else [fmri]
        for name in names:
            instance = self.restarter.instances.get(name) if self.restarter else None
            running = instance is not None and (instance.up or instance.run is not None)
            if running and not request.get("force"):
                raise SmfError(
                    f"Instance {name} may be running.  Use delete -f if it is not.", "running"
                )
        for name in names:
            if self.restarter is not None:
                self.restarter.remove(name)
        self.repository.delete(fmri)
        self.repository.commit()
        return {}

    def addpg(self, peer: Peer, request: Wire) -> Wire:
        """Add an empty property group."""
        entity = self._entity(peer, request)
        name, type = request["group"], request["type"]
        if name in entity.groups:
            raise SmfError("Property group already exists.", "exists")
        if not fmris.valid_name(name):
            raise SmfError(f'Invalid property group name "{name}".')
        if not fmris.valid_name(type):
            raise SmfError(f'Invalid property group type "{type}".')
        group = PropertyGroup(type, volatile=bool(request.get("volatile")))
        self.repository.put(entity, name, group)
        return self._committed(entity, name)

    def delpg(self, peer: Peer, request: Wire) -> Wire:
        """Remove a property group."""
        entity = self._entity(peer, request)
        if request["group"] not in entity.groups:
            raise SmfError(f'No such property group "{request["group"]}".', "not-found")
        self.repository.drop(entity, request["group"])
        return self._committed(entity, request["group"])

    def setprop(self, peer: Peer, request: Wire) -> Wire:
        """Set a property; ``add`` appends the values to those that are there."""
        entity = self._entity(peer, request, values=True)
        group, name = request["group"], request["name"]
        found = entity.groups.get(group)
        if found is None:
            raise SmfError(f'No such property group "{group}".', "not-found")
        if not fmris.valid_name(name):
            raise SmfError(f'Invalid property name "{name}".')
        type = request.get("type") or self._known_type(entity.fmri, group, name)
        old = found.props.get(name)
        kept = old.values if request.get("add") and old is not None else ()
        if kept and old is not None and old.type != type:
            raise SmfError(f'Property "{group}/{name}" is of type {old.type}.')
        # it needs re, which a zone whose properties nobody sets does not
        from ..values import normalise

        values = [normalise(type, value) for value in request["values"]]
        prop = Property(type, (*kept, *values))
        self.repository.put(entity, group, found.having(name, prop))
        return self._committed(entity, group)

    def _known_type(self, fmri: str, group: str, name: str) -> str:
        groups = self.repository.current(fmri)
        if group in groups and name in groups[group].props:
            return groups[group].props[name].type
        for pattern in groups.values():
            owner = groups.get(pattern.first("pg_pattern") or "")
            if owner is not None and (owner.first("name"), pattern.first("name")) == (group, name):
                type = pattern.first("type")
                if type:
                    return type
        raise SmfError("Type required for new properties.", "type")

    def delprop(self, peer: Peer, request: Wire) -> Wire:
        """Remove a property; with ``values`` only these values of it."""
        entity = self._entity(peer, request, values="values" in request)
        group, name = request["group"], request["name"]
        found = entity.groups.get(group)
        if found is None:
            raise SmfError(f'No such property group "{group}".', "not-found")
        if name not in found.props:
            raise SmfError(f"No such property {group}/{name}.", "not-found")
        if "values" in request:
            old = found.props[name]
            rest = [value for value in old.values if value not in request["values"]]
            found = found.having(name, Property(old.type, rest))
        else:
            found = found.lacking(name)
        self.repository.put(entity, group, found)
        return self._committed(entity, group)

    def revert(self, peer: Peer, request: Wire) -> Wire:
        """Make the configuration that of a snapshot again; acts at the next refresh."""
        entity = self._entity(peer, request)
        snapshot = self.repository.snapshot(entity.fmri, request["snapshot"])
        if snapshot is None:
            raise SmfError(f'No such snapshot "{request["snapshot"]}".', "not-found")
        service = self.repository.get(fmris.service_of(entity.fmri))
        for target, groups in ((entity, snapshot.instance), (service, snapshot.service)):
            for name in [n for n, g in target.groups.items() if not g.volatile]:
                if name not in groups:
                    self.repository.drop(target, name)
            for name, group in groups.items():
                self.repository.put(target, name, group)
        return self._committed(entity, "general")

    def import_bundle(self, peer: Peer, request: Wire) -> Wire:
        """Import a manifest or apply a profile, as one transaction."""
        if self.authority is not None:
            self.authority.must_modify(peer.uid, {})
        done = self._apply(request["bundle"])
        for fmri in done.refreshed:
            if self.restarter is None:
                self.repository.take(fmri, "running")
            else:
                self._follow(self.restarter, fmri, imported=True)
        self.repository.commit()
        return {
            "messages": done.messages, "refreshed": done.refreshed, "created": done.created,
        }  # fmt: skip

    def _apply(self, bundle: Wire) -> Imported:
        mark = self.repository.mark()
        try:
            done = apply_bundle(self.repository, bundle)
            self.repository.commit()
        except BaseException:
            self.repository.restore(mark)
            raise
        return done
