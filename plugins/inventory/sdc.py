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
  - A machine's host is called like the machine. Machines that share a name, in one data center or
    several, become C(NAME-SHORTID), and members of a group C(NAME). So does, without the group, a
    machine that is called like a group, like C(localhost), or like a host of another inventory file
    that has an address of its own. A warning names them. This holds among all inventory files of
    this plugin, in any order; of other plugins' files, only those that come first are known.
  - A machine that two sources or files lead to is one host.
  - Groups that O(groups) and O(keyed_groups) would call like a host, C(all), C(ungrouped) or
    C(localhost) are left out, with a warning.
  - What a file says in vain is an error, such as an option that is unknown, a state in which no
    machine is listed, or a template where none is evaluated.
  - Tags C(tritoncli.ssh.ip), C(tritoncli.ssh.port), C(tritoncli.ssh.proxy) and
    C(tritoncli.ssh.proxyuser) are honoured as the C(triton) command does. What cannot be the name
    or the port of a host is passed over with a warning.
  - What a machine says of itself becomes C(sdc_id), C(sdc_name), C(sdc_state), C(sdc_brand),
    C(sdc_package), C(sdc_image), C(sdc_memory) and C(sdc_disk) (MiB), C(sdc_ips), C(sdc_networks),
    C(sdc_primary_ip), C(sdc_created), C(sdc_updated), C(sdc_compute_node) and
    C(sdc_firewall_enabled); C(sdc_tags) holds all tags, C(sdc_internal_ips) and
    C(sdc_external_ips) the addresses in and outside of private address space (those of RFC 6598 are
    internal beside a global one), and C(sdc_datacenter) the name of the profile or data center.
    Nothing of it is ever a template.
  - How a machine is reached becomes C(ansible_host), C(ansible_port), C(ansible_user),
    C(ansible_ssh_common_args) and C(ansible_python_interpreter). Metadata, which may be secret, are
    neither variables nor in the cache.
  - C(ssh) is told to offer the key that signs for CloudAPI, and no other of the agent. A key that
    is in the agent only is named by its public half, which is kept beside O(known_hosts).
  - C(sdc_ssh), a variable of all hosts, has O(address), O(jump_host), O(ssh_config), O(ssh_user)
    and O(known_hosts), for tasks that connect to machines before they are in the inventory.
  - Empty, with a warning, when no data center is configured and the embedded one does not run.
  - When the data center cannot be asked, the file is not read, and the variable
    C(sdc_inventory_error) of all hosts says why. The playbooks of this repository stop then.
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
        embedded one has). A C(Port) in it counts; without such a file it is 22, whatever
        C(~/.ssh/config) says, but for machines with the tag C(tritoncli.ssh.port).
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
import itertools
import json
import time
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.inventory.group import Group, to_safe_group_name
from ansible.inventory.host import Host
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.vars import combine_vars, load_extra_vars
from jinja2 import Environment, TemplateSyntaxError

SMARTDC_MISSING = False
try:
    from smartdc import (
        addresses,
        config,
        errors,
        filters,
        hostnames,
        hosts,
        inventoryfile,
        pools,
        ssh,
    )
except ImportError:
    SMARTDC_MISSING = True

DATA_VERSION = 5
"""Part of the cache key: raised whenever the cached data change their shape."""

ROUNDS = 4
"""How often hosts are named anew because groups came to be called like them."""

