"""Images, packages and networks that a new data center offers.

Ids are fixed, so that a playbook which names one works in every data center of
this kind.  The id of base-64-lts is that of the public image server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network

ZONE = "joyent"
HVM = ("bhyve", "kvm")
BRANDS = (ZONE, "joyent-minimal", "lx", *HVM)


@dataclass(frozen=True, slots=True)
class Image:
    """An image; `urns` are its pre-2014 names (`cloud:vendor:name:version`).

    requirements: as IMGAPI has them: min_ram (MiB), brand, ...
    """

    id: str
    name: str
    version: str
    description: str
    published_at: str
    owner: str
    urns: tuple[str, ...] = ()
    os: str = "smartos"
    type: str = "zone-dataset"
    state: str = "active"
    public: bool = True
    homepage: str = "https://docs.smartos.org/"
    size: int = 0
    requirements: Mapping[str, str | int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def brand(self) -> str:
        """What its machines are unless a package decides."""
        return str(self.requirements.get("brand") or (HVM[0] if self.type == "zvol" else ZONE))


@dataclass(frozen=True, slots=True)
class Package:
    """A size of machine; memory, disk and swap in MiB, cpu_cap in % of a core.

    brand: machines of no other one may have it.  active: may be had, and is listed.
    networks: ids of those that its machines get unless they ask for others.
    """

    id: str
    name: str
    memory: int
    disk: int
    swap: int
    lwps: int = 4000
    vcpus: int = 1
    version: str = "1.0.0"
    group: str = "Sample"
    description: str = ""
    default: bool = False
    cpu_cap: int | None = None
    brand: str | None = None
    active: bool = True
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """A network; machines get addresses provision_start to provision_end.

    nic_tag: the wire it is.  A fabric network is one that an account made; its
    wire is its own.  nat_ip: the external address that its traffic leaves with.
    """

    id: str
    name: str
    description: str
    subnet: str
    provision_start: str
    provision_end: str
    nic_tag: str
    public: bool
    gateway: str | None = None
    resolvers: tuple[str, ...] = ()
    fabric: bool = False
    vlan_id: int = 0
    internet_nat: bool = False
    nat_ip: str | None = None
    routes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pool:
    """A network pool; `networks` are the ids of its members, all on the same wire.

    Who asks for it gets an address of a member. The members are not offered by themselves, and
    machines show the member that they are on (sdc-cloudapi, lib/middleware/networks.js; sdc-napi,
    lib/models/network-pool.js, lib/models/nic/provision.js).
    """

    id: str
    name: str
    networks: tuple[str, ...]
    description: str = ""


def widened(network: Network, prefix: int = 16) -> Network:
    """The same network with room for some 65,000 machines (for prefix 16)."""
    subnet = IPv4Network(network.subnet).supernet(new_prefix=prefix)
    return replace(network, subnet=str(subnet), provision_end=str(subnet.broadcast_address - 5))


IMAGE_OWNER = "930896af-bf8c-48d4-885c-6573a94b1853"


# What other data centers have beside images for zones; nothing here can run them.
OF_OTHER_BRANDS = (
    Image(
        id="7b5981c4-1889-11e4-8b0f-2f1c7a9c1804",
        name="ubuntu-24.04",
        version="20240612",
        description="Container-native Ubuntu 24.04; this data center has no lx zones.",
        published_at="2024-06-12T12:00:00Z",
        owner=IMAGE_OWNER,
        os="linux",
        type="lx-dataset",
        requirements={"brand": "lx"},
        size=190000000,
    ),
    Image(
        id="c7e0cf5a-3b0d-11e4-9d0f-2f1c7a9cde12",
        name="debian-12",
        version="20240613",
        description="Debian 12 for bhyve; this data center has no hardware virtual machines.",
        published_at="2024-06-13T12:00:00Z",
        owner=IMAGE_OWNER,
        os="linux",
        type="zvol",
        requirements={"min_ram": 256},
        size=420000000,
    ),
)


def images() -> tuple[Image, ...]:
    return (
        Image(
            id="2f1dc911-6401-4fa4-8e9d-67ea2e39c271",
            name="base-64-lts",
            version="24.4.1",
            description="A 64-bit image with just essential packages installed.",
            published_at="2025-03-11T12:00:00Z",
            owner=IMAGE_OWNER,
            urns=("sdc:sdc:base64:24.4.1", "sdc:sdc:base-64-lts:24.4.1"),
            size=248000000,
        ),
        Image(
            id="66f1f1f6-3ab6-44a4-9b0b-2f1c7a9c2c0e",
            name="minimal-64-lts",
            version="24.4.1",
            description="A 64-bit image with the smallest useful set of packages.",
            published_at="2025-03-11T12:00:00Z",
            owner=IMAGE_OWNER,
            urns=("sdc:sdc:minimal-64-lts:24.4.1",),
            requirements={"brand": "joyent-minimal"},
            size=46000000,
        ),
        Image(
            # its pkgsrc release has no ipyparallel: localdc.pkgsrc.releases
            id="0a2b61d5-5f0c-4d7e-8f0b-23c4a1e62304",
            name="base-64-lts",
            version="23.4.0",
            description="The image of an older release, for those who must stay on it.",
            published_at="2024-02-06T12:00:00Z",
            owner=IMAGE_OWNER,
            urns=("sdc:sdc:base64:23.4.0", "sdc:sdc:base-64-lts:23.4.0"),
            size=236000000,
        ),
        *OF_OTHER_BRANDS,
    )


# id, name, memory and disk in MiB, vcpus, group, description, brand
_SIZES = (
    ("5f4f1e64-7c3f-4f8b-a3c5-6a1d2b0f5121", "sample-512M", 512, 10240, 1, "Sample",
     "512 MiB for one engine or a small controller", None),
    ("0d5a4d0e-91c8-4b4d-8a93-3e7d3f3c1024", "sample-1G", 1024, 25600, 1, "Sample", "1 GiB", None),
    ("a7c2c7c1-0e6f-4d7c-9a44-1a5b3a0d2048", "sample-2G", 2048, 51200, 2, "Sample", "2 GiB", None),
    ("3b1f0c53-55de-4a57-8d58-9f7d6e0a4096", "sample-4G", 4096, 102400, 4, "Sample",
     "4 GiB for a controller of many engines", None),
    ("9e0d8b7a-2c15-4e0d-b7a3-c4d5e6f70512", "g4-highcpu-512M", 512, 10240, 1, "High CPU",
     "Compute optimised, 512 MiB", "joyent"),
    ("c81f3a64-2c15-4e0d-b7a3-c4d5e6f71024", "g4-highcpu-1G", 1024, 25600, 1, "High CPU",
     "Compute optimised, 1 GiB", "joyent"),
    ("73c9b4c2-1c06-4a4b-90b1-2013c0de0512", "Extra Small 512 MB", 512, 15360, 1, "Standard",
     "The size of the 2013 how-to", None),
    ("4d1c2b3a-2c15-4e0d-b7a3-c4d5e6f70256", "b1-small-256M", 256, 10240, 1, "Hardware",
     "256 MiB for a bhyve machine, which this data center does not run", "bhyve"),
    ("8a9b0c1d-2c15-4e0d-b7a3-c4d5e6f70512", "b1-small-512M", 512, 10240, 1, "Hardware",
     "512 MiB for a bhyve machine, which this data center does not run", "bhyve"),
    ("1f2e3d4c-2c15-4e0d-b7a3-c4d5e6f70512", "l1-small-512M", 512, 10240, 1, "Linux",
     "512 MiB for an lx zone, which this data center does not run", "lx"),
)  # fmt: skip


def packages() -> tuple[Package, ...]:
    """The first one is the default; a retired one is not listed."""
    listed = tuple(
        Package(
            id=identifier,
            name=name,
            memory=memory,
            disk=disk,
            swap=2 * memory,
            vcpus=vcpus,
            group=group,
            description=description,
            default=index == 0,
            brand=brand,
        )
        for index, (identifier, name, memory, disk, vcpus, group, description, brand) in enumerate(
            _SIZES
        )
    )
    retired = Package(
        id="2b4d6f80-2c15-4e0d-b7a3-c4d5e6f70512",
        name="g3-standard-0.5-smartos",
        memory=512,
        disk=16384,
        swap=1024,
        group="Standard",
        description="Machines of former years have it; no new one may",
        active=False,
    )
    return (*listed, retired)


EXTERNAL = IPv4Network("100.64.0.0/22")
"""Subnet of the external network.

