# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible inventory plugin: the machines of a SmartDataCenter / Triton account."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sdc
short_description: Machines of a SmartDataCenter (Triton) account
description:
  - Lists the machines of an account through CloudAPI, with one list request per 1,000 of them.
  - Groups and host variables are built in Python; O(compose), O(groups) and O(keyed_groups) work on
    top for those who want more.
  - Machines that share a name become C(NAME-SHORTID), and members of a group C(NAME). A machine
    that is called like a group, or C(localhost), becomes C(NAME-SHORTID) too. One that two sources
    lead to is listed once.
  - Tags C(tritoncli.ssh.ip), C(tritoncli.ssh.port), C(tritoncli.ssh.proxy) and
    C(tritoncli.ssh.proxyuser) are honoured as the C(triton) command does. What cannot be the name
    or the port of a host is passed over with a warning.
  - What a machine says of itself becomes C(sdc_id), C(sdc_name), C(sdc_state), C(sdc_brand),
    C(sdc_package), C(sdc_image), C(sdc_memory) and C(sdc_disk) (MiB), C(sdc_ips), C(sdc_networks),
    C(sdc_primary_ip), C(sdc_created), C(sdc_updated), C(sdc_compute_node) and
    C(sdc_firewall_enabled); C(sdc_tags) holds all tags, C(sdc_internal_ips) and
    C(sdc_external_ips) the addresses in and outside of private address space, and
    C(sdc_datacenter) the name of the profile or data center. Nothing of it is ever a template.
  - How a machine is reached becomes C(ansible_host), C(ansible_port), C(ansible_user),
    C(ansible_ssh_common_args) and C(ansible_python_interpreter). Metadata, which may be secret, are
    neither variables nor in the cache.
  - C(ssh) is told to offer the key that signs for CloudAPI, and no other of the agent. A key that
    is in the agent only is named by its public half, which is kept beside O(known_hosts).
  - C(sdc_ssh), a variable of all hosts, has O(address), O(jump_host), O(ssh_config), O(ssh_user)
    and O(known_hosts), for tasks that connect to machines before they are in the inventory.
  - Empty and quiet when no data center is configured and the embedded one does not run.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
extends_documentation_fragment: [sdc, constructed, inventory_cache]
options:
  plugin:
    description:
      - Marks the file as one for this plugin.
    type: str
    required: true
    choices: [sdc]
  sources:
    description:
      - Several data centers, accounts or profiles. Each entry takes the access options of this
        plugin, such as C(profile) or C(url) and C(account); what it leaves out comes from the
        option of the same name.
    type: list
    elements: dict
    default: []
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
  include:
    description:
      - Only machines that one of these filters fits. A filter maps properties (C(name), C(id),
        C(state), C(package), C(brand), C(image), C(network), C(tag.NAME)) to a shell pattern or a
        list of them, and fits when all of its properties do.
    type: list
    elements: dict
    default: []
  exclude:
    description:
      - No machines that one of these filters fits; written as in O(include).
    type: list
    elements: dict
    default: []
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
        space. CIDR blocks and names or ids of networks (one more request) are accepted as well.
        A machine in a pool of networks is found by the pool, whose member it shows in
        C(sdc_networks); where several pools come into question, there is a warning, and it counts
        for none. That holds for filters and groups, too.
        Addresses that are C(dhcp) are passed over.
    type: list
    elements: str
    default: [primary, external, internal]
  jump_host:
    description:
      - Machine or host, as C([user@]name[:port]), through which machines are reached that have no
        tag C(tritoncli.ssh.proxy). C(-e jump_host=...) wins over it.
    type: str
  cache_stale_on_error:
    description:
      - With O(cache), take what was cached, however old, and warn, when the data center cannot be
        asked. Needs a cache plugin that keeps files, such as C(jsonfile).
    type: bool
    default: false
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
---
# one cluster only, and more groups
plugin: sdc
selector: {cluster: ipython}
group_by: [cluster, role, package]
---
# running and stopped machines of a cluster or with hot=true, but no tests, and no small ones
# that are stopped: a filter fits when all that it says does, and one that fits is enough
plugin: sdc
states: [running, stopped]
include: [{"tag.cluster": "*"}, {"tag.hot": true}]
exclude: [{name: ["test-*", "*-tmp"]}, {package: sample-512M, state: stopped}]
---
# by their addresses on a network, else on a subnet, and through a jump host (a machine of the
# account, or any host) where the tag tritoncli.ssh.proxy does not name one
plugin: sdc
address: [my-fabric, 10.99.0.0/16, internal]
jump_host: root@gateway
---
# two profiles of the triton command and a data center without one; sdc_datacenter tells which
plugin: sdc
sources:
  - profile: east
  - profile: west
  - {url: "https://cloudapi.example.com", account: acme, key_id: "aa:bb:...", insecure: true}