PLACE = {"ansible_host", "ansible_ssh_host", "ansible_connection"}
"""Variables that say where a host is."""

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
        given = self._read_config_data(path)
        if SMARTDC_MISSING:
            raise AnsibleParserError(
                "the inventory plugin needs the Python package smartdc of this repository; "
                "run 'pip install -e .' with the Python that runs Ansible"
            )
        self._check(given)
        self.cache_timeout = self.get_option("cache_timeout")
        if self.get_option("cache") and self.get_option("cache_stale_on_error"):
            # the plugin would drop what is old, so its age is judged here
            self.set_option("cache_timeout", 0)
            self.load_cache_plugin()
        try:
            self._populate(path, list(self._centers(path, cache)))
        except errors.SmartDCError as exc:
            # Ansible goes on with what it has; cluster_machines, which all playbooks ask, does not
            self.inventory.set_variable("all", "sdc_inventory_error", str(exc))
            raise AnsibleParserError(f"sdc inventory: {exc}") from exc

    def _check(self, given: Mapping[str, Any]) -> None:
        """Refuse what the file says in vain."""
        try:
            inventoryfile.check(given, self.option_definitions, ACCESS)
        except errors.UsageError as exc:
            raise AnsibleParserError(f"sdc inventory: {exc}") from exc
        for name in ("compose", "groups"):
            for key, expression in (given.get(name) or {}).items():
                if not (name == "groups" and isinstance(expression, bool)):
                    _check_expression(f"{name}: {key}", expression)
        for entry in given.get("keyed_groups") or ():
            _check_expression("keyed_groups: key", entry["key"])

    # --- data ------------------------------------------------------------------------------

    def _sources(self) -> list[dict[str, Any]]:
        """The access options of each data center."""
        own = {name: self.get_option(name) for name in ACCESS}
        sources = [{**own, **source} for source in self.get_option("sources") or [{}]]
        for source in sources:
            if source["insecure"] is not None:
                source["insecure"] = boolean(source["insecure"])
        return sources

    def _centers(self, path: str, use_cache: bool) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Settings of each data center, and what it said."""
        home = config.embedded_home([Path.cwd(), _base_directory(Path(path))])
        for access in self._sources():
            try:
                settings = config.resolve(**access, cwd=home)
            except errors.NoDataCenter as exc:
                self._tell_of_none(f"sdc inventory: no machines, because {exc}")
            else:
                yield settings, self._data(path, use_cache, settings)

    def _tell_of_none(self, message: str) -> None:
        playbooks = context.CLIARGS.get("args") or ()
        if any(Path(playbook).name == "site.yml" for playbook in playbooks):
            # which starts a data center
            self.display.vv(message)
        else:
            self.display.warning(message)

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
        found: dict[str, Any] = {}
        for center in centers:
            for host in self._hosts(*center, known_hosts):
                # two sources may lead to the same account
                found.setdefault(host.machine["id"], host)
        if found:
            known_hosts.parent.mkdir(parents=True, exist_ok=True)
        known = _Known.of(self.inventory)
        names, made = self._names(found, known)
        self._warn(names)
        known.drop_twins(self.inventory, names)
        known.rename(self.inventory, names)
        for ident, name in names.hosts.items():
            if ident in found:
                self._add(name, found[ident])
                known.machines[ident] = found[ident].machine
                if ident in made:
                    self._add_constructed(name, made[ident])
        known.put_twins(self.inventory, names)

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

    # --- names -----------------------------------------------------------------------------

    def _names(
        self, found: Mapping[str, Any], known: _Known
    ) -> tuple[hostnames.Names, dict[str, _Constructed]]:
        """The names of all machines, and what `compose`, `groups` and `keyed_groups` make of each.

        A name may depend on what groups there are, and these on names: what a few rounds do not
        settle is left out.
        """
        machines = [host.machine for host in found.values()]
        machines += [machine for ident, machine in known.machines.items() if ident not in found]
        strangers = known.strangers(self.inventory)
        groups = set(self.inventory.groups) - set(known.twins)
        groups.update(group for host in found.values() for group in host.groups)
        made: dict[str, _Constructed] = {}
        if not any(self.get_option(option) for option in inventoryfile.EVALUATED):
            return hostnames.assign(machines, groups, strangers), made
        for _ in range(ROUNDS):
            names = hostnames.assign(machines, groups, strangers)
            for ident, host in found.items():
                if ident not in made or made[ident].host.name != names.hosts[ident]:
                    present = known.names.get(ident, names.hosts[ident])
                    own = [*host.groups, *names.groups(ident)]
                    made[ident] = _Constructed(
                        names.hosts[ident], own, host.variables, self.inventory.hosts.get(present)
                    )
                    self._construct(made[ident], host.variables)
            more = set().union(*(result.groups for result in made.values())) - groups
            clashes = more & {*names.hosts.values(), *names.twins}
            groups |= more
            if not clashes:
                break
        for result in made.values():
            result.leave_out(clashes)
        return names, made

    def _construct(self, result: _Constructed, variables: dict[str, Any]) -> None:
        """Let Ansible do to `result` what it would do to the inventory."""
        name, strict = result.name, self.get_option("strict")
        inventory, self.inventory = self.inventory, result
        try:
            self._set_composite_vars(self.get_option("compose"), variables, name, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict)
            for entry in self.get_option("keyed_groups"):
                try:
                    self._add_host_to_keyed_groups([entry], variables, name, strict)
                except AnsibleError as exc:
                    if strict:
                        raise
                    # such as a number for a key, which one machine's tag may be: it must not cost
                    # the whole inventory
                    self.display.warning(f"sdc inventory: {name}: keyed_groups: {exc}")
        finally:
            self.inventory = inventory

    def _warn(self, names: hostnames.Names) -> None:
        for reason, affected in names.conflicts.items():
            shown = ", ".join(affected[:5]) + (", …" if len(affected) > 5 else "")
            self.display.warning(f"sdc inventory: {reason}; as hosts: {shown}")

    def _add(self, name: str, host: Any) -> None:
        self.inventory.add_host(name)
        record = self.inventory.hosts[name]
        # at once: set_variable would copy and mark each value, in half of the time of the plugin;
        # what comes from JSON is not trusted as a template anyhow
        record.vars = combine_vars(record.vars, host.variables)
        for group in host.groups:
            if group not in self.inventory.groups:
                self.inventory.add_group(group)
            self.inventory.add_child(group, name)

    def _add_constructed(self, name: str, result: _Constructed) -> None:
        for variable, value in result.variables.items():
            self.inventory.set_variable(name, variable, value)
        for group in result.groups:
            self.inventory.add_group(group)
        for group in result.memberships:
            self.inventory.add_child(group, name)
        for parent, group in result.parents:
            try:
                self.inventory.add_child(parent, group)
            except AnsibleError as exc:
                self.display.warning(f"sdc inventory: group {group} is not in {parent}: {exc}")
        if result.left_out:
            left_out = ", ".join(sorted(result.left_out))
            self.display.warning(
                f"sdc inventory: {name} is in no group that keyed_groups or groups call {left_out}"
            )


class _Name(str):
    """The name of the host itself, where a group may be called alike."""

    __slots__ = ()


class _Constructed:
    """What Ansible's constructed features do to an inventory, written down for one host.

    They would look the host up by its name, and might find a group.
    """

    def __init__(
        self, name: str, groups: list[str], variables: dict[str, Any], present: Host | None
    ) -> None:
        self.host = Host(name, gen_uuid=False)
        self.name = _Name(name)
        self.host.vars = combine_vars(present.vars if present else {}, variables)
        self.host.groups = [*map(Group, groups), *(present.groups if present else ())]
        self.variables: dict[str, Any] = {}
        self.groups: list[str] = []
        self.memberships: list[str] = []
        self.parents: list[tuple[str, str]] = []
        self.left_out: set[str] = set()

    def get_host(self, name: str) -> Host:
        return self.host

    def set_variable(self, name: str, variable: str, value: Any) -> None:
        self.host.set_variable(variable, value)
        self.variables[variable] = value

    def add_group(self, name: str) -> str:
        if not name or not isinstance(name, str):
            raise AnsibleError(f"{name!r} is no name for a group")
        safe: str = to_safe_group_name(name)
        if safe not in self.groups:
            self.groups.append(safe)
        return safe

    def add_host(self, name: str, group: str | None = None, port: Any = None) -> str:
        if group and group not in self.memberships:
            self.memberships.append(group)
            self.host.groups.append(Group(group))
        return name

    def add_child(self, group: str, child: str) -> None:
        if isinstance(child, _Name):
            self.add_host(child, group)
        elif (group, child) not in self.parents:
            self.parents.append((group, child))

    def leave_out(self, clashes: Collection[str]) -> None:
        """Drop groups that are called like a host, or like what means something else to Ansible."""
        self.parents = [pair for pair in self.parents if pair[0] not in ("all", pair[1])]
        named = {*self.memberships, *itertools.chain(*self.parents)}
        self.left_out = {*clashes, *hostnames.RESERVED} & named
        self.groups = [group for group in self.groups if group in named - self.left_out]
        self.memberships = [group for group in self.memberships if group not in self.left_out]
        self.parents = [pair for pair in self.parents if not self.left_out & set(pair)]


@dataclass
class _Known:
    """What this plugin has put into an inventory so far, from this file and others."""

    machines: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Machine id -> host."""
    twins: dict[str, list[str]] = field(default_factory=dict)
    """Groups of machines that share a name -> their ids."""

    @staticmethod
    def of(inventory: InventoryData) -> _Known:
        return _KNOWN.setdefault(inventory.groups["all"], _Known())

    def strangers(self, inventory: InventoryData) -> set[str]:
        """Hosts from elsewhere that have an address of their own.

        One without is somebody's words about a machine, such as a group that it is in.
        """
        others = set(inventory.hosts) - set(self.names.values())
        return {name for name in others if PLACE & set(inventory.hosts[name].vars)}

    def rename(self, inventory: InventoryData, names: hostnames.Names) -> None:
        """Give machines of earlier files the names that they have beside those of this one."""
        before = {i: name for i, name in self.names.items() if names.hosts[i] != name}
        moved: list[tuple[str, Host, list[str]]] = []
        for ident, name in before.items():
            host = inventory.hosts[name]
            groups = [group.name for group in inventory.groups.values() if host in group.hosts]
            inventory.remove_host(host)
            moved.append((names.hosts[ident], host, groups))
        for name, host, groups in moved:
            host.name = host.address = name
            inventory.hosts[name] = host
            for group in groups:
                inventory.add_child(group, name)
        self.names.update(names.hosts)

    def drop_twins(self, inventory: InventoryData, names: hostnames.Names) -> None:
        """Undo groups of machines that shared a name, where it turned out to mean more."""
        for name in set(self.twins) - set(names.twins):
            group = inventory.groups[name]
            for ident in self.twins[name]:
                group.remove_host(inventory.hosts[self.names[ident]])
            if not group.hosts and not group.child_groups:
                inventory.remove_group(group)

    def put_twins(self, inventory: InventoryData, names: hostnames.Names) -> None:
        """Put machines that share a name into a group of that name."""
        for group, idents in names.twins.items():
            inventory.add_group(group)
            for ident in idents:
                inventory.add_child(group, names.hosts[ident])
        self.twins = dict(names.twins)


_KNOWN: weakref.WeakKeyDictionary[Group, _Known] = weakref.WeakKeyDictionary()
"""By the group `all`: an inventory itself is handed over in a new wrapper each time."""


def _check_expression(option: str, expression: Any) -> None:
    """Refuse what is no expression: it would be passed over for each host in silence."""
    advice = "write an expression of Jinja without {{ }}, and a plain word in two kinds of quotes"
    if not isinstance(expression, str):
        raise AnsibleParserError(f"sdc inventory: {option}: {expression!r} is no text; {advice}")
    try:
        Environment().parse(f"{{{{ ({expression}\n) }}}}")
    except TemplateSyntaxError as exc:
        raise AnsibleParserError(
            f"sdc inventory: {option}: {expression!r}: {exc.message}; {advice}"
        ) from exc


def _base_directory(inventory_file: Path) -> Path:
    """The directory of the repository: above `inventory/`, else where the file lies."""
    directory = inventory_file.absolute().parent
    return directory.parent if directory.name == "inventory" else directory