Clients that tell public addresses from private ones by their value take it for public (smartdc 0.2,
smartdc/machine.py, priv; libcloud, utils/networking.py, is_private_subnet; `is_private` of
`ipaddress`), and nobody routes it (RFC 6598).
"""
FORMER_EXTERNAL = IPv4Network("10.88.0.0/22")
"""That of data centers made before it could be chosen."""
INTERNAL = IPv4Network("10.99.0.0/22")
USUAL = (EXTERNAL, FORMER_EXTERNAL, INTERNAL)
SPARED = 5
"""Addresses at each end of a subnet that no machine gets."""


FABRIC_VLAN = 2
FABRIC_VLAN_NAME = "My-Fabric-VLAN"


def fabric_network(identifier: str, resolvers: tuple[str, ...]) -> Network:
    """The network that a new account has, on a VLAN of its own.

    Sources: sdc-cloudapi, test/fabrics.test.js (names, and the VLAN's number); sdcadm, the default
    fabric network of its post-setup (addresses).  Resolvers are the data center's own.
    """
    return Network(
        id=identifier,
        name="My-Fabric-Network",
        description="",
        subnet="192.168.128.0/22",
        provision_start="192.168.128.5",
        provision_end="192.168.131.250",
        nic_tag="fabric",
        public=False,
        gateway="192.168.128.1",
        resolvers=resolvers,
        fabric=True,
        vlan_id=FABRIC_VLAN,
        internet_nat=True,
    )


def check_external(subnet: IPv4Network) -> None:
    """Raise ValueError for a subnet that the external network cannot have."""
    if not 16 <= subnet.prefixlen <= 27:
        raise ValueError(f"{subnet} is not of a size from /27 to /16")
    room = INTERNAL.supernet(new_prefix=16)
    if subnet.overlaps(room):
        raise ValueError(f"{subnet} overlaps with {room}, where the internal network is")
    first = subnet.network_address
    if first.is_loopback or first.is_link_local or first.is_multicast or first.is_reserved:
        raise ValueError(f"{subnet} has addresses that no machine can have")


def networks(external: IPv4Network = EXTERNAL) -> tuple[Network, ...]:
    """The networks of a data center; raises ValueError for an external subnet that cannot be."""
    check_external(external)
    gateway = str(external[1])
    return (
        Network(
            id="b6dc4b2e-6f0d-4e06-9d0a-9d5d0b1f0088",
            name="external",
            description="Reached from the host through `localdc connect`; no way out of the host",
            subnet=str(external),
            provision_start=str(external[SPARED]),
            provision_end=str(external[-1 - SPARED]),
            nic_tag="external",
            public=True,
            gateway=gateway,
            resolvers=(gateway,),
        ),
        Network(
            id="c0a1f7b4-3d4e-4e7b-8f0e-6a2b1c9e0099",
            name="internal",
            description="Between the machines of this data center only",
            subnet=str(INTERNAL),
            provision_start="10.99.0.5",
            provision_end="10.99.3.250",
            nic_tag="internal",
            public=False,
            resolvers=("10.99.0.1",),
        ),
    )
