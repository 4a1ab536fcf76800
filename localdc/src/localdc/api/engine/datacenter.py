"""The parts of a running data center, together."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from localdc.api.accounts.sshkeys import parse_public_key
from localdc.api.accounts.throttle import Buckets
from localdc.api.catalogue import FABRIC_VLAN, FABRIC_VLAN_NAME, fabric_network
from localdc.api.compute import Compute
from localdc.api.engine.badday import BadDay
from localdc.api.engine.changefeed import Feed
from localdc.api.engine.cns import Cns
from localdc.api.engine.faults import Faults
from localdc.api.engine.networks import to_record
from localdc.api.engine.queue import Engine
from localdc.api.model import Account, Key, now_iso
from localdc.api.settings import AccountKey, DataCenterSettings
from localdc.api.store import Store
from localdc.api.store.documents import NETWORK, VLAN


@dataclass(slots=True)
class DataCenter:
    """What handlers are given.

    keys_cache_seconds: how old lists of keys may be that are shown without `sync=true`; 60 on
        Triton (node-ufds, lib/index.js and lib/cache.js).
    lists_cache_seconds: how old lists of machines may be.
    bad_day: what is in force of it; None = it is none.
    """

    settings: DataCenterSettings
    store: Store
    engine: Engine
    faults: Faults
    buckets: Buckets
    compute: Compute
    feed: Feed
    cns: Cns
    # Calls by method and pattern, for tests that count them.
    requests: Counter[str] = field(default_factory=Counter)
    keys_cache_seconds: float = 0.0
    keys_cached: dict[tuple[str, str], tuple[float, list[Key]]] = field(default_factory=dict)
    lists_cache_seconds: float = 0.0
    # By what was asked: until when, and the machines as JSON texts.
    lists_cached: dict[str, tuple[float, list[str]]] = field(default_factory=dict)
    bad_day: BadDay | None = None


def ensure_account(store: Store, settings: DataCenterSettings) -> Account:
    """The account of the settings, made when missing, with the settings' keys.

    Raises ValueError for a key that is not one.
    """
    return add_login(store, settings, settings.account, settings.email, settings.keys)


def add_login(
    store: Store, settings: DataCenterSettings, login: str, email: str, keys: Iterable[AccountKey]
) -> Account:
    """An account, made when missing, with at least these keys; raises ValueError."""
    with store.transaction():
        account = store.accounts.find(login)
        if account is None:
            now = now_iso()
            account = Account(str(uuid.uuid4()), login, email, now, now, cns_enabled=True)
            store.accounts.save(account)
            if settings.fabrics:
                _add_fabric(store, settings, account)
        present = {key.fingerprint: key for key in store.accounts.keys(account.uuid)}
        names = {key.name: key for key in present.values()}
        for wanted in keys:
            parsed = parse_public_key(wanted.key)
            if parsed.fingerprint in present:
                continue
            if wanted.name in names:
                store.accounts.remove_key(account.uuid, names[wanted.name].fingerprint)
            store.accounts.add_key(account.uuid, Key(wanted.name, parsed.fingerprint, parsed.line))
    return account


def _add_fabric(store: Store, settings: DataCenterSettings, account: Account) -> None:
    """Give a new account a network of its own, which is its default network then.

    Its way out is provided by `Networks.provide_ways_out`.
    """
    vlan = str(uuid.uuid4())
    record = {"id": vlan, "vlan_id": FABRIC_VLAN, "name": FABRIC_VLAN_NAME}
    store.documents.add(VLAN, account.uuid, vlan, str(FABRIC_VLAN), record)
    external = next(network for network in settings.networks if network.public)
    network = fabric_network(str(uuid.uuid4()), external.resolvers)
    store.documents.add(NETWORK, account.uuid, network.id, network.name, to_record(network))
    account.default_network = network.id
    store.accounts.save(account)
