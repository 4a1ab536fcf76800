"""CloudAPI's other calls with plain dicts: account, keys, images, networks, rules, volumes ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import records
from .raw import Calls, Record
from .transport import decode


class AccountCalls(Calls):
    """The account itself, its keys and limits, and what the data center offers."""

    def account(self) -> Record:
        return self.get_object()

    def update_account(self, **fields: Any) -> Record:
        return self.post_object(json=fields, repeatable=True)

    def limits(self) -> list[Record]:
        return self.get_list("limits")

    def config(self) -> Record:
        return self.get_object("config")

    def update_config(self, **fields: Any) -> Record:
        return self.put_object("config", json=fields)

    def services(self) -> Record:
        return self.get_object("services")

    def keys(self) -> list[Record]:
        """The account's SSH keys: name, fingerprint (MD5), key.

        Without ``sync`` the server shows what it knew up to a minute ago (sdc-cloudapi,
        lib/keys.js; node-ufds, lib/cache.js).
        """
        return records.KEY.check_all(self.get_list("keys", params={"sync": True}))

    def key(self, key_id: str) -> Record:
        """One SSH key, by name or MD5 fingerprint."""
        return records.KEY.check(self.get_object("keys", key_id, params={"sync": True}))

    def role(self, name: str) -> Record:
        """A role of the account's sub-users: members and policies, by name or id."""
        return self.get_object("roles", name)

    def add_key(self, key_id: str | None, key: str) -> Record:
        """Add a public key (OpenSSH form); ``key_id`` is the name, None for its fingerprint."""
        body = {"key": key} if key_id is None else {"name": key_id, "key": key}
        return records.KEY.check(self.post_object("keys", json=body))

    def delete_key(self, key_id: str) -> None:
        self.remove("keys", key_id)


class NetworkCalls(Calls):
    """Networks, addresses, fabrics, NICs, firewall rules."""

    def list_networks(self, **filters: Any) -> list[Record]:
        return records.NETWORK.check_all(self.get_list("networks", params=filters))

    def get_network(self, network_id: str) -> Record:
        return records.NETWORK.check(self.get_object("networks", network_id))

    def network_ips(self, network_id: str, limit: int | None = None) -> list[Record]:
        """Reserved and used addresses of a network, at most 1000 if not told otherwise.

        :raises InvalidArgument: it is a pool of networks
        """
        return self.get_list("networks", network_id, "ips", params={"limit": limit})

    def reserve_ip(self, network_id: str, ip: str, reserved: bool = True) -> Record:
        return self.put_object("networks", network_id, "ips", ip, json={"reserved": reserved})

    def vlans(self) -> list[Record]:
        return self.get_list("fabrics", "default", "vlans")

    def create_vlan(self, vlan_id: int, name: str, **fields: Any) -> Record:
        body = {"vlan_id": vlan_id, "name": name, **fields}
        return self.post_object("fabrics", "default", "vlans", json=body)

    def delete_vlan(self, vlan_id: int) -> None:
        self.remove("fabrics", "default", "vlans", vlan_id)

    def fabric_networks(self, vlan_id: int) -> list[Record]:
        return self.get_list("fabrics", "default", "vlans", vlan_id, "networks")

    def create_fabric_network(self, vlan_id: int, **fields: Any) -> Record:
        return self.post_object("fabrics", "default", "vlans", vlan_id, "networks", json=fields)

    def delete_fabric_network(self, vlan_id: int, network_id: str) -> None:
        self.remove("fabrics", "default", "vlans", vlan_id, "networks", network_id)

    def nics(self, machine_id: str) -> list[Record]:
        return records.NIC.check_all(self.get_list("machines", machine_id, "nics"))

    def add_nic(
        self, machine_id: str, network: str | Mapping[str, Any], *, primary: bool = False
    ) -> Record | None:
        """Add a NIC; the machine reboots.  None when it has one on that network (302)."""
        body: Record = {"network": network if isinstance(network, str) else dict(network)}
        if primary:
            body["primary"] = True
        response = self.send("POST", ["machines", machine_id, "nics"], json=body)
        if response.status_code == 302:
            return None
        return records.NIC.check(decode(response, dict))

    def delete_nic(self, machine_id: str, mac: str) -> None:
        """Remove a NIC, by MAC with or without colons; the machine reboots."""
        self.remove("machines", machine_id, "nics", mac.replace(":", ""))

    def fwrules(self, machine_id: str | None = None) -> list[Record]:
        """Firewall rules of the account, or those that touch one machine."""
        if machine_id is None:
            return records.RULE.check_all(self.get_list("fwrules"))
        return records.RULE.check_all(self.get_list("machines", machine_id, "fwrules"))

    def fwrule(self, rule_id: str) -> Record:
        return records.RULE.check(self.get_object("fwrules", rule_id))

    def create_fwrule(self, rule: str, *, enabled: bool = True, **fields: Any) -> Record:
        """Add a rule such as ``FROM any TO tag "role" = "web" ALLOW tcp PORT 80``."""
        return records.RULE.check(
            self.post_object("fwrules", json={"rule": rule, "enabled": enabled, **fields})
        )

    def update_fwrule(self, rule_id: str, **fields: Any) -> Record:
        return records.RULE.check(
            self.post_object("fwrules", rule_id, json=fields, repeatable=True)
        )

    def enable_fwrule(self, rule_id: str) -> Record:
        return records.RULE.check(self.post_object("fwrules", rule_id, "enable", repeatable=True))

    def disable_fwrule(self, rule_id: str) -> Record:
        return records.RULE.check(self.post_object("fwrules", rule_id, "disable", repeatable=True))

    def delete_fwrule(self, rule_id: str) -> None:
        self.remove("fwrules", rule_id)

    def fwrule_machines(self, rule_id: str) -> list[Record]:
        return self.get_list("fwrules", rule_id, "machines")


