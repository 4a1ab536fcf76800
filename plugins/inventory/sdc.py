# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible inventory plugin: the machines of a SmartDataCenter / Triton account."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sdc
short_description: Machines of a SmartDataCenter (Triton) account
description:
  - Lists the machines of an account through CloudAPI, with one list request for all of them.
  - Groups and host variables are built in Python; O(compose), O(groups) and O(keyed_groups) work on
    top for those who want more.
  - Empty and quiet when no data center is configured and the embedded one does not run.
version_added: "0.1.0"
author: The sdc-ipython-cluster contributors
extends_documentation_fragment: [sdc, constructed, inventory_cache]
options:
  plugin:
    description:
      - Marks the file as one for this plugin.
    type: str
    required: true
    choices: [sdc]
  selector:
    description:
      - Only machines that have these tags; the data center does the filtering.
    type: dict
    default: {}
  states:
    description:
      - Only machines in these states.
    type: list
    elements: str
    default: [running]
  group_by:
    description:
      - Groups to make. V(cluster) gives C(cluster_NAME) and V(role) gives C(role_NAME), from the
        tags of the same name.
      - The others have the prefix C(sdc_), such as C(sdc_state_running), and C(sdc_tag_KEY_VALUE)
        for each tag. V(image) and V(network) cost one more request each.
    type: list
    elements: str
    choices: [cluster, role, tag, state, package, image, network, datacenter]
    default: [cluster, role]
  address:
    description:
      - Which address C(ansible_host) becomes, in order of preference. V(primary) is the primary
        address, V(external) and V(internal) the first that is not, or is, in private address
        space. Addresses that are C(dhcp) are passed over. CIDR blocks are accepted as well.
    type: list
    elements: str
    default: [primary, external, internal]
  ssh_user:
    description:
      - Value of C(ansible_user).
    type: str
    default: root
  ssh_config:
    description:
      - Configuration file for C(ssh). Default is the data center's own, when it has one (the
        embedded one has).
    type: path
  known_hosts:
    description:
      - File for the host keys of the machines, kept by machine id because addresses are used again.
        A relative path is relative to the inventory file's parent directory, or to the directory
        above it when the file lies in one called C(inventory).
    type: str
    default: .cluster/known_hosts
  python_interpreter:
    description:
      - Value of C(ansible_python_interpreter).
    type: str
    default: /opt/local/libexec/ipyparallel/python3
"""

EXAMPLES = r"""
# inventory/sdc.yml: all clusters of the account
plugin: sdc

