"""CreateMachine: from parameters to the record of a new machine.

Source: sdc-cloudapi, docs/index.md, CreateMachine; lib/machines.js.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localdc.api import lookup
from localdc.api.accounts import limits, rbac
from localdc.api.catalogue import HVM, Image, Package
from localdc.api.engine import affinity
from localdc.api.engine.datacenter import DataCenter
from localdc.api.engine.networks import Offered
from localdc.api.engine.requested_networks import networks_and_addresses
from localdc.api.errors import (
    brand_not_supported,
    invalid_argument,
    invalid_fabric_package,
    key_required,
    missing_parameter,
    not_implemented,
)
from localdc.api.model import Account, Key, Machine, Scalar, dns_label, now_iso
from localdc.api.store.documents import VOLUME
from localdc.api.store.machines import Query
from localdc.api.validate import check_metadata, check_name, check_new_tags
from localdc.api.values import boolean, json_boolean, text
from localdc.api.vmtags import as_read

KEPT_METADATA = re.compile(r"\w", re.ASCII)
_MOUNTPOINT = re.compile(r"(/[^/\0]+)+/?")
MAX_PUBLIC = 1
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "dev", "proc", "system", ".zonecontrol")

# What CloudAPI can do and this data center cannot; said rather than ignored.
_UNSUPPORTED = {
    "disks": "disks are for bhyve machines, which this data center does not run",
    "encrypted": "encrypted machines are not supported by this data center",
}


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Who wants a machine, and what kind of one."""

    center: DataCenter
    account: Account
    params: Mapping[str, Any]


def new_machine(request: CreateRequest) -> Machine:
    """Check the parameters, in CloudAPI's order; raises 403, 409 and 501."""
    image = _image(request)
    package = _package(request)
    brand = _brand(request, image, package)
    keys = rbac.login_keys(request.center.store, request.account.uuid)
    if not keys:
        raise key_required()
    _refuse_unsupported(request)
    requested = _networks(request, package)
    min_ram = int(image.requirements.get("min_ram", 0))
    if package.memory < min_ram:
        raise invalid_argument(
            f"You must use a package with at least {min_ram} MiB of RAM in order to provision"
            " the selected image"
        )
    limits.check(
        request.center.store, request.center.settings, request.account.uuid, image, package
    )
    locality = _locality(request)
    machine_id = str(uuid.uuid4())
    now = now_iso()
    machine = Machine(
        uuid=machine_id,
        account=request.account.uuid,
        name=_name(request, machine_id),
        state="provisioning",
        image=image.id,
        package=package.name,
        memory=package.memory,
        disk=package.disk,
        brand=brand,
        type="virtualmachine" if brand in HVM else "smartmachine",
        created=now,
        updated=now,
        requested=requested,
        cpu_cap=package.cpu_cap,
        tags=as_read(check_new_tags(_tags(request))),
        firewall_enabled=boolean(request.params, "firewall_enabled") is True,
        deletion_protection=json_boolean(request.params, "deletion_protection"),
        volumes=_volumes(request),
        compute_node=request.center.engine.placement.choose(request.account.uuid, locality),
    )
    _set_metadata(machine, request.params, keys)
    if request.account.cns_enabled:
        _set_dns_names(request, machine)
    return machine


def _image(request: CreateRequest) -> Image:
    image, dataset = request.params.get("image"), request.params.get("dataset")
    if image and dataset and image != dataset:
        raise invalid_argument("image and dataset are mutually exclusive parameters.")
    wanted = image or dataset
    if not wanted:
        raise missing_parameter("image must be specified")
    found = lookup.image(request.center.settings, wanted)
    if found is None:
        raise invalid_argument(f"{wanted} is not a valid image")
    if found.state != "active":
        raise invalid_argument(f"image {wanted} is not active")
    return found


def _package(request: CreateRequest) -> Package:
    wanted = request.params.get("package")
    if not wanted:
        raise missing_parameter("package must be specified")
    found = lookup.package(request.center.settings, wanted)
    if found is None:
        raise invalid_argument(f"{wanted} is not a valid package")
    if not found.active:
        raise invalid_argument(f"{wanted} is inactive. Must use an active package")
    return found


def _brand(request: CreateRequest, image: Image, package: Package) -> str:
    """What the machine will be; raises 409 (getBrand of CloudAPI's lib/machines.js) and 501."""
    required = image.requirements.get("brand")
    brand = str(required or package.brand or image.brand)
    if package.brand and package.brand != brand:
        raise invalid_argument(
            f'Package requires brand "{package.brand}", but brand "{brand}" was selected'
        )
    if brand in HVM and image.type != "zvol":
        raise invalid_argument(f'Brand "{brand}" requires the image type to be "zvol"')
    if brand not in HVM and image.type == "zvol":
        raise invalid_argument(f'Brand "{brand}" cannot use an image of type "zvol"')
    if brand not in request.center.settings.brands:
        raise not_implemented(
            f"machines of brand {brand} are not run by this data center; take an image such as "
            "base-64-lts"
        )
    return brand


def _refuse_unsupported(request: CreateRequest) -> None:
    params = request.params
    for name, message in _UNSUPPORTED.items():
        if params.get(name) not in (None, "", False, "false", [], {}):
            raise not_implemented(message)
    json_boolean(params, "allow_shared_images")
    if json_boolean(params, "delegate_dataset"):
        raise invalid_argument("delegate_dataset is not allowed for this account")
    brand = params.get("brand")
    if brand:
        raise brand_not_supported(f"brand {brand} cannot be chosen; the image decides")
    if boolean(params, "firewall_enabled") and not request.center.settings.firewall:
        raise not_implemented(NO_FIREWALL)


