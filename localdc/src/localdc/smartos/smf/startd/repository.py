"""The repository of svc.configd: services, instances, their property groups and snapshots.

SQLite holds the durable part, one document per entity; everything that methods and clients read
is in memory. Equal documents (an entity and its snapshots, usually) are stored once, by hash.
"""

from __future__ import annotations

import os
from _blake2 import blake2b
from marshal import dumps, loads

from .. import fmri as fmris
from ..model import Groups, Property, PropertyGroup, SmfError, compose, decode, encode
from ..wire import MARSHAL

SNAPSHOTS = ("initial", "last-import", "running", "start")
# the service's own part of the last import; a row of the table, never visible as a snapshot
_SERVICE_IMPORT = "last-import"
_COLLECT = (
    "DELETE FROM doc WHERE hash NOT IN (SELECT doc FROM entity UNION SELECT instance FROM"
    " snapshot UNION SELECT service FROM snapshot)"
)
_COLLECT_EVERY = 200
_SCHEMA = """
CREATE TABLE IF NOT EXISTS doc(hash BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entity(fmri TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshot(
    fmri TEXT NOT NULL, name TEXT NOT NULL, instance BLOB NOT NULL, service BLOB NOT NULL,
    PRIMARY KEY(fmri, name)) WITHOUT ROWID;
"""


TYPE_CHECKING = False
if TYPE_CHECKING:
    Mark = tuple[
        dict[str, Groups],
        dict[str, "Snapshot"],
        dict[tuple[str, str], "Snapshot | None"],
        set[str],
    ]


if TYPE_CHECKING:
    import sqlite3
else:
    # the package around it would import datetime
    import _sqlite3 as sqlite3


class Entity:
    """A service or an instance as it is edited now. ``generation`` grows with every change."""

    __slots__ = ("fmri", "generation", "groups")

    def __init__(self, fmri: str, groups: Groups | None = None) -> None:
        self.fmri = fmri
        self.groups: Groups = groups or {}
        self.generation = 0


class Snapshot:
    """The two levels of a snapshot: what the instance had, and what its service had."""

    __slots__ = ("composed", "instance", "service")

    def __init__(self, instance: Groups, service: Groups) -> None:
        self.instance = instance
        self.service = service
        self.composed = compose(instance, service)


