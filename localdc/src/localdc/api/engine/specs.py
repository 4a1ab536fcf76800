"""From records to what the compute node is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

from localdc.api.catalogue import Network
from localdc.api.compute import Firewall, Mount, Nic, WayOut, ZoneSpec
from localdc.api.model import Key, Machine, Scalar
from localdc.api.settings import DataCenterSettings


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def authorized_keys(machine: Machine, keys: Iterable[Key]) -> tuple[str, ...]:
    """Who may log in as root.

    The keys that opened the account's machines when this one was made (they stand in
    its metadata) and those that do now, as SmartLogin would accept them.
    """
    lines = _text(machine.metadata.get("root_authorized_keys", "")).splitlines()
    lines += [key.line for key in keys]
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _way_out(network: Network | None, external: Network) -> WayOut | None:
    if network is None or network.nat_ip is None:
        return None
    return WayOut(external.nic_tag, network.nat_ip, IPv4Network(external.subnet).prefixlen)


def _nics(machine: Machine, networks: Mapping[str, Network], external: Network) -> tuple[Nic, ...]:
    return tuple(
        Nic(
            interface=f"net{index}",
            mac=nic.mac,
            ip=nic.ip,
            netmask=nic.netmask,
            prefix=nic.prefix,
            gateway=nic.gateway,
            network_id=nic.network,
            network_name=networks[nic.network].name if nic.network in networks else "",
            nic_tag=networks[nic.network].nic_tag if nic.network in networks else "external",
            primary=nic.primary,
            routes=tuple(networks[nic.network].routes.items()) if nic.network in networks else (),
            way_out=_way_out(networks.get(nic.network), external),
        )
        for index, nic in enumerate(machine.nics)
    )


def zone_spec(
    machine: Machine,
    keys: Iterable[Key],
    settings: DataCenterSettings,
    networks: Mapping[str, Network],
    firewall: Firewall | None,
) -> ZoneSpec:
    """What the compute node is told; `networks` by id, `firewall` resolved."""
    image = next((i for i in settings.images if i.id == machine.image), None)
    resolvers = dict.fromkeys(
        resolver
        for nic in machine.nics
        if nic.network in networks
        for resolver in networks[nic.network].resolvers
    )
    return ZoneSpec(
        uuid=machine.uuid,
        alias=machine.name,
        hostname=machine.hostname,
        owner=machine.account,
        image_uuid=machine.image,
        image_name=image.name if image else "",
        image_version=image.version if image else "",
        package=machine.package,
        nics=_nics(machine, networks, next(n for n in settings.networks if n.public)),
        ram=machine.memory,
        disk=machine.disk,
        cpu_cap=machine.cpu_cap,
        tags=dict(machine.tags),
        customer_metadata={k: _text(v) for k, v in machine.metadata.items()},
        internal_metadata=dict(machine.internal_metadata),
        authorized_keys=authorized_keys(machine, keys),
        resolvers=tuple(resolvers),
        dc_name=settings.name,
        server_uuid=machine.compute_node or settings.server_uuid,
        dns_domain=machine.dns_domain or settings.dns_domain,
        firewall=firewall,
        mounts=tuple(
            Mount(volume["id"], volume["mountpoint"], volume["mode"] == "ro")
            for volume in machine.volumes
        ),
    )
