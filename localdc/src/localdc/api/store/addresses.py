"""Which machine holds which IP and MAC address."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from localdc.api.catalogue import Network
from localdc.api.model import NicRecord

OUI = 0x90B8D0 << 24


class NoAddress(Exception):
    """No free address is left, or the wanted one is taken; the message says which."""


@dataclass(frozen=True, slots=True)
class AddressRecord:
    ip: str
    reserved: bool
    machine: str | None
    account: str | None

    def view(self) -> dict[str, object]:
        view: dict[str, object] = {"ip": self.ip, "reserved": self.reserved}
        view["managed"] = False
        if self.account:
            view["owner_uuid"] = self.account
        if self.machine:
            view["belongs_to_uuid"] = self.machine
        return view


class Addresses:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def allocate(
        self, network: Network, machine: str, account: str, wanted: str | None, primary: bool
    ) -> NicRecord:
        """Give `machine` an address of `network` and a MAC; raises NoAddress."""
        address = self._free(network) if wanted is None else self._wanted(network, wanted, account)
        self._db.execute(
            "INSERT INTO addresses (network, address, machine, account) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (network, address) DO UPDATE"
            " SET machine = excluded.machine, account = excluded.account",
            (network.id, address, machine, account),
        )
        subnet = IPv4Network(network.subnet)
        return NicRecord(
            mac=self._mac(machine),
            ip=str(IPv4Address(address)),
            netmask=str(subnet.netmask),
            prefix=subnet.prefixlen,
            gateway=network.gateway,
            network=network.id,
            primary=primary,
        )

    def take(self, network: Network) -> str:
        """An address for the data center itself; raises NoAddress."""
        address = self._free(network)
        self._db.execute(
            "INSERT INTO addresses (network, address, reserved) VALUES (?, ?, 1)",
            (network.id, address),
        )
        return str(IPv4Address(address))

    def put_back(self, network: str, ip: str) -> None:
        """Undo `take`."""
        self._db.execute(
            "DELETE FROM addresses WHERE network = ? AND address = ? AND account IS NULL",
            (network, int(IPv4Address(ip))),
        )

    def release(self, machine: str) -> None:
        """Give back everything a machine holds; reserved addresses stay reserved."""
        self._db.execute("DELETE FROM addresses WHERE machine = ? AND reserved = 0", (machine,))
        self._db.execute("UPDATE addresses SET machine = NULL WHERE machine = ?", (machine,))
        self._db.execute("DELETE FROM macs WHERE machine = ?", (machine,))

    def give_back(self, network: str, ip: str, mac: str) -> None:
        """Give back one interface's addresses; a reserved IP stays reserved."""
        where = "WHERE network = ? AND address = ?"
        values = (network, int(IPv4Address(ip)))
        self._db.execute(f"DELETE FROM addresses {where} AND reserved = 0", values)
        self._db.execute(f"UPDATE addresses SET machine = NULL {where}", values)
        self._db.execute("DELETE FROM macs WHERE mac = ?", (int(mac.replace(":", ""), 16),))

    def used(self, network: str) -> bool:
        """True when a machine has an address of the network."""
        return self.machines(network) > 0

    def machines(self, network: str) -> int:
        """How many machines have addresses of the network."""
        (count,) = self._db.execute(
            "SELECT count(DISTINCT machine) FROM addresses WHERE network = ?", (network,)
        ).fetchone()
        return int(count)

    def forget(self, network: str) -> None:
        """The network is gone."""
        for table in ("addresses", "cursors"):
            self._db.execute(f"DELETE FROM {table} WHERE network = ?", (network,))

    def reserve(self, network: str, ip: str, account: str, reserved: bool) -> None:
        self._db.execute(
            "INSERT INTO addresses (network, address, account, reserved) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (network, address) DO UPDATE SET reserved = excluded.reserved",
            (network, int(IPv4Address(ip)), account, int(reserved)),
        )
        self._db.execute(
            "DELETE FROM addresses WHERE network = ? AND machine IS NULL AND reserved = 0",
            (network,),
        )

    def list(self, network: str, limit: int = -1, offset: int = 0) -> list[AddressRecord]:
        rows = self._db.execute(
            "SELECT address, reserved, machine, account FROM addresses WHERE network = ?"
            " ORDER BY address LIMIT ? OFFSET ?",
            (network, limit, offset),
        )
        return [AddressRecord(str(IPv4Address(a)), bool(r), m, o) for a, r, m, o in rows]

    def find(self, network: str, ip: str) -> AddressRecord | None:
        row = self._db.execute(
            "SELECT reserved, machine, account FROM addresses WHERE network = ? AND address = ?",
            (network, int(IPv4Address(ip))),
        ).fetchone()
        return None if row is None else AddressRecord(ip, bool(row[0]), row[1], row[2])

    def _free(self, network: Network) -> int:
        first = int(IPv4Address(network.provision_start))
        last = int(IPv4Address(network.provision_end))
        row = self._db.execute(
            "SELECT address FROM cursors WHERE network = ?", (network.id,)
        ).fetchone()
        cursor = row[0] if row and first <= row[0] <= last else last
        address = self._gap(network, cursor + 1, last)
        if address is None:
            address = self._gap(network, first, cursor)
        if address is None:
            raise NoAddress(f"no more free IPs in network {network.name}")
        self._db.execute(
            "INSERT INTO cursors (network, address) VALUES (?, ?)"
            " ON CONFLICT (network) DO UPDATE SET address = excluded.address",
            (network.id, address),
        )
        return address

    def _gap(self, network: Network, first: int, last: int) -> int | None:
        """The lowest address from first to last that neither a machine nor the gateway has."""
        candidate = first
        gateway = -1 if network.gateway is None else int(IPv4Address(network.gateway))
        rows = self._db.execute(
            "SELECT address FROM addresses WHERE network = ?1 AND address BETWEEN ?2 AND ?3"
            " UNION SELECT ?4 WHERE ?4 BETWEEN ?2 AND ?3 ORDER BY address",
            (network.id, first, last, gateway),
        )
        for (taken,) in rows:
            if taken != candidate:
                break
            candidate += 1
        return candidate if candidate <= last else None

    def _wanted(self, network: Network, ip: str, account: str) -> int:
        holder = self.find(network.id, ip)
        if holder is not None and (holder.machine is not None or holder.account != account):
            raise NoAddress(f"IP {ip} of network {network.name} is in use")
        return int(IPv4Address(ip))

    def _mac(self, machine: str) -> str:
        while True:
            mac = OUI | secrets.randbits(24)
            try:
                self._db.execute("INSERT INTO macs (mac, machine) VALUES (?, ?)", (mac, machine))
            except sqlite3.IntegrityError:
                continue
            return mac.to_bytes(6, "big").hex(":")