# one cluster only, and more groups
# plugin: sdc
# selector: {cluster: ipython}
# group_by: [cluster, role, package]
"""

import functools
import hashlib
import ipaddress
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

try:
    from smartdc import config, errors
except ImportError:
    config = errors = None

DATA_VERSION = 1
"""Part of the cache key: raised whenever the cached data change their shape."""

ACCESS = ("profile", "url", "account", "user", "key_id", "key_file", "insecure")
COPIED = ("id", "name", "state", "brand", "package", "image", "memory", "disk", "ips", "networks")
ALSO_COPIED = ("created", "updated", "compute_node", "firewall_enabled")
PRIVATE = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12")] + [
    ipaddress.ip_network(block) for block in ("192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Adds the machines of an account to the inventory."""

    NAME = "sdc"

    def verify_file(self, path: str) -> bool:
        """Take files called `sdc.yml` or `NAME.sdc.yml`."""
        return bool(super().verify_file(path)) and path.endswith(("sdc.yml", "sdc.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory from the file's settings."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        if config is None:
            raise AnsibleParserError(
                "the inventory plugin needs the Python package smartdc of this repository; "
                "run 'pip install -e .' with the Python that runs Ansible"
            )
        try:
            data = self._data(path, cache)
        except errors.NoDataCenter as exc:
            self.display.vv(f"sdc inventory: {exc}")
            return
        except errors.SmartDCError as exc:
            raise AnsibleParserError(f"sdc inventory: {exc}") from exc
        self._populate(path, data)

    # --- data ------------------------------------------------------------------------------

    def _data(self, path: str, use_cache: bool) -> dict[str, Any]:
        """What the data center said, or the cache if it may be used."""
        access = {name: self.get_option(name) for name in ACCESS}
        settings = config.resolve(**access, cwd=_state_parent(path))
        caching = self.get_option("cache")
        key = self._cache_key(path, settings)
        if caching and use_cache:
            try:
                cached: dict[str, Any] = self._cache[key]
                return cached
            except KeyError:
                pass
        data = self._fetch(settings)
        if caching:
            self._cache[key] = data
        return data

    def _cache_key(self, path: str, settings: Any) -> str:
        """One key per account and wish; the path alone would mix accounts up."""
        what = [DATA_VERSION, settings.url, settings.account, settings.user]
        what += [self.get_option("selector"), sorted(self._extra_lists())]
        digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode())
        return f"{self.get_cache_key(path)}_{digest.hexdigest()[:16]}"

    def _extra_lists(self) -> set[str]:
        return {"image", "network"} & set(self.get_option("group_by"))

    def _fetch(self, settings: Any) -> dict[str, Any]:
        extra = self._extra_lists()
        with settings.connect() as api:
            data: dict[str, Any] = {
                "datacenter": settings.name,
                "ssh_config": settings.ssh_config,
                "machines": api.list_machines(tags=self.get_option("selector") or None),
                "images": {},
                "networks": {},
            }
            if "image" in extra:
                images = api.list_images(state="all")
                data["images"] = {item["id"]: item["name"] for item in images}
            if "network" in extra:
                data["networks"] = {item["id"]: item["name"] for item in api.list_networks()}
        for machine in data["machines"]:
            # metadata may hold secrets, and nobody groups by it
            machine.pop("metadata", None)
        return data

    # --- hosts and groups ------------------------------------------------------------------

    def _populate(self, path: str, data: Mapping[str, Any]) -> None:
        states = set(self.get_option("states"))
        machines = [m for m in data["machines"] if m.get("state") in states]
        known_hosts = Path(self.get_option("known_hosts")).expanduser()
        known_hosts = _base_directory(Path(path)) / known_hosts
        if machines:
            known_hosts.parent.mkdir(parents=True, exist_ok=True)
        ssh_config = self.get_option("ssh_config") or data["ssh_config"]
        fixed = {
            "ansible_user": self.get_option("ssh_user"),
            "ansible_python_interpreter": self.get_option("python_interpreter"),
            "sdc_datacenter": data["datacenter"],
        }
        address = _address_chooser(self.get_option("address"))
        group_names = self._grouping(data)
        constructing = any(self.get_option(o) for o in ("compose", "groups", "keyed_groups"))
        count = Counter(machine["name"] for machine in machines)
        for machine in sorted(machines, key=lambda m: (m["name"], m["id"])):
            host = machine["name"]
            if count[host] > 1:
                host = f"{host}-{machine['id'][:8]}"
            self.inventory.add_host(host)
            if host != machine["name"]:
                group = self.inventory.add_group(safe(machine["name"]))
                self.inventory.add_child(group, host)
            variables = {**fixed, **_host_variables(machine)}
            variables["ansible_host"] = address(machine)
            variables["sdc_ssh_args"] = _ssh_args(machine["id"], ssh_config, known_hosts)
            variables["ansible_ssh_common_args"] = shlex.join(variables["sdc_ssh_args"])
            for name, value in variables.items():
                if value is not None:
                    self.inventory.set_variable(host, name, value)
            for group in group_names(machine):
                self.inventory.add_group(group)
                self.inventory.add_child(group, host)
            if constructing:
                self._construct(host, variables)

    def _grouping(self, data: Mapping[str, Any]) -> Any:
        """A function that gives the names of a machine's groups."""
        wanted = self.get_option("group_by")
        center = safe(f"sdc_datacenter_{data['datacenter']}")

        def names(machine: Mapping[str, Any]) -> Iterable[str]:
            tags = machine.get("tags") or {}
            for key in ("cluster", "role"):
                if key in wanted and tags.get(key) not in (None, ""):
                    yield safe(f"{key}_{_text(tags[key])}")
            if "tag" in wanted:
                yield from (safe(f"sdc_tag_{k}_{_text(v)}") for k, v in tags.items())
            for key in ("state", "package"):
                if key in wanted and machine.get(key):
                    yield safe(f"sdc_{key}_{machine[key]}")
            if "image" in wanted:
                yield safe(f"sdc_image_{data['images'].get(machine['image'], machine['image'])}")
            if "network" in wanted:
                for network in machine.get("networks") or []:
                    yield safe(f"sdc_network_{data['networks'].get(network, network)}")
            if "datacenter" in wanted:
                yield center

        return names

    def _construct(self, host: str, variables: dict[str, Any]) -> None:
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)


