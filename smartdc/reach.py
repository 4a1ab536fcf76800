"""By which address and through which hop machines are reached over SSH."""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .keys import md5_of, public_line

if TYPE_CHECKING:
    from .auth import Signer

Record = Mapping[str, Any]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOST = re.compile(r"[A-Za-z0-9_:.\[][A-Za-z0-9_:.%\[\]-]*")
WORDS = ("primary", "external", "internal")
PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


@functools.cache
def address(text: str | None) -> Address | None:
    """An address, or None for what is none, such as ``dhcp``."""
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None


@functools.cache
def is_private(ip: Address) -> bool:
    """Whether an address lies in private address space (RFC 1918, 6598, 4193)."""
    return any(ip in block for block in PRIVATE if block.version == ip.version)


def addresses(machine: Record) -> list[Address]:
    """A machine's addresses, the primary one first; ``dhcp`` left out."""
    texts = [machine.get("primaryIp"), *(machine.get("ips") or [])]
    return list(dict.fromkeys(ip for ip in map(address, texts) if ip is not None))


def is_block(text: str) -> bool:
    """Whether a preference is a CIDR block."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def network_names(preferences: Iterable[str]) -> list[str]:
    """The preferences that are names or ids of networks."""
    return [p for p in preferences if p not in WORDS and not is_block(p)]


def chooser(
    preferences: Sequence[str], networks: Mapping[str, str]
) -> Callable[[Record], str | None]:
    """A function that gives a machine's address.

    :param preferences: in order: ``primary``, ``external``, ``internal``, CIDR blocks, and names
        or ids of networks
    :param networks: id -> name of the account's networks
    :raises UsageError: there is no such network
    """
    tests = [_test(preference, networks) for preference in preferences]

    def choose(machine: Record) -> str | None:
        known = addresses(machine)
        for test in tests:
            for ip in known:
                if test(machine, ip):
                    return str(ip)
        return None

    return choose


def _test(preference: str, networks: Mapping[str, str]) -> Callable[[Record, Address], bool]:
    if preference == "primary":
        return lambda machine, ip: ip == address(machine.get("primaryIp"))
    if preference in WORDS:
        return lambda _, ip: is_private(ip) == (preference == "internal")
    if is_block(preference):
        block = ipaddress.ip_network(preference)
        return lambda _, ip: ip in block
    ids = {ident for ident, name in networks.items() if preference in (ident, name)}
    if not ids:
        raise UsageError(
            f"address {preference!r} is neither primary, external, internal, a CIDR block nor a "
            "network of the account",
            hint=f"networks: {', '.join(sorted(set(networks.values()))) or 'none'}",
        )

    def in_network(machine: Record, ip: Address) -> bool:
        nics = machine.get("nics") or ()
        return any(n.get("network") in ids and address(n.get("ip")) == ip for n in nics)

    return in_network


@dataclass(frozen=True)
class Hop:
    """A machine or host through which others are reached; ``ident`` if it is a machine."""

    host: str
    user: str | None = None
    port: int | None = None
    ident: str | None = None


class Jumps:
    """Finds the hop of each machine: tag ``tritoncli.ssh.proxy``, else the default.

    As the ``triton`` command does it (node-triton, lib/do_instance/do_ssh.js): the tag names
    another machine by id, name or short id; ``tritoncli.ssh.proxyuser`` is the user there, and
    ``tritoncli.ssh.ip`` and ``.port`` of that machine are how it is reached itself.

    :param default: ``[user@]machine or host[:port]`` for machines without the tag
    """

    def __init__(
        self,
        machines: Sequence[Record],
        choose: Callable[[Record], str | None],
        default: str | None = None,
    ) -> None:
        self.choose = choose
        self.known: dict[str, Record] = {}
        for key, length in (("id", None), ("name", None), ("id", 8)):
            for machine in machines:
                self.known.setdefault(str(machine.get(key))[:length], machine)
        user, _, rest = (default or "").rpartition("@")
        host, _, port = rest.partition(":")
        if (port and not port.isdecimal()) or (default and not is_host(host)):
            raise UsageError(f"jump host {default!r} is not [user@]host[:port]")
        self.default = self._hop(host, user or None, int(port) if port else None) if host else None

    def of(self, machine: Record) -> Hop | None:
        """The hop of a machine; None when it is reached directly."""
        tags = machine.get("tags") or {}
        proxy = _host_tag(tags, "proxy")
        if proxy:
            user = tags.get("tritoncli.ssh.proxyuser")
            hop: Hop | None = self._hop(proxy, None if user is None else str(user), None)
        else:
            hop = self.default
        return None if hop is None or hop.ident == machine["id"] else hop

    def _hop(self, host: str, user: str | None, port: int | None) -> Hop:
        machine = self.known.get(host)
        if machine is None:
            return Hop(host, user, port)
        reached = direct(machine)
        return Hop(
            reached.host or self.choose(machine) or host,
            user or "root",
            port or reached.port,
            str(machine["id"]),
        )


def is_host(text: str) -> bool:
    """Whether a text can only be a host's name or address, and no option of ``ssh``."""
    return bool(_HOST.fullmatch(text))


def _host_tag(tags: Record, name: str) -> str:
    text = str(tags.get(f"tritoncli.ssh.{name}") or "")
    return text if is_host(text) else ""


def direct(machine: Record) -> Hop:
    """What the tags ``tritoncli.ssh.ip`` and ``.port`` say; host empty without them."""
    tags = machine.get("tags") or {}
    port = str(tags.get("tritoncli.ssh.port", ""))
    usable = port.isdecimal() and 0 < int(port) < 65536
    return Hop(host=_host_tag(tags, "ip"), port=int(port) if usable else None)