class CatalogueCalls(Calls):
    """Images, packages, volumes, and snapshots of machines."""

    def list_images(self, **filters: Any) -> list[Record]:
        """Images; filters name, os, version, public, state, owner, type."""
        return records.IMAGE.check_all(self.get_list("images", params=filters))

    def get_image(self, image_id: str) -> Record:
        return records.IMAGE.check(self.get_object("images", image_id))

    def list_packages(self, **filters: Any) -> list[Record]:
        """Packages; filters name, memory (MiB), disk (MiB), swap, version, vcpus, group."""
        return records.PACKAGE.check_all(self.get_list("packages", params=filters))

    def get_package(self, package: str) -> Record:
        """A package by id or name."""
        return records.PACKAGE.check(self.get_object("packages", package))

    def volumes(self, **filters: Any) -> list[Record]:
        return records.VOLUME.check_all(self.get_list("volumes", params=filters))

    def volume(self, volume_id: str) -> Record:
        return records.VOLUME.check(self.get_object("volumes", volume_id))

    def create_volume(self, **fields: Any) -> Record:
        """Create a volume: name, type (tritonnfs), size (MiB), networks, tags."""
        return records.VOLUME.check(
            self.post_object("volumes", json={"type": "tritonnfs", **fields})
        )

    def rename_volume(self, volume_id: str, name: str) -> None:
        self.send("POST", ["volumes", volume_id], json={"name": name}, repeatable=True)

    def delete_volume(self, volume_id: str) -> None:
        self.remove("volumes", volume_id)

    def list_snapshots(self, machine_id: str) -> list[Record]:
        return records.SNAPSHOT.check_all(self.get_list("machines", machine_id, "snapshots"))

    def get_snapshot(self, machine_id: str, name: str) -> Record:
        """One snapshot, in the state of the last job with its name, if the server remembers one.

        ``deleted`` is the state of one that is not there (sdc-cloudapi, lib/snapshots.js, get).

        :raises NotFound: no job with this name is remembered
        """
        return records.SNAPSHOT.check(self.get_object("machines", machine_id, "snapshots", name))

    def create_snapshot(self, machine_id: str, name: str | None = None) -> Record:
        """Queue a snapshot.

        Until it is there, and where it cannot be made, :meth:`get_snapshot` says ``deleted``.
        """
        body = {} if name is None else {"name": name}
        return records.SNAPSHOT.check(
            self.post_object("machines", machine_id, "snapshots", json=body)
        )

    def rollback_snapshot(self, machine_id: str, name: str) -> None:
        """Roll a machine back to a snapshot and boot it."""
        self.send("POST", ["machines", machine_id, "snapshots", name], repeatable=True)

    def delete_snapshot(self, machine_id: str, name: str) -> None:
        self.remove("machines", machine_id, "snapshots", name)
