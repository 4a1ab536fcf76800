"""The subnet of the external network: chosen at a start, and kept from then on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Network

from localdc import LocalDCError
from localdc.api import catalogue
from localdc.api.engine.networks import from_record, to_record
from localdc.api.store import Store
from localdc.api.store.documents import NETWORK
from localdc.paths import StateDir, write_atomically


def settle(paths: StateDir, wanted: str | None, say: Callable[[str], None]) -> IPv4Network:
    """The subnet that the data center is to have from now on.

    One that was made when it could not be chosen is moved to today's when no machine has an
    address of the former one; otherwise it stays, and is said to.

    wanted: what this start says, if it does.
    Raises LocalDCError when machines are in the way of what is wanted.
    """
    present = _present(paths)
    target = IPv4Network(wanted) if wanted else present
    if wanted is None and present == catalogue.FORMER_EXTERNAL and not _chosen(paths):
        target = catalogue.EXTERNAL
    if target != present:
        machines = _move(paths, present, target)
        if machines and wanted:
            raise LocalDCError(
                f"There are machines on the external network {present} ({machines}). Delete them "
                "first, or start without --external-network."
            )
        if machines:
            say(
                f"warning: the external network is still {present}, whose addresses clients take "
                f"for private. It moves to {target} at a start without machines on it; there are "
                f"{machines} now"
            )
            return present
    write_atomically(paths.external_network, f"{target}\n")
    return target


def _chosen(paths: StateDir) -> bool:
    return paths.external_network.exists()


def _present(paths: StateDir) -> IPv4Network:
    """Raises LocalDCError for a file that was damaged."""
    if not _chosen(paths):
        return catalogue.FORMER_EXTERNAL if paths.database.exists() else catalogue.EXTERNAL
    text = paths.external_network.read_text().strip()
    try:
        subnet = IPv4Network(text)
        catalogue.check_external(subnet)
    except ValueError as error:
        raise LocalDCError(f"{paths.external_network}: {error}. Write it anew.") from None
    return subnet


def _move(paths: StateDir, present: IPv4Network, target: IPv4Network) -> int:
    """Forget all addresses of the external network, or say how many machines have one.

    Ways out of fabric networks get others when the data center starts, and where they have the
    external network's gateway for a resolver it is that of the target.
    """
    if not paths.database.exists():
        return 0
    external = next(n.id for n in catalogue.networks() if n.public)
    with closing(Store(paths.database)) as store:
        machines = store.addresses.machines(external)
        if machines:
            return machines
        with store.transaction():
            store.addresses.forget(external)
            for _, record in store.documents.every(NETWORK):
                network = from_record(record)
                moved = {str(present[1]): str(target[1])}
                resolvers = tuple(moved.get(ip, ip) for ip in network.resolvers)
                network = replace(network, nat_ip=None, resolvers=resolvers)
                store.documents.save(NETWORK, network.id, network.name, to_record(network))
    return 0
