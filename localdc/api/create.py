"""CreateMachine: from parameters to the record of a new machine (CloudAPI §12)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

from localdc.api.catalogue import Image, Network, Package
from localdc.api.errors import (
    ApiError,
    invalid_argument,
    missing_parameter,
    not_implemented,
)
from localdc.api.http import Call
from localdc.api.model import Key, Machine, Scalar, now_iso
from localdc.api.routes import images, packages
from localdc.api.validate import check_metadata, check_name, check_tags

# What CloudAPI can do and this data center cannot; said rather than ignored.
_UNSUPPORTED = {
    "affinity": "affinity needs several compute nodes; this data center has one",
    "locality": "locality needs several compute nodes; this data center has one",
    "volumes": "volumes are not supported by this data center",
    "disks": "disks are for bhyve machines, which this data center does not run",
    "encrypted": "encrypted machines are not supported by this data center",
}


def new_machine(call: Call) -> Machine:
    """Check the parameters, in CloudAPI's order; raises 409 and 501."""
    image = _image(call)
    package = _package(call)
    keys = call.center.store.accounts.keys(call.account.uuid)
    if not keys:
        raise ApiError(409, "KeyRequired", "At least one SSH key is required to provision")
    _refuse_unsupported(call)
    requested = _networks(call)
    min_ram = int(image.requirements.get("min_ram", 0))
    if package.memory < min_ram:
        raise invalid_argument(
            f"Package RAM ({package.memory}) is less than allowed by the image ({min_ram})"
        )
    machine_id = str(uuid.uuid4())
    now = now_iso()
    machine = Machine(
        uuid=machine_id,
        account=call.account.uuid,
        name=_name(call, machine_id),
        state="provisioning",
        image=image.id,
        package=package.name,
        memory=package.memory,
        disk=package.disk,
        brand=image.brand,
        type="virtualmachine" if image.type == "zvol" else "smartmachine",
        created=now,
        updated=now,
        requested=requested,
        cpu_cap=package.cpu_cap,
        tags=check_tags(_prefixed(call.params, "tag.")),
        firewall_enabled=call.flag("firewall_enabled"),
        deletion_protection=call.params.get("deletion_protection") is True,
    )
    _set_metadata(machine, call.params, keys)
    return machine


def _image(call: Call) -> Image:
    image, dataset = call.params.get("image"), call.params.get("dataset")
    if image and dataset and image != dataset:
        raise invalid_argument("image and dataset are mutually exclusive parameters.")
    wanted = image or dataset
    if not wanted:
        raise missing_parameter("image must be specified")
    found = images.find(call.center.settings, wanted)
    if found is None:
        raise invalid_argument(f"{wanted} is not a valid image")
    if found.state != "active":
        raise invalid_argument(f"image {wanted} is not active")
    return found


def _package(call: Call) -> Package:
    wanted = call.params.get("package")
    if not wanted:
        raise missing_parameter("package must be specified")
    found = packages.find(call.center.settings, wanted)
    if found is None:
        raise invalid_argument(f"{wanted} is not a valid package")
    return found


def _refuse_unsupported(call: Call) -> None:
    params = call.params
    if params.get("affinity") and params.get("locality"):
        raise invalid_argument("locality and affinity are mutually exclusive parameters.")
    for name, message in _UNSUPPORTED.items():
        if params.get(name) not in (None, "", False, "false", [], {}):
            raise not_implemented(message)
    if params.get("delegate_dataset") is True:
        raise invalid_argument("delegate_dataset is not allowed for this account")
    brand = params.get("brand")
    if brand:
        raise ApiError(
            409, "BrandNotSupported", f"brand {brand} cannot be chosen; the image decides"
        )
    if call.flag("firewall_enabled") and not call.center.settings.firewall:
        raise not_implemented(NO_FIREWALL)


NO_FIREWALL = "this data center does not enforce firewalls; leave firewall_enabled false"