group_by: [cluster, role, datacenter]
---
# kept for an hour; later when the data center cannot be asked. ansible-inventory --flush-cache
# asks again. The cache plugin has to be named: that of Ansible's settings forgets.
plugin: sdc
cache: true
cache_plugin: jsonfile
cache_connection: .ansible/inventory
cache_timeout: 3600
cache_stale_on_error: true
---
# the embedded data center of another directory: ssh reaches its machines by its ssh_route
plugin: sdc
url: http://127.0.0.1:8080
account: localdc
key_id: "aa:bb:..."
key_file: /home/me/other/.localdc/keys/id_rsa
ssh_config: /home/me/other/.localdc/ssh_route
---
# groups and variables in Ansible's own way; slow with thousands of machines
plugin: sdc
compose: {rack: "sdc_compute_node[:8]"}
groups: {big: sdc_memory >= 4096}
keyed_groups: [{key: sdc_tags.release, prefix: release}]
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.vars import combine_vars, load_extra_vars

SMARTDC_MISSING = False
try:
    from smartdc import addresses, config, errors, filters, hosts, pools, ssh
except ImportError:
    SMARTDC_MISSING = True

DATA_VERSION = 5
"""Part of the cache key: raised whenever the cached data change their shape."""

ACCESS = ("profile", "url", "account", "user", "key_id", "key_file", "insecure")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Adds the machines of an account to the inventory."""

    NAME = "sdc"
    # set by the base class's parse()
    inventory: InventoryData
    loader: DataLoader

    def verify_file(self, path: str) -> bool:
        """Take files called `sdc.yml` or `NAME.sdc.yml`."""
        return bool(super().verify_file(path)) and path.endswith(("sdc.yml", "sdc.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory from the file's settings."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        if SMARTDC_MISSING:
            raise AnsibleParserError(
                "the inventory plugin needs the Python package smartdc of this repository; "
                "run 'pip install -e .' with the Python that runs Ansible"
            )
        self.cache_timeout = self.get_option("cache_timeout")
        if self.get_option("cache") and self.get_option("cache_stale_on_error"):
            # the plugin would drop what is old, so its age is judged here
            self.set_option("cache_timeout", 0)
            self.load_cache_plugin()
        try:
            self._populate(path, list(self._centers(path, cache)))
        except errors.SmartDCError as exc:
            raise AnsibleParserError(f"sdc inventory: {exc}") from exc

    # --- data ------------------------------------------------------------------------------

    def _sources(self) -> list[dict[str, Any]]:
        """The access options of each data center."""
        own = {name: self.get_option(name) for name in ACCESS}
        sources = self.get_option("sources") or [{}]
        for source in sources:
            if set(source) - set(ACCESS):
                raise AnsibleParserError(f"sdc inventory: sources take {', '.join(ACCESS)} only")
        return [{**own, **source} for source in sources]

    def _centers(self, path: str, use_cache: bool) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Settings of each data center, and what it said."""
        home = config.embedded_home([Path.cwd(), _base_directory(Path(path))])
        for access in self._sources():
            try:
                settings = config.resolve(**access, cwd=home)
            except errors.NoDataCenter as exc:
                self.display.vv(f"sdc inventory: {exc}")
            else:
                yield settings, self._data(path, use_cache, settings)

    def _data(self, path: str, use_cache: bool, settings: Any) -> dict[str, Any]:
        """What one data center said, or the cache if it may be used."""
        if not self.get_option("cache"):
            return self._fetch(settings)
        key = self._cache_key(path, settings)
        cached = self._cached(key)
        if use_cache and cached and not self._is_old(cached):
            return cached
        try:
            data = self._fetch(settings)
        except errors.RequestError as exc:
            if not cached or not self.get_option("cache_stale_on_error"):
                raise
            age = int(time.time() - cached["fetched"])
            self.display.warning(f"sdc inventory: machines as they were {age} s ago, for {exc}")
            return cached
        # as one text: Ansible would look at each of the values, at great length
        self._cache[key] = json.dumps(data)
        return data

    def _cached(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._cache[key])
        except (KeyError, TypeError, ValueError):
            return None
        return found

    def _is_old(self, cached: Mapping[str, Any]) -> bool:
        return bool(0 < (self.cache_timeout or 0) < time.time() - cached["fetched"])

    def _cache_key(self, path: str, settings: Any) -> str:
        """One key per account and wish; the path alone would mix accounts up."""
        what = [DATA_VERSION, settings.url, settings.account, settings.user]
        what += [settings.act_as, settings.roles]
        what += [self.get_option("selector"), sorted(self._extra_lists())]
        digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode())
        return f"{self.get_cache_key(path)}_{digest.hexdigest()[:16]}"

    def _extra_lists(self) -> set[str]:
        """What else has to be listed, for names in place of ids."""
        extra = {"image", "network"} & set(self.get_option("group_by"))
        for entry in (*self.get_option("include"), *self.get_option("exclude")):
            extra |= {"image", "network"} & set(entry)
        if addresses.network_names(self.get_option("address")):
            extra.add("network")
        return extra

    def _fetch(self, settings: Any) -> dict[str, Any]:
        extra = self._extra_lists()
        with settings.connect() as api:
            machines = api.list_machines(tags=self.get_option("selector") or None)
            images = api.list_images(state="all") if "image" in extra else []
            networks = api.list_networks() if "network" in extra else []
            known = pools.Pools(api, networks)
            of_pools = known.members(machines) if networks else {}
            doubts = known.unclear(machines) if networks else []
            key = ssh.LoginKey.of(api.auth.signer)
        return {
            "fetched": time.time(),
            "key": dataclasses.asdict(key),
            "machines": [hosts.kept(machine) for machine in machines],
            "images": {item["id"]: item["name"] for item in images},
            "networks": {item["id"]: item["name"] for item in networks},
            "pools": of_pools,
            "doubts": doubts,
        }

    # --- hosts and groups ------------------------------------------------------------------

    def _populate(self, path: str, centers: Iterable[tuple[Any, dict[str, Any]]]) -> None:
        known_hosts = Path(self.get_option("known_hosts")).expanduser()
        known_hosts = _base_directory(Path(path)) / known_hosts
        self._tell_ssh(known_hosts)
        found = [host for center in centers for host in self._hosts(*center, known_hosts)]
        if found:
            known_hosts.parent.mkdir(parents=True, exist_ok=True)
        for host in hosts.distinguish(found, self.inventory.groups):
            self._add(host)

    def _hosts(self, settings: Any, data: Mapping[str, Any], known_hosts: Path) -> Iterator[Any]:
        """The machines of one data center that pass the filters."""
        for doubt in data["doubts"]:
            self.display.warning(f"sdc inventory: {doubt}; it counts for none of them")
        names = data["images"], data["networks"], data["pools"]
        groups = hosts.grouping(self.get_option("group_by"), settings.name, *names)
        connection = self._connection(settings, data, known_hosts)
        fixed = {
            "ansible_user": self.get_option("ssh_user"),
            "ansible_python_interpreter": self.get_option("python_interpreter"),
            "sdc_datacenter": settings.name,
        }
        states = set(self.get_option("states"))
        passes = filters.matcher(self.get_option("include"), self.get_option("exclude"), *names)
        for machine in data["machines"]:
            if machine["state"] in states and passes(machine):
                variables = {**fixed, **hosts.variables(machine), **connection(machine)}
                yield hosts.Host(machine, groups(machine), variables)

    def _connection(self, settings: Any, data: Mapping[str, Any], known_hosts: Path) -> Any:
        """A function that gives the variables by which a machine is reached."""
        destinations = ssh.Destinations(
            data["machines"],
            data["networks"],
            ssh.LoginKey(**data["key"]),
            known_hosts,
            address=self.get_option("address"),
            jump_host=self._jump_host(),
            ssh_config=self.get_option("ssh_config") or settings.ssh_config,
            pool_of=lambda nic: data["pools"].get(nic.get("network")),
        )

        def connection(machine: Mapping[str, Any]) -> dict[str, Any]:
            for tag in ssh.unusable_tags(machine):
                value = machine["tags"][tag]
                self.display.warning(
                    f"sdc inventory: {machine['name']}: no use for {tag}={value!r}"
                )
            destination = destinations.of(machine)
            found = {
                "ansible_host": destination.host,
                "ansible_port": destination.port,
                "ansible_ssh_common_args": destination.options,
            }
            return {key: value for key, value in found.items() if value is not None}

        return connection

    def _jump_host(self) -> str | None:
        """The hop for all machines: what a run says (-e jump_host=) wins over the file."""
        said: str | None = load_extra_vars(self.loader).get("jump_host")
        return said or self.get_option("jump_host")

    def _tell_ssh(self, known_hosts: Path) -> None:
        """How machines are reached, for tasks that connect to some which are not hosts yet."""
        access = {
            "address": self.get_option("address"),
            "jump_host": self._jump_host() or "",
            "ssh_config": self.get_option("ssh_config") or "",
            "ssh_user": self.get_option("ssh_user"),
            "known_hosts": str(known_hosts),
        }
        self.inventory.set_variable("all", "sdc_ssh", access)

    def _add(self, host: Any) -> None:
        self.inventory.add_host(host.name)
        record = self.inventory.hosts[host.name]
        # at once: set_variable would copy and mark each value, in half of the time of the plugin;
        # what comes from JSON is not trusted as a template anyhow
        record.vars = combine_vars(record.vars, host.variables)
        for group in host.groups:
            if group not in self.inventory.groups:
                self.inventory.add_group(group)
            self.inventory.add_child(group, host.name)
        if any(self.get_option(option) for option in ("compose", "groups", "keyed_groups")):
            self._construct(host.name, host.variables)

    def _construct(self, host: str, variables: dict[str, Any]) -> None:
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)


def _base_directory(inventory_file: Path) -> Path:
    """The directory of the repository: above `inventory/`, else where the file lies."""
    directory = inventory_file.absolute().parent
    return directory.parent if directory.name == "inventory" else directory
