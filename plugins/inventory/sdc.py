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
  - Machines that share a name become C(NAME-SHORTID), and members of a group C(NAME).
  - Tags C(tritoncli.ssh.ip), C(tritoncli.ssh.port), C(tritoncli.ssh.proxy) and
    C(tritoncli.ssh.proxyuser) are honoured as the C(triton) command does.
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
        Addresses that are C(dhcp) are passed over.
    type: list
    elements: str
    default: [primary, external, internal]
  jump_host:
    description:
      - Machine or host, as C([user@]name[:port]), through which machines are reached that have no
        tag C(tritoncli.ssh.proxy).
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

# one cluster only, and more groups
# plugin: sdc
# selector: {cluster: ipython}
# group_by: [cluster, role, package]

# two data centers, kept for an hour, machines reached through "gateway"
# plugin: sdc
# sources: [{profile: east}, {profile: west}]
# include: [{"tag.cluster": "*"}]
# exclude: [{name: "test-*"}, {package: sample-512M, state: stopped}]
# address: [my-fabric, internal]
# jump_host: root@gateway
# cache: true
# cache_plugin: jsonfile
# cache_connection: .ansible/inventory
# cache_timeout: 3600
# cache_stale_on_error: true
"""

import hashlib
import json
import os
import re
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

try:
    from smartdc import config, errors, filters, reach
except ImportError:
    config = errors = filters = reach = None

DATA_VERSION = 2
"""Part of the cache key: raised whenever the cached data change their shape."""

ACCESS = ("profile", "url", "account", "user", "key_id", "key_file", "insecure")
COPIED = ("id", "name", "state", "brand", "package", "image", "memory", "disk", "ips", "networks")
ALSO_COPIED = ("created", "updated", "compute_node", "firewall_enabled")


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
        self.cache_timeout = self.get_option("cache_timeout")
        if self.get_option("cache") and self.get_option("cache_stale_on_error"):
            # the plugin would drop what is old, so its age is judged here
            self.set_option("cache_timeout", 0)
            self.load_cache_plugin()
        try:
            self._populate(path, [self._data(path, cache, source) for source in self._sources()])
        except errors.NoDataCenter as exc:
            self.display.vv(f"sdc inventory: {exc}")
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

    def _data(self, path: str, use_cache: bool, access: dict[str, Any]) -> dict[str, Any]:
        """What one data center said, or the cache if it may be used."""
        settings = config.resolve(**access, cwd=_state_parent(path))
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
        self._cache[key] = data
        return data

    def _cached(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._cache[key]
        except KeyError:
            return None
        return found

    def _is_old(self, cached: Mapping[str, Any]) -> bool:
        return 0 < (self.cache_timeout or 0) < time.time() - cached["fetched"]

    def _cache_key(self, path: str, settings: Any) -> str:
        """One key per account and wish; the path alone would mix accounts up."""
        what = [DATA_VERSION, settings.url, settings.account, settings.user]
        what += [self.get_option("selector"), sorted(self._extra_lists())]
        digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode())
        return f"{self.get_cache_key(path)}_{digest.hexdigest()[:16]}"

    def _extra_lists(self) -> set[str]:
        """What else has to be listed, for names in place of ids."""
        extra = {"image", "network"} & set(self.get_option("group_by"))
        for entry in (*self.get_option("include"), *self.get_option("exclude")):
            extra |= {"image", "network"} & set(entry)
        if reach.network_names(self.get_option("address")):
            extra.add("network")
        return extra

    def _fetch(self, settings: Any) -> dict[str, Any]:
        extra = self._extra_lists()
        with settings.connect() as api:
            data: dict[str, Any] = {
                "fetched": time.time(),
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

    def _populate(self, path: str, centers: Iterable[Mapping[str, Any]]) -> None:
        known_hosts = Path(self.get_option("known_hosts")).expanduser()
        known_hosts = _base_directory(Path(path)) / known_hosts
        chosen = [(data, self._chosen(data)) for data in centers]
        count = Counter(machine["name"] for _, machines in chosen for machine in machines)
        if count:
            known_hosts.parent.mkdir(parents=True, exist_ok=True)
        for data, machines in chosen:
            connection = self._connection(data, known_hosts)
            fixed = {
                "ansible_user": self.get_option("ssh_user"),
                "ansible_python_interpreter": self.get_option("python_interpreter"),
                "sdc_datacenter": data["datacenter"],
            }
            groups = self._grouping(data)
            for machine in sorted(machines, key=lambda m: (m["name"], m["id"])):
                host = machine["name"]
                if count[host] > 1:
                    host = f"{host}-{machine['id'][:8]}"
                variables = {**fixed, **_host_variables(machine), **connection(machine)}
                self._add(host, machine["name"], variables, groups(machine))

    def _chosen(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        states = set(self.get_option("states"))
        passes = filters.matcher(
            self.get_option("include"), self.get_option("exclude"), data["images"], data["networks"]
        )
        return [m for m in data["machines"] if m.get("state") in states and passes(m)]

    def _connection(self, data: Mapping[str, Any], known_hosts: Path) -> Any:
        """A function that gives the variables by which a machine is reached."""
        choose = reach.chooser(self.get_option("address"), data["networks"])
        jumps = reach.Jumps(data["machines"], choose, self.get_option("jump_host"))
        ssh_config = self.get_option("ssh_config") or data["ssh_config"]

        def connection(machine: Mapping[str, Any]) -> dict[str, Any]:
            own = reach.direct(machine)
            arguments = reach.ssh_arguments(machine["id"], ssh_config, known_hosts)
            hop = jumps.of(machine)
            if hop:
                arguments += ["-o", reach.proxy_command(hop, ssh_config, known_hosts)]
            return {
                "ansible_host": own.host or choose(machine),
                "ansible_port": own.port,
                "sdc_ssh_args": arguments,
                "ansible_ssh_common_args": shlex.join(arguments),
            }

        return connection

    def _add(self, host: str, name: str, variables: dict[str, Any], groups: Iterable[str]) -> None:
        self.inventory.add_host(host)
        for key, value in variables.items():
            if value is not None:
                self.inventory.set_variable(host, key, value)
        if host != name:
            groups = [safe(name), *groups]
        for group in groups:
            self.inventory.add_group(group)
            self.inventory.add_child(group, host)
        if any(self.get_option(option) for option in ("compose", "groups", "keyed_groups")):
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
    addresses = [ip for ip in map(reach.address, machine.get("ips") or []) if ip]
    variables["sdc_internal_ips"] = [str(ip) for ip in addresses if reach.is_private(ip)]
    variables["sdc_external_ips"] = [str(ip) for ip in addresses if not reach.is_private(ip)]
    return variables