def _name(call: Call, machine_id: str) -> str:
    short = machine_id.partition("-")[0]
    name = call.params.get("name") or short
    if isinstance(name, str):
        name = name.replace("{{shortId}}", short)
    return check_name(name, call.account.cns_enabled)


def _networks(call: Call) -> list[tuple[str, str | None]]:
    """(network id, wanted address or None), without duplicates."""
    wanted = call.params.get("networks")
    known = {network.id: network for network in call.center.settings.networks}
    if wanted in (None, "", []):
        return _default_networks(call)
    if isinstance(wanted, str) and wanted.startswith(("[", "{")):
        try:
            wanted = json.loads(wanted)
        except ValueError:
            raise invalid_argument("Invalid Networks") from None
    entries = wanted if isinstance(wanted, list) else [wanted]
    requested: dict[str, str | None] = {}
    for entry in entries:
        network, ip = _network(entry, known)
        requested.setdefault(network.id, ip)
    return list(requested.items())


def _network(entry: object, known: Mapping[str, Network]) -> tuple[Network, str | None]:
    ip: str | None = None
    identifier = entry
    if isinstance(entry, dict):
        identifier = entry.get("ipv4_uuid")
        ips = entry.get("ipv4_ips")
        if entry.get("ipv4_count", 1) not in (1, "1"):
            raise invalid_argument("Invalid Networks: ipv4_count must be 1")
        if ips is not None:
            if not isinstance(ips, list) or len(ips) != 1 or not isinstance(ips[0], str):
                raise invalid_argument("Invalid Networks: ipv4_ips must hold one address")
            ip = ips[0]
    network = known.get(identifier) if isinstance(identifier, str) else None
    if network is None:
        raise invalid_argument("Invalid Networks")
    if ip is not None:
        check_machine_ip(network, ip)
    return network, ip


def check_machine_ip(network: Network, ip: str) -> None:
    """Raises 409 unless a machine may have `ip` in `network`."""
    try:
        address = IPv4Address(ip)
    except AddressValueError:
        raise invalid_argument(f"Invalid Networks: {ip} is not an IPv4 address") from None
    subnet = IPv4Network(network.subnet)
    special = {str(subnet.network_address), str(subnet.broadcast_address), network.gateway}
    if address not in subnet or ip in special:
        raise invalid_argument(
            f"Invalid Networks: {ip} is not an address for machines of network {network.name}"
        )


def _default_networks(call: Call) -> list[tuple[str, str | None]]:
    """The first external network, and the account's default or the first internal one."""
    networks = call.center.settings.networks
    chosen = [next(network.id for network in networks if network.public)]
    internal = [network.id for network in networks if not network.public]
    if call.account.default_network:
        chosen.append(call.account.default_network)
    elif internal:
        chosen.append(internal[0])
    return [(network, None) for network in dict.fromkeys(chosen)]


def _prefixed(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}


def _set_metadata(machine: Machine, params: Mapping[str, Any], keys: list[Key]) -> None:
    given = _prefixed(params, "metadata.")
    credentials = given.pop("credentials", None)
    secrets: dict[str, Scalar] = {}
    if credentials is not None:
        for user, secret in parse_credentials(credentials).items():
            secrets[f"{user.removesuffix('_pw')}_pw"] = secret
    metadata = check_metadata(given)
    secrets.update({k: v for k, v in metadata.items() if k.endswith("_pw")})
    metadata = {k: v for k, v in metadata.items() if not k.endswith("_pw")}
    password = params.get("administrator_pw") or params.get("password")
    if password:
        secrets["administrator_pw"] = str(password)
    metadata["root_authorized_keys"] = "".join(f"{key.line}\n" for key in keys)
    machine.metadata = metadata
    machine.internal_metadata = {name: str(secret) for name, secret in secrets.items()}


def parse_credentials(value: object) -> dict[str, str]:
    """An object, or JSON text of one: user to password; raises 409."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise invalid_argument("metadata.credentials must be an object of texts")
    return value