class Repository:
    """All entities by FMRI. Edits are in memory until `commit`, which writes one transaction."""

    def __init__(self, path: os.PathLike[str] | str) -> None:
        self.entities: dict[str, Entity] = {}
        self.running: dict[str, Snapshot] = {}
        self._dirty: set[str] = set()
        self._snaps: dict[tuple[str, str], Snapshot | None] = {}
        self._changes = 0
        self._commits = 0
        # instances whose start snapshot is what runs; most boots change none
        self._start_current: set[str] = set()
        self._db = sqlite3.connect(path, isolation_level=None)
        # exclusive: no shared-memory file; normal: a crash of the host loses commits, not the file
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._load()

    def _load(self) -> None:
        bodies = dict(self._db.execute("SELECT hash, body FROM doc"))
        docs: dict[bytes, Groups] = {}

        def doc(key: bytes) -> Groups:
            if key not in docs:
                docs[key] = _parse(bodies[key])
            return docs[key]

        for fmri, key in self._db.execute("SELECT fmri, doc FROM entity"):
            self.entities[fmri] = Entity(fmri, dict(doc(key)))
        rows = self._db.execute(
            "SELECT fmri, instance, service FROM snapshot WHERE name = 'running'"
        )
        for fmri, instance, service in rows:
            self.running[fmri] = Snapshot(doc(instance), doc(service))
        same = self._db.execute(
            "SELECT r.fmri FROM snapshot r JOIN snapshot s ON s.fmri = r.fmri AND s.name = 'start'"
            " AND s.instance = r.instance AND s.service = r.service WHERE r.name = 'running'"
        )
        self._start_current = {row[0] for row in same}

    # --- reading

    def services(self) -> list[str]:
        """FMRIs of all services, sorted."""
        return sorted(fmri for fmri in self.entities if fmris.split(fmri)[1] is None)

    def instances(self) -> list[str]:
        """FMRIs of all instances, sorted."""
        return sorted(fmri for fmri in self.entities if fmris.split(fmri)[1] is not None)

    def instances_of(self, service: str) -> list[str]:
        """FMRIs of the instances of the service with FMRI `service`, sorted."""
        prefix = service + ":"
        return sorted(fmri for fmri in self.entities if fmri.startswith(prefix))

    def get(self, fmri: str) -> Entity:
        """The entity; SmfError("not-found") where there is none."""
        entity = self.entities.get(fmri)
        if entity is None:
            raise SmfError(f"Pattern '{fmri}' doesn't match any entities", "not-found")
        return entity

    def current(self, fmri: str) -> Groups:
        """The edited configuration, composed with that of the service."""
        groups = self.get(fmri).groups
        service = self.entities.get(fmris.service_of(fmri))
        if service is None or service.fmri == fmri:
            return groups
        return compose(groups, service.groups)

    def effective(self, fmri: str) -> Groups:
        """What svcprop(1) shows: the running snapshot, and the volatile groups of now."""
        running = self.running.get(fmri)
        if running is None:
            return self.current(fmri)
        volatile = {k: g for k, g in self.get(fmri).groups.items() if g.volatile}
        return {**running.composed, **volatile} if volatile else running.composed

    def configuration(self, fmri: str) -> Groups | None:
        """What `effective` gives, or None where there is no such entity."""
        return self.effective(fmri) if fmri in self.entities else None

    def snapshot(self, fmri: str, name: str) -> Snapshot | None:
        """A snapshot by name, or None where it has not been taken."""
        if name == "running":
            return self.running.get(fmri)
        if (fmri, name) in self._snaps:
            return self._snaps[fmri, name]
        row = self._db.execute(
            "SELECT a.body, b.body FROM snapshot s JOIN doc a ON a.hash = s.instance"
            " JOIN doc b ON b.hash = s.service WHERE s.fmri = ? AND s.name = ?",
            (fmri, name),
        ).fetchone()
        return None if row is None else Snapshot(_parse(row[0]), _parse(row[1]))

    def snapshots(self, fmri: str) -> list[str]:
        """Names of the snapshots of an instance, sorted."""
        names = {row[0] for row in self._db.execute(
            "SELECT name FROM snapshot WHERE fmri = ?", (fmri,))}  # fmt: skip
        names |= {name for (owner, name), snap in self._snaps.items() if owner == fmri and snap}
        return sorted(names | ({"running"} if fmri in self.running else set()))

    # --- editing

    @property
    def generation(self) -> int:
        """Grows with every change of anything."""
        return self._changes

    def touch(self, entity: Entity, durable: bool = True) -> None:
        """Note a change: waiters see the new generation, `commit` writes durable ones."""
        self._changes += 1
        entity.generation = self._changes
        if durable:
            self._dirty.add(entity.fmri)

    def create(self, fmri: str) -> Entity:
        """A new, empty service or instance (with its service); the existing one if there is."""
        if fmri in self.entities:
            return self.entities[fmri]
        service, instance = fmris.split(fmri)
        if instance is not None:
            self.create(fmris.SCHEME + service)
        entity = self.entities[fmri] = Entity(fmri)
        self.touch(entity)
        return entity

    def create_restarter(self) -> None:
        """svc.startd's own instance, which exists wherever svc.startd runs."""
        entity = self.create(fmris.RESTARTER)
        if "general" not in entity.groups:
            enabled = Property("boolean", ["true"])
            self.put(entity, "general", PropertyGroup("framework", {"enabled": enabled}))

    def put(self, entity: Entity, name: str, group: PropertyGroup) -> None:
        """Set property group `name`; the same content again is no change."""
        old = entity.groups.get(name)
        if old != group:
            entity.groups[name] = group
            self.touch(entity, not (group.volatile and (old is None or old.volatile)))

    def drop(self, entity: Entity, name: str) -> None:
        """Remove a property group, if it is there."""
        group = entity.groups.pop(name, None)
        if group is not None:
            self.touch(entity, not group.volatile)

    def set(
        self, entity: Entity, group: str, name: str, prop: Property, type: str = "application",
        volatile: bool = False,
    ) -> None:  # fmt: skip
        """Set one property, making the group (of `type`) where it is missing."""
        old = entity.groups.get(group) or PropertyGroup(type, volatile=volatile)
        self.put(entity, group, old.having(name, prop))

    def delete(self, fmri: str) -> list[str]:
        """Remove an entity, a service with its instances. Returns the FMRIs that are gone."""
        gone = [*self.instances_of(fmri), fmri] if fmris.split(fmri)[1] is None else [fmri]
        for name in gone:
            self.touch(self.entities.pop(name))
            self.running.pop(name, None)
            for key in [key for key in self._snaps if key[0] == name]:
                del self._snaps[key]
        return gone

    def take(self, fmri: str, name: str, source: Snapshot | None = None) -> Snapshot:
        """Take a snapshot of the current configuration (or a copy of `source`)."""
        snap = source or Snapshot(*self._levels(fmri))
        if name == "running":
            self.running[fmri] = snap
            self._start_current.discard(fmri)
        self._snaps[fmri, name] = snap
        return snap

    def note_start(self, fmri: str) -> None:
        """Take the ``start`` snapshot: what runs now is what the instance came online with."""
        if fmri not in self._start_current:
            self.take(fmri, "start", self.running.get(fmri))
            self._start_current.add(fmri)

    def _levels(self, fmri: str) -> tuple[Groups, Groups]:
        service = self.entities[fmris.service_of(fmri)]
        return _durable(self.get(fmri).groups), _durable(service.groups)

    def imported(self, service: str) -> Groups | None:
        """The service's own groups as the last import left them, or None before the first."""
        snap = self.snapshot(service, _SERVICE_IMPORT)
        return None if snap is None else snap.service

    def note_import(self, service: str, groups: Groups) -> None:
        """Keep `groups` as what the last import brought for a service."""
        self._snaps[service, _SERVICE_IMPORT] = Snapshot({}, groups)

    # --- undoing

    def mark(self) -> Mark:
        """What `restore` needs to undo every edit made from now on and not yet committed."""
        groups = {fmri: dict(entity.groups) for fmri, entity in self.entities.items()}
        return groups, dict(self.running), dict(self._snaps), set(self._dirty)

    def restore(self, mark: Mark) -> None:
        """Undo the edits since `mark`."""
        groups, self.running, self._snaps, self._dirty = mark
        for fmri in [fmri for fmri in self.entities if fmri not in groups]:
            del self.entities[fmri]
        for fmri, kept in groups.items():
            entity = self.entities.setdefault(fmri, Entity(fmri))
            entity.groups = kept

    # --- writing

    def commit(self) -> None:
        """Write everything that changed since the last commit, as one transaction."""
        if not self._dirty and not self._snaps:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for fmri in self._dirty:
                self._write_entity(fmri)
            for (fmri, name), snap in self._snaps.items():
                if snap is not None:
                    keys = self._doc(snap.instance), self._doc(snap.service)
                    self._db.execute(
                        "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)", (fmri, name, *keys)
                    )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise SmfError(f"Could not write the repository: {error}.", "repository") from None
        self._dirty.clear()
        self._snaps.clear()
        self._commits += 1
        if self._commits % _COLLECT_EVERY == 0:
            self._db.execute(_COLLECT)

    def _write_entity(self, fmri: str) -> None:
        entity = self.entities.get(fmri)
        if entity is None:
            self._db.execute("DELETE FROM entity WHERE fmri = ?", (fmri,))
            self._db.execute("DELETE FROM snapshot WHERE fmri = ?", (fmri,))
            return
        key = self._doc(_durable(entity.groups))
        self._db.execute("INSERT OR REPLACE INTO entity VALUES (?, ?)", (fmri, key))

    def _doc(self, groups: Groups) -> bytes:
        body = dumps(encode(groups), MARSHAL)
        key = blake2b(body, digest_size=16).digest()
        self._db.execute("INSERT OR IGNORE INTO doc VALUES (?, ?)", (key, body))
        return key

    def close(self) -> None:
        """Commit, drop documents that nothing refers to, and leave a single file behind."""
        self.commit()
        self._db.execute(_COLLECT)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()

    def abandon(self) -> None:
        """Close without writing anything (after an error, or in a forked child)."""
        self._db.close()


def _parse(body: bytes) -> Groups:
    return decode(loads(body))


def _durable(groups: Groups) -> Groups:
    return {name: group for name, group in groups.items() if not group.volatile}
