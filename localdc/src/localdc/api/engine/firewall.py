"""Firewall rules put to work: who they concern, and what each zone must be told.

Tags and `all vms` stand for whichever machines have them at this moment, so
every change of a machine or a rule sends the zones concerned their new rules.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from localdc.api.compute import Compute, ComputeError, Firewall, FirewallRule
from localdc.api.engine import fwlang
from localdc.api.engine.fwlang import Rule, Target
from localdc.api.model import GONE, Machine, Scalar
from localdc.api.store import Store
from localdc.api.store.documents import FIREWALL_RULE
from localdc.api.store.machines import MachineChange, Query

log = logging.getLogger(__name__)

# Seconds after which a zone is told again that could not be told, doubled up to the last.
FIRST_RETRY, LAST_RETRY = 0.2, 60.0


def tag_text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def stands_for(target: Target, machine: Machine) -> bool:
    """Whether a rule's target means this machine."""
    if target.kind == "vms":
        return True
    if target.kind == "vm":
        return target.value == machine.uuid
    if target.kind != "tag" or target.value not in machine.tags:
        return False
    return target.wanted is None or target.wanted == tag_text(machine.tags[target.value])


def concerns(rule: Rule, machine: Machine) -> bool:
    """Whether a rule touches this machine, on either side."""
    return any(stands_for(t, machine) for t in (*rule.sources, *rule.destinations))


def resolve(rules: Iterable[Rule], machine: Machine, others: Iterable[Machine]) -> Firewall:
    """The rules of one machine, in the order in which they decide.

    Higher priority first.  Of contradicting rules of one priority the one that
    departs from the default wins: ALLOW on the way in, BLOCK on the way out.
    """
    others = list(others)
    found: list[tuple[int, int, FirewallRule]] = []
    for rule in rules:
        sides = (("in", rule.destinations, rule.sources), ("out", rule.sources, rule.destinations))
        for direction, own, peers in sides:
            if not any(stands_for(target, machine) for target in own):
                continue
            addresses = _addresses(peers, others)
            if addresses is not None and not addresses:
                continue
            first = rule.action == ("allow" if direction == "in" else "block")
            made = FirewallRule(
                direction, rule.action, rule.protocol, addresses, rule.ranges, rule.types
            )
            found.append((-rule.priority, 0 if first else 1, made))
    found.sort(key=lambda entry: entry[:2])
    return tuple(dict.fromkeys(made for _, _, made in found))


def _addresses(targets: Iterable[Target], machines: list[Machine]) -> tuple[str, ...] | None:
    addresses: set[str] = set()
    for target in targets:
        if target.kind == "any":
            return None
        if target.kind in ("ip", "subnet"):
            addresses.add(str(target.network))
        else:
            for machine in machines:
                if stands_for(target, machine):
                    addresses.update(nic.ip for nic in machine.nics)
    return tuple(sorted(addresses))


class Firewalls:
    """Keeps the packet filters of running zones as the rules want them."""

    def __init__(self, store: Store, compute: Compute) -> None:
        self._store = store
        self._compute = compute
        # What each running zone was told last; only zones with a firewall are here.
        self._told: dict[str, Firewall] = {}
        self._dirty: set[str] = set()
        # Accounts with a zone that could not be told, and when they are tried again.
        self._failed: set[str] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY
        self._work: asyncio.Task[None] | None = None
        store.listeners.append(self._machine_changed)

    def of(self, machine: Machine) -> Firewall | None:
        """What a machine's zone must enforce now; None = nothing."""
        if not machine.firewall_enabled:
            return None
        rules = self._rules(machine.account)
        return resolve(rules, machine, self._store.machines.find(Query(machine.account, limit=-1)))

    def booted(self, uuid: str, firewall: Firewall | None) -> None:
        """A zone came up with these rules in force."""
        if firewall is None:
            self._told.pop(uuid, None)
        else:
            self._told[uuid] = firewall

    def ended(self, uuid: str) -> None:
        """A zone ended, and its packet filter with it."""
        self._told.pop(uuid, None)

    def changed(self, account: str) -> None:
        """Rules or machines of an account changed; the zones will follow."""
        self._dirty.add(account)
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._follow())

    async def settle(self) -> None:
        """Return when every zone has the rules of now, or will be tried again later."""
        while self._work is not None and not self._work.done():
            await asyncio.wait([self._work])

    async def close(self) -> None:
        """Let what has begun end, and try nothing again."""
        await self.settle()
        if self._retry is not None:
            self._retry.cancel()

    def _machine_changed(self, change: MachineChange) -> None:
        if _shape(change.before) != _shape(change.after):
            self.changed(change.account)

    async def _follow(self) -> None:
        while self._dirty:
            account = self._dirty.pop()
            self._failed.add(account)
            try:
                if await self._sync(account):
                    self._failed.remove(account)
            except Exception:
                log.exception(
                    "the firewalls of account %s could not be brought up to date", account
                )
        if not self._failed:
            self._delay = FIRST_RETRY
        elif self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._delay, self._try_again)
            self._delay = min(2 * self._delay, LAST_RETRY)

    def _try_again(self) -> None:
        self._retry = None
        for account in self._failed:
            self.changed(account)

    async def _sync(self, account: str) -> bool:
        """Tell the zones of an account what they do not know; False when one could not be told."""
        complete = True
        walled = self._store.machines.with_firewall(account)
        open_again = set(self._told) - {machine.uuid for machine in walled}
        for uuid in open_again:
            machine = self._store.machines.get(uuid)
            if machine is not None and machine.account == account and machine.state == "running":
                complete &= await self._tell(uuid, None)
        if not walled:
            return complete
        rules = self._rules(account)
        others = self._store.machines.find(Query(account, limit=-1))
        for machine in walled:
            wanted = resolve(rules, machine, others)
            if self._told.get(machine.uuid) != wanted:
                complete &= await self._tell(machine.uuid, wanted)
        return complete

    async def _tell(self, uuid: str, firewall: Firewall | None) -> bool:
        try:
            await self._compute.set_firewall(uuid, firewall)
        except ComputeError as error:
            log.error("the firewall of machine %s could not be changed yet: %s", uuid, error)
            return False
        self.booted(uuid, firewall)
        return True

    def _rules(self, account: str) -> list[Rule]:
        records = self._store.documents.of(FIREWALL_RULE, account)
        return [fwlang.parse(record["rule"]) for record in records if record["enabled"]]


def _shape(machine: Machine | None) -> object:
    """What of a machine the firewalls of others, or its own, depend on."""
    if machine is None or machine.state in GONE:
        return None
    addresses = [nic.ip for nic in machine.nics]
    return machine.tags, addresses, machine.firewall_enabled, machine.state == "running"