def unusable_tags(machine: Record) -> list[str]:
    """The ``tritoncli.ssh`` tags of a machine that are passed over for what they hold."""
    tags = machine.get("tags") or {}
    hosts = [f"tritoncli.ssh.{name}" for name in ("ip", "proxy")]
    found = [name for name in hosts if tags.get(name) and not is_host(str(tags[name]))]
    if tags.get("tritoncli.ssh.port") and direct(machine).port is None:
        found.append("tritoncli.ssh.port")
    return found


@dataclass(frozen=True)
class Way:
    """How SSH gets to a machine."""

    host: str | None
    port: int | None
    arguments: str
    """Options of ``ssh``, quoted as for a shell."""


@dataclass(frozen=True)
class Key:
    """The key that signs for CloudAPI, which is the one that opens machines.

    file: its private half; None when that is in the agent only
    public: its public half, as a ``.pub`` file has it
    """

    file: str | None
    public: str

    @classmethod
    def of(cls, signer: Signer) -> Key:
        """The key of a client that has made its first request (until then it may be another)."""
        return cls(str(signer.file) if signer.file else None, public_line(signer.blob))

    @property
    def name(self) -> str:
        """What a user knows it by: its file or the agent, and its fingerprint."""
        blob = base64.b64decode(self.public.split()[1])
        return f"{self.file or 'a key of ssh-agent'} ({md5_of(blob)})"

    def options(self, directory: Path) -> list[str]:
        """Options of ``ssh`` that make it offer this key first, and no other of the agent.

        An agent's key is named by its public half (ssh_config(5), IdentityFile), which is written
        below ``directory``.  An agent with many keys is cut off after six of them (sshd_config(5),
        MaxAuthTries).
        """
        found = ["-o", "IdentitiesOnly=yes"]
        if self.file:
            return [*found, "-o", f"IdentityFile={option_path(self.file)}"]
        digest = hashlib.sha256(self.public.encode()).hexdigest()[:16]
        path = directory / f"{digest}.pub"
        if not path.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_suffix(f".{os.getpid()}")
            new.write_text(f"{self.public}\n", encoding="ascii")
            new.replace(path)
        agent = ["-o", "IdentityAgent=SSH_AUTH_SOCK"]
        return [*found, *agent, "-o", f"IdentityFile={option_path(str(path))}"]


def option_path(path: str) -> str:
    """A file's name as the value of an option of ``ssh``."""
    text = path.replace("%", "%%")
    return f'"{text}"' if re.search(r"\s", text) else text


class Ways:
    """Finds the way to each machine of a data center.

    :param machines: where hops are looked for
    :param networks: id -> name of the account's networks, if ``address`` names any
    :param key: what opens the machines; None for whatever ``ssh`` has
    :param known_hosts: file for the host keys, which are kept under the machines' ids
    :param address: preferences as in :func:`chooser`
    :param jump_host: hop for machines without a tag, as in :class:`Jumps`
    :param ssh_config: configuration file for ``ssh``
    :raises UsageError: no such network, or not a hop
    """

    def __init__(
        self,
        machines: Sequence[Record],
        networks: Mapping[str, str],
        key: Key | None,
        known_hosts: Path,
        *,
        address: Sequence[str] = WORDS,
        jump_host: str | None = None,
        ssh_config: str | None = None,
    ) -> None:
        self.choose = chooser(address, networks)
        self.jumps = Jumps(machines, self.choose, jump_host)
        common = [
            *(["-F", ssh_config] if ssh_config else []),
            *("-o", f"UserKnownHostsFile={option_path(str(known_hosts))}"),
            *("-o", "StrictHostKeyChecking=accept-new"),
        ]
        # a host that is no machine of the account has keys of its own
        self._host_arguments = shlex.join(common)
        offered = key.options(known_hosts.parent / "keys") if key else []
        self._machine_arguments = shlex.join([*common, *offered])
        self._proxies: dict[Hop, str] = {}

    def to(self, machine: Record) -> Way:
        """The way to a machine; its host is None when it has no address yet."""
        own = direct(machine)
        arguments = self._arguments(str(machine["id"]))
        hop = self.jumps.of(machine)
        if hop:
            if hop not in self._proxies:
                # a ProxyCommand of a configuration file may pass a descriptor; ours does not
                words = ["-o", "ProxyUseFdpass=no", "-o", self._proxy_command(hop)]
                self._proxies[hop] = shlex.join(words)
            arguments += " " + self._proxies[hop]
        return Way(own.host or self.choose(machine), own.port, arguments)

    def _arguments(self, ident: str | None) -> str:
        if ident is None:
            return self._host_arguments
        alias = f"HostKeyAlias={ident}"
        return f"-o {shlex.quote(alias)} {self._machine_arguments}"

    def _proxy_command(self, hop: Hop) -> str:
        """The way through another machine; ssh's own -J would know nothing of its host key."""
        command = ["ssh", *shlex.split(self._arguments(hop.ident))]
        command += ["-l", hop.user] if hop.user else []
        command += ["-p", str(hop.port)] if hop.port else []
        # ssh replaces %h and %p; a percent sign of ours has to be doubled
        words = [word.replace("%", "%%") for word in command]
        host = shlex.quote(hop.host.replace("%", "%%"))
        return f"ProxyCommand={shlex.join(words)} -W %h:%p -- {host}"
