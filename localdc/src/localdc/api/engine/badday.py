"""A bad day: what a busy and failing Triton does to its clients, in one setting.

It is made of settings and faults that exist by themselves: every change takes its time, lists
are old, requests fail, and the public network is a pool.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from localdc.api.catalogue import Network, Pool
from localdc.api.engine.faults import Fault
from localdc.api.settings import NAMESPACE

FAILURES = ("unavailable", "cut_before", "cut_after")


@dataclass(frozen=True, slots=True)
class BadDay:
    """What is bad about it.

    change_seconds: the least and the most that a change takes.  keys_cache_seconds,
    lists_cache_seconds: how old lists of keys and of machines may be.  reboot_seconds: for how
    long a machine runs on after a change of its NICs is shown.  failing: which share of requests
    is answered with 503, or has its connection cut before or after it took effect.  public_pool:
    public networks are offered as a pool.  seed: the same one gives the same delays and failures.
    """

    seed: int = 0
    change_seconds: tuple[float, float] = (4.0, 30.0)
    keys_cache_seconds: float = 60.0
    lists_cache_seconds: float = 5.0
    reboot_seconds: float = 4.0
    failing: float = 0.05
    public_pool: bool = True

    def faults(self) -> tuple[Fault, ...]:
        """What strikes all day."""
        # a request that one of them does not strike is left to the next
        chance = self.failing / len(FAILURES)
        faults = [Fault(0, kind, count=None, chance=chance) for kind in FAILURES if chance]
        if self.reboot_seconds:
            faults.append(Fault(0, "reboot_delay", count=None, seconds=self.reboot_seconds))
        return tuple(faults)


def public_pool(networks: tuple[Network, ...], pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    """These pools, and one of the public networks that are in none, named as the first of them."""
    members = {ident for pool in pools for ident in pool.networks}
    public = [n for n in networks if n.public and n.id not in members]
    wires = {network.nic_tag for network in public}
    made = []
    for wire in sorted(wires):
        own = [network for network in public if network.nic_tag == wire]
        ident = str(uuid.uuid5(NAMESPACE, f"pool {own[0].id}"))
        ids = tuple(network.id for network in own)
        made.append(Pool(ident, own[0].name, ids, own[0].description))
    return (*pools, *made)
