"""What clients may ask svc.startd: the requests behind svcs, svcadm, svcprop and svccfg."""

# ruff: noqa: PTH110 (pathlib costs start-up time)
from __future__ import annotations

from .. import fmri as fmris
from ..model import Groups, Property, PropertyGroup, SmfError, boolean_of, encode, value_of
from .authority import Authority
from .dependency import Dependency
from .editing import Editing
from .graph import SATISFIED
from .repository import SNAPSHOTS, Repository
from .restarter import Restarter
from .server import Later, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Wire = dict[str, Any]

OVERRIDE = "general_ovr"
_MAINTAINED = ("maintenance", "degraded")


class Api:
    """Handlers of requests, by the value of ``op``."""

    def __init__(
        self, repository: Repository, restarter: Restarter, authority: Authority,
        shutdown: Callable[[bool], None],
    ) -> None:  # fmt: skip
        self.repository = repository
        self.restarter = restarter
        self.authority = authority
        self._shutdown = shutdown
        editing = Editing(repository, restarter, authority)
        self.handlers = {
            "fmris": self.names, "list": self.rows, "get": self.get, "detail": self.detail,
            "action": self.action, "watch": self.watch, "shutdown": self.shutdown,
            "core": self.core,
            **editing.handlers,
        }  # fmt: skip

    # --- reading

    def names(self, _peer: Peer, _request: Wire) -> object:
        """FMRIs of all instances and all services."""
        return {
            "instances": self.repository.instances(), "services": self.repository.services(),
        }  # fmt: skip

    def rows(self, _peer: Peer, request: Wire) -> object:
        """State of every instance; ``pids`` and ``names`` cost more and are given on request."""
        only = request.get("only")
        names = self.repository.instances() if only is None else only
        census = self.restarter.contracts.census() if request.get("pids") else {}
        known = (fmri for fmri in names if fmri in self.repository.entities)
        return [self._row(fmri, request, census) for fmri in known]

    def _row(self, fmri: str, request: Wire, census: dict[int, list[int]]) -> Wire:
        groups = self.repository.entities[fmri].groups
        instance = self.restarter.instances.get(fmri)
        row: Wire = {
            "fmri": fmri,
            "enabled": boolean_of(groups, "general", "enabled"),
            "override": boolean_of(groups, OVERRIDE, "enabled"),
            "asked": self.restarter.asked(fmri),
        }
        if instance is not None:
            row.update(state=instance.state, next=instance.next_state, since=instance.since)
            row["auxiliary"] = instance.auxiliary
            if instance.contract is not None:
                row["contract"] = instance.contract.id
            if request.get("pids"):
                row["pids"] = census.get(instance.contract.id, []) if instance.contract else []
        if request.get("names"):
            row["name"] = self._common_name(fmri)
        if request.get("depends"):
            found = instance.dependencies if instance else ()
            row["depends"] = [[d.grouping, d.kind, d.entities] for d in found]
            restarter = value_of(self.repository.current(fmri), "general", "restarter")
            row["restarter"] = restarter or fmris.RESTARTER
        return row

    def _common_name(self, fmri: str) -> str:
        name = self.repository.effective(fmri).get("tm_common_name")
        if name is None or not name.props:
            return ""
        prop = name.props.get("C") or next(iter(name.props.values()))
        return prop.values[0] if prop.values else ""

    def get(self, peer: Peer, request: Wire) -> object:
        """Property groups of an entity: ``view`` is running, current, direct or a snapshot."""
        fmri, view = request["fmri"], request.get("view", "running")
        entity = self.repository.get(fmri)
        groups = self._view(fmri, view)
        wanted = request.get("group")
        if wanted is not None:
            groups = {wanted: groups[wanted]} if wanted in groups else {}
        denied = [
            name for name, group in groups.items()
            if not self.authority.may_read(peer.uid, self._guard(fmri, name, group))
        ]  # fmt: skip
        for name in denied:
            hidden = {key: Property(prop.type) for key, prop in groups[name].props.items()}
            groups = {**groups, name: PropertyGroup(groups[name].type, hidden)}
        return {"groups": encode(groups), "denied": denied, "generation": entity.generation}

    def _guard(self, fmri: str, name: str, group: PropertyGroup) -> PropertyGroup:
        """The group with the authorizations of now, and those that it had when it was taken."""
        current = self.repository.current(fmri).get(name)
        if current is None or "read_authorization" in group.props:
            return group
        return PropertyGroup(group.type, {**current.props, **group.props})

    def _view(self, fmri: str, view: str) -> Groups:
        if view == "direct":
            return self.repository.get(fmri).groups
        if view == "current":
            return self.repository.current(fmri)
        if view == "running":
            return self.repository.effective(fmri)
        if view == "names":
            return {name: PropertyGroup("snapshot") for name in self.repository.snapshots(fmri)}
        if view not in SNAPSHOTS:
            raise SmfError(
                "Invalid snapshot name." if not fmris.valid_name(view) else "No such snapshot."
            )
        snapshot = self.repository.snapshot(fmri, view)
        if snapshot is None:
            raise SmfError("No such snapshot.", "not-found")
        return snapshot.composed

    def detail(self, _peer: Peer, request: Wire) -> object:
        """Everything that ``svcs -l`` and ``svcs -x`` say about an instance."""
        fmri = request["fmri"]
        self.repository.get(fmri)
        census = self.restarter.contracts.census()
        row = self._row(fmri, {"names": True, "pids": True, "depends": True}, census)
        groups = self.repository.effective(fmri)
        row["logfile"] = value_of(groups, "restarter", "logfile")
        row["waitstatus"] = value_of(groups, "restarter", "start_method_waitstatus")
        own = self.repository.get(fmri).groups
        comment = value_of(own, OVERRIDE, "comment")
        row["comment"] = comment or value_of(own, "general", "comment")
        documents = (groups[n] for n in sorted(groups) if n.startswith(("tm_man_", "tm_doc_")))
        row["documents"] = [
            [group.first(key) for key in ("title", "section", "manpath", "uri")]
            for group in documents
        ]  # fmt: skip
        instance = self.restarter.instances.get(fmri)
        if instance is not None:
            row["dependencies"] = [self._explained(d) for d in instance.dependencies]
            row["satisfied"] = self.restarter.graph.satisfied(instance)
            row["method"] = instance.run.kind if instance.run else ""
            row["dependents"] = sorted(
                {user.fmri for user, _group in self.restarter.graph.dependents(fmri)}
            )
        return row

    def _explained(self, dependency: Dependency) -> Wire:
        states = [[text, self._dependency_state(text)] for text in dependency.entities]
        return {
            "grouping": dependency.grouping, "restart_on": dependency.restart_on,
            "kind": dependency.kind, "entities": states,
            "satisfied": self.restarter.graph.group(dependency) == SATISFIED,
        }  # fmt: skip

    def _dependency_state(self, text: str) -> str:
        if text.startswith("file:"):
            import os

            return "online" if os.path.exists(fmris.file_of(text)) else "absent"
        if not text.startswith("svc:"):
            return "invalid"
        targets = self.restarter.graph.targets(text)
        if not targets:
            return "absent"
        return targets[0].state if len(targets) == 1 else "multiple"

    def watch(self, _peer: Peer, request: Wire) -> object:
        """Answers when the entity has changed since ``generation``, or is gone.

        With ``satisfied`` also when the dependencies of the instance stand otherwise than that;
        with ``asked`` also when the graph thread has done, or is yet to do, what it was asked for:
        that need not change an instance which is already where it should be.
        """
        fmri, since, satisfied = request["fmri"], request["generation"], request.get("satisfied")
        asked = request.get("asked")

        def ready() -> object:
            entity = self.repository.get(fmri)
            instance = self.restarter.instances.get(fmri)
            changed = entity.generation > since
            if asked is not None:
                changed |= self.restarter.asked(fmri) != asked
            if instance is not None and satisfied is not None:
                changed |= self.restarter.graph.satisfied(instance) != satisfied
            return {"generation": entity.generation} if changed else None

        return ready() or Later(ready)

    # --- acting

    def action(self, peer: Peer, request: Wire) -> object:
        """A verb of svcadm(8) on one instance."""
        fmri, verb = request["fmri"], request["verb"]
        entity = self.repository.get(fmri)
        self.authority.must_act(peer.uid, self.repository.current(fmri))
        if verb in ("enable", "disable"):
            self._switch(fmri, verb == "enable", request)
        elif verb == "refresh":
            self.restarter.ask(fmri, lambda: self.restarter.refresh(fmri), refresh=True)
        else:
            self._act(fmri, verb, request)
        self.repository.commit()
        return {"generation": entity.generation}

    def _act(self, fmri: str, verb: str, request: Wire) -> None:
        restarter = self.restarter
        instance = restarter.instances.get(fmri)
        stateless = verb in ("restart", "maintenance") and restarter.asked(fmri)
        if instance is None and not stateless:
            raise SmfError(
                f'{fmri} is misconfigured (lacks "restarter" property group).', "not-managed"
            )
        if verb == "restart":
            restarter.ask(fmri, lambda: restarter.restart(fmri))
        elif verb == "clear":
            if instance is not None and instance.state not in _MAINTAINED:
                raise SmfError(
                    f'Instance "{fmri}" is not in a maintenance or degraded state.', "state"
                )
            restarter.ask(fmri, lambda: restarter.clear(fmri))
        elif verb in _MAINTAINED:
            if verb == "degraded" and instance is not None and not instance.up:
                raise SmfError(f'Instance "{fmri}" is not online.', "state")
            immediate = bool(request.get("immediate"))
            restarter.ask(fmri, lambda: restarter.mark(fmri, verb, immediate))
        else:
            raise SmfError(f"unknown action {verb}", "protocol")

    def _switch(self, fmri: str, enable: bool, request: Wire) -> None:
        entity = self.repository.get(fmri)
        value = Property("boolean", ["true" if enable else "false"])
        if request.get("temporary"):
            self.repository.set(entity, OVERRIDE, "enabled", value, "framework", volatile=True)
        else:
            self.repository.drop(entity, OVERRIDE)
            self.repository.set(entity, "general", "enabled", value, "framework")
        target = OVERRIDE if request.get("temporary") else "general"
        comment = request.get("comment")
        group = entity.groups[target]
        if comment:
            self.repository.put(
                entity, target, group.having("comment", Property("astring", [comment]))
            )
        elif "comment" in group.props:
            self.repository.put(entity, target, group.lacking("comment"))
        self.restarter.ask(fmri, lambda: self.restarter.enabled_changed(fmri, admin=True))

    def core(self, peer: Peer, request: Wire) -> object:
        """A process dumps core: the compute node says so, with its pid and its parent's."""
        if peer.uid != 0:
            raise SmfError("permission denied", "permission")
        pids = [int(pid) for pid in request["pids"]]
        self.restarter.executor.dumped(pids, request["group"])
        return {}

    def shutdown(self, peer: Peer, request: Wire) -> object:
        """Halt or reboot the zone; root only."""
        if peer.uid != 0:
            raise SmfError("permission denied", "permission")
        self._shutdown(request.get("how") == "reboot")
        return {}