def safe(name: str) -> str:
    """A group name that Ansible takes without complaint."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _base_directory(inventory_file: Path) -> Path:
    """The directory of the repository: above `inventory/`, else where the file lies."""
    directory = inventory_file.absolute().parent
    return directory.parent if directory.name == "inventory" else directory


def _state_parent(inventory_file: str) -> Path:
    """Where an embedded data center is: in the current directory, else in the repository."""
    here = Path.cwd()
    if (here / (os.environ.get("LOCALDC_DIR") or ".localdc")).is_dir():
        return here
    return _base_directory(Path(inventory_file))


def _host_variables(machine: Mapping[str, Any]) -> dict[str, Any]:
    variables = {f"sdc_{key}": machine.get(key) for key in (*COPIED, *ALSO_COPIED)}
    variables["sdc_primary_ip"] = machine.get("primaryIp")
    # in one dict, because a tag's name need not be a valid variable name
    variables["sdc_tags"] = machine.get("tags") or {}
    addresses = [_address(ip) for ip in machine.get("ips") or []]
    known = [address for address in addresses if address]
    variables["sdc_internal_ips"] = [str(a) for a in known if _is_private(a)]
    variables["sdc_external_ips"] = [str(a) for a in known if not _is_private(a)]
    return variables


def _ssh_args(ident: str, ssh_config: str | None, known_hosts: Path) -> list[str]:
    file = f'"{known_hosts}"' if re.search(r"\s", str(known_hosts)) else str(known_hosts)
    return [
        *(["-F", ssh_config] if ssh_config else []),
        "-o",
        f"HostKeyAlias={ident}",
        "-o",
        f"UserKnownHostsFile={file}",
        "-o",
        "StrictHostKeyChecking=accept-new",
    ]


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@functools.cache
def _address(text: str) -> Address | None:
    """An address, or None for what is none, such as `dhcp`."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_private(address: Address) -> bool:
    return any(address in block for block in PRIVATE if block.version == address.version)


def _address_chooser(preferences: Iterable[str]) -> Any:
    """A function that picks a machine's address."""
    blocks = {}
    for preference in preferences:
        if preference not in ("primary", "external", "internal"):
            try:
                blocks[preference] = ipaddress.ip_network(preference)
            except ValueError as exc:
                raise AnsibleParserError(
                    f"sdc inventory: address {preference!r} is neither primary, external, internal "
                    f"nor a CIDR block ({exc})"
                ) from exc

    def fits(preference: str, address: Address, primary: Address | None) -> bool:
        if preference == "primary":
            return address == primary
        if preference in blocks:
            return address in blocks[preference]
        return _is_private(address) == (preference == "internal")

    def choose(machine: Mapping[str, Any]) -> str | None:
        primary = _address(machine.get("primaryIp"))
        listed = [_address(ip) for ip in machine.get("ips") or []]
        addresses = [a for a in (primary, *listed) if a is not None]
        for preference in preferences:
            for address in addresses:
                if fits(preference, address, primary):
                    return str(address)
        return None

    return choose