NO_FIREWALL = (
    "this data center cannot enforce firewalls, because nft is missing; leave firewall_enabled "
    "false, or install it on the host and start again: apt-get install nftables"
)


def _locality(request: CreateRequest) -> affinity.Locality:
    params = request.params
    mine = Query(request.account.uuid, limit=-1)
    machines = request.center.store.machines.find(mine) if params.get("affinity") else []
    return affinity.wanted(params, machines)


def _volumes(request: CreateRequest) -> list[dict[str, str]]:
    """The volumes to mount; raises 409."""
    given = request.params.get("volumes") or []
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, list):
        raise invalid_argument("volumes must be a list of objects")
    mounts = [_volume(request, entry) for entry in given]
    if len({mount["mountpoint"] for mount in mounts}) < len(mounts):
        raise invalid_argument("volumes: two of them have the same mountpoint")
    return mounts


def _volume(request: CreateRequest, entry: object) -> dict[str, str]:
    """Judged as sdc-cloudapi, lib/machines.js, validateVolume, does.

    Beyond that a mountpoint must not lead elsewhere, nor to what the system of a zone is made of
    here, and no two volumes may have the same.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise invalid_argument("volumes: each needs a name and a mountpoint")
    mode, point = entry.get("mode", "rw"), entry.get("mountpoint")
    if entry.get("type", "tritonnfs") != "tritonnfs":
        raise invalid_argument("volumes: type must be tritonnfs")
    if mode not in ("ro", "rw"):
        raise invalid_argument("volumes: mode must be ro or rw")
    if not isinstance(point, str) or _MOUNTPOINT.fullmatch(point) is None or ".." in point:
        raise invalid_argument("volumes: mountpoint must be an absolute path below /")
    if point.split("/")[1] in _SYSTEM:
        raise invalid_argument(f"volumes: mountpoint {point} belongs to the system")
    record = request.center.store.documents.named(VOLUME, request.account.uuid, entry["name"])
    if record is None or record["state"] != "ready":
        raise invalid_argument(f"volumes: there is no volume {entry['name']} that is ready")
    return {"id": record["id"], "name": record["name"], "mode": mode, "mountpoint": point}


def _name(request: CreateRequest, machine_id: str) -> str:
    short = machine_id.partition("-")[0]
    name = request.params.get("name") or short
    if isinstance(name, str):
        name = name.replace("{{shortId}}", short)
    return check_name(name, request.account.cns_enabled)


def _networks(request: CreateRequest, package: Package) -> list[tuple[str, str | None]]:
    known = request.center.engine.networks.offered(request.account.uuid)
    prefixes = request.center.settings.fabric_package_prefixes
    allowed = package.name.startswith(prefixes) if prefixes else True
    wanted = request.params.get("networks")
    if wanted not in (None, "", []):
        requested = networks_and_addresses(wanted, known)
    elif package.networks:
        requested = networks_and_addresses(list(package.networks), known)
    else:
        requested = _default_networks(known.values(), allowed)
    if not allowed and any(known[network].fabric for network, _ in requested):
        raise invalid_fabric_package(
            "Fabric network cannot be used with this package. Only packages with names starting "
            f"with the following can be used with a fabric network: {', '.join(prefixes)}",
        )
    if sum(known[network].public for network, _ in requested) > MAX_PUBLIC:
        # sdc-cloudapi, lib/machines.js, create
        raise invalid_argument(f"Can specify a maximum of {MAX_PUBLIC} public networks")
    return requested


def _default_networks(known: Iterable[Offered], with_fabrics: bool) -> list[tuple[str, str | None]]:
    """The first external network, then the first internal one, in the order of ListNetworks.

    The account's default_network is for sdc-docker and has no say here (sdc-cloudapi,
    lib/machines.js, getCreateOptions and getInternalNetwork).
    """
    networks = [network for network in known if with_fabrics or not network.fabric]
    kinds = [
        [network.id for network in networks if network.public == public] for public in (True, False)
    ]
    return [(kind[0], None) for kind in kinds if kind]


def _tags(request: CreateRequest) -> dict[str, Any]:
    """A tag without a name is none (sdc-cloudapi, lib/machines.js, TAG_RE)."""
    return {tag: value for tag, value in _prefixed(request.params, "tag.").items() if tag}


def _prefixed(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}


def _set_dns_names(request: CreateRequest, machine: Machine) -> None:
    """Host name and search domain as CNS has them (sdc-cloudapi, lib/machines.js, dnsify)."""
    machine.hostname = dns_label(machine.name)
    known = request.center.engine.networks.offered(request.account.uuid)
    suffixes = [
        suffix
        for network, _ in machine.requested
        for suffix in request.center.cns.suffixes(known[network].public, request.account)
    ]
    machine.dns_domain = next(suffix for suffix in suffixes if suffix.startswith("inst."))


def _set_metadata(machine: Machine, params: Mapping[str, Any], keys: list[Key]) -> None:
    """As CloudAPI does, without a word of what it drops (lib/machines.js, getCreateOptions).

    Passwords are those in `credentials` alone, and names begin with a letter, a digit or `_`.
    """
    prefixed = _prefixed(params, "metadata.")
    given = {k: v for k, v in prefixed.items() if KEPT_METADATA.match(k) and not k.endswith("_pw")}
    credentials = given.pop("credentials", None)
    secrets: dict[str, Scalar] = {}
    if credentials is not None:
        for user, secret in parse_credentials(credentials).items():
            secrets[f"{user.removesuffix('_pw')}_pw"] = secret
    metadata = check_metadata(given, "Invalid VM parameters")
    password = text(params, "administrator_pw") or text(params, "password")
    if password:
        secrets["administrator_pw"] = password
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
        raise invalid_argument("metadata.credentials must be an object of strings")
    return value
