"""A zone as the metadata agent is told of it, and the data center behind it."""

from __future__ import annotations

from dataclasses import replace

from localdc.api.compute import Nic, ZoneSpec

EXTERNAL = Nic(
    interface="net0",
    mac="90:b8:d0:00:00:01",
    ip="100.64.0.5",
    netmask="255.255.252.0",
    prefix=22,
    gateway="100.64.0.1",
    network_id="b6dc4b2e-6f0d-4e06-9d0a-9d5d0b1f0088",
    network_name="external",
    nic_tag="external",
    primary=True,
)
INTERNAL = replace(
    EXTERNAL, interface="net1", ip="10.99.0.5", gateway=None, nic_tag="internal", primary=False
)
SPEC = ZoneSpec(
    uuid="11111111-2222-4333-8444-555555555555",
    alias="con_troller",
    hostname="con-troller",
    owner="aaaaaaaa-2222-4333-8444-555555555555",
    image_uuid="2f1dc911-6401-4fa4-8e9d-67ea2e39c271",
    image_name="base-64-lts",
    image_version="24.4.1",
    package="sample-512M",
    nics=(EXTERNAL, INTERNAL),
    ram=512,
    disk=10240,
    cpu_cap=None,
    tags={"role": "controller", "paid": True, "weight": 7},
    customer_metadata={"user-script": "#!/bin/sh\n", "ipython.url": "tcp://x"},
    internal_metadata={"root_pw": "secret"},
    authorized_keys=("ssh-rsa AAAA x",),
    resolvers=("100.64.0.1",),
    dc_name="localdc",
    server_uuid="bbbbbbbb-2222-4333-8444-555555555555",
    dns_domain="local",
)


class Events:
    """Remembers what a zone wrote; refuses the key `bad key`."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, str, str | None]] = []

    async def zone_exited(self, uuid: str, reboot: bool) -> None:
        raise AssertionError("the agent does not end zones")

    async def put_metadata(self, uuid: str, key: str, value: str | None) -> None:
        if key == "bad key":
            raise ValueError("bad key: no spaces")
        self.puts.append((uuid, key, value))

    async def repository_fault(self, uuid: str) -> str | None:
        return None
