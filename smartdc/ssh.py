"""How machines are reached by ``ssh``: destination, jump host, login key, command."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .addresses import WORDS, chooser, no_pool
from .auth import Signer
from .errors import UsageError
from .keys import md5_of, public_line

Record = Mapping[str, Any]

KEEPALIVE = ("ServerAliveInterval=10", "ServerAliveCountMax=6")
"""Without an answer for a minute a connection is given up.

A deleted machine says no goodbye, and its connection must not be waited for; a tunnel, on the other
hand, has to outlive a laptop that changes its network.
"""
UNATTENDED = ("BatchMode=yes", "ConnectTimeout=10", *KEEPALIVE)
"""ssh_config(5): nobody is there to answer a question."""
_HOST = re.compile(r"[A-Za-z0-9_:.\[][A-Za-z0-9_:.%\[\]-]*")


@dataclass(frozen=True)
class JumpHost:
    """A machine or host through which others are reached; ``ident`` if it is a machine."""

    host: str
    user: str | None = None
    port: int | None = None
    ident: str | None = None


class JumpHosts:
    """Finds the jump host of each machine: tag ``tritoncli.ssh.proxy``, else the default.

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
        number = int(port) if port else None
        self.default = self._jump_host(host, user or None, number) if host else None

    def of(self, machine: Record) -> JumpHost | None:
        """The jump host of a machine; None when it is reached directly."""
        tags = machine.get("tags") or {}
        proxy = _host_tag(tags, "proxy")
        if proxy:
            user = tags.get("tritoncli.ssh.proxyuser")
            jump: JumpHost | None = self._jump_host(
                proxy, None if user is None else str(user), None
            )
        else:
            jump = self.default
        return None if jump is None or jump.ident == machine["id"] else jump

    def _jump_host(self, host: str, user: str | None, port: int | None) -> JumpHost:
        machine = self.known.get(host)
        if machine is None:
            return JumpHost(host, user, port)
        reached = direct(machine)
        return JumpHost(
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


def direct(machine: Record) -> JumpHost:
    """What the tags ``tritoncli.ssh.ip`` and ``.port`` say; host empty without them."""
    tags = machine.get("tags") or {}
    port = str(tags.get("tritoncli.ssh.port", ""))
    usable = port.isdecimal() and 0 < int(port) < 65536
    return JumpHost(host=_host_tag(tags, "ip"), port=int(port) if usable else None)


def unusable_tags(machine: Record) -> list[str]:
    """The ``tritoncli.ssh`` tags of a machine that are passed over for what they hold."""
    tags = machine.get("tags") or {}
    hosts = [f"tritoncli.ssh.{name}" for name in ("ip", "proxy")]
    found = [name for name in hosts if tags.get(name) and not is_host(str(tags[name]))]
    if tags.get("tritoncli.ssh.port") and direct(machine).port is None:
        found.append("tritoncli.ssh.port")
    return found


@dataclass(frozen=True)
class Destination:
    """Where and with which options ``ssh`` finds a machine."""

    host: str | None
    port: int | None = None
    options: str = ""
    """Quoted as for a shell."""

    def command(
        self, user: str, options: Iterable[str] = (), remote: Iterable[str] = ()
    ) -> list[str]:
        """The ``ssh`` command of a program: it asks nothing, and notices a dead connection.

        :param options: more words before the destination; those of the destination come first,
            and ``ssh`` takes the first value that it finds
        :param remote: what runs on the machine
        :raises ValueError: the destination's options cannot be split into words
        """
        words = ["ssh", *shlex.split(self.options), *flags(*UNATTENDED), *options]
        words += ["-p", str(self.port)] if self.port else []
        return [*words, "-l", user, "--", str(self.host), *remote]


def flags(*options: str) -> list[str]:
    """Options as ssh_config(5) has them, as words of an ``ssh`` command."""
    return [word for option in options for word in ("-o", option)]


@dataclass(frozen=True)
class LoginKey:
    """The key that signs for CloudAPI, which is the one that opens machines.

    file: its private half; None when that is in the agent only
    public: its public half, as a ``.pub`` file has it
    """

    file: str | None
    public: str

    @classmethod
    def of(cls, signer: Signer) -> LoginKey:
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
        if self.file:
            return flags("IdentitiesOnly=yes", f"IdentityFile={option_path(self.file)}")
        digest = hashlib.sha256(self.public.encode()).hexdigest()[:16]
        path = directory / f"{digest}.pub"
        if not path.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_suffix(f".{os.getpid()}")
            new.write_text(f"{self.public}\n", encoding="ascii")
            new.replace(path)
        return flags(
            "IdentitiesOnly=yes",
            "IdentityAgent=SSH_AUTH_SOCK",
            f"IdentityFile={option_path(str(path))}",
        )


def option_path(path: str) -> str:
    """A file's name as the value of an option of ``ssh``."""
    text = path.replace("%", "%%")
    return f'"{text}"' if re.search(r"\s", text) else text


class Destinations:
    """Finds out how each machine of a data center is reached.

    :param machines: where jump hosts are looked for
    :param networks: id -> name of the account's networks, if ``address`` names any
    :param pool_of: gives the id of the pool that an interface is in
    :param key: what opens the machines; None for whatever ``ssh`` has
    :param known_hosts: file for the host keys, which are kept under the machines' ids
    :param address: preferences as in :func:`chooser`
    :param jump_host: for machines without a tag, as in :class:`JumpHosts`
    :param ssh_config: configuration file for ``ssh``
    :raises UsageError: no such network, or not a jump host
    """

    def __init__(
        self,
        machines: Sequence[Record],
        networks: Mapping[str, str],
        key: LoginKey | None,
        known_hosts: Path,
        *,
        address: Sequence[str] = WORDS,
        jump_host: str | None = None,
        ssh_config: str | None = None,
        pool_of: Callable[[Record], str | None] = no_pool,
    ) -> None:
        self.choose = chooser(address, networks, pool_of)
        self.jumps = JumpHosts(machines, self.choose, jump_host)
        common = [
            *(["-F", ssh_config] if ssh_config else []),
            *flags(
                f"UserKnownHostsFile={option_path(str(known_hosts))}",
                "StrictHostKeyChecking=accept-new",
            ),
        ]
        # a host that is no machine of the account has keys of its own
        self._host_options = shlex.join(common)
        offered = key.options(known_hosts.parent / "keys") if key else []
        self._machine_options = shlex.join([*common, *offered])
        self._proxies: dict[JumpHost, str] = {}

    def of(self, machine: Record) -> Destination:
        """The destination for a machine; its host is None when it has no address yet."""
        own = direct(machine)
        options = self._options(str(machine["id"]))
        jump = self.jumps.of(machine)
        if jump:
            if jump not in self._proxies:
                # a ProxyCommand of a configuration file may pass a descriptor; ours does not
                proxy = flags("ProxyUseFdpass=no", self._proxy_command(jump))
                self._proxies[jump] = shlex.join(proxy)
            options += " " + self._proxies[jump]
        return Destination(own.host or self.choose(machine), own.port, options)

    def _options(self, ident: str | None) -> str:
        if ident is None:
            return self._host_options
        return f"{shlex.join(flags(f'HostKeyAlias={ident}'))} {self._machine_options}"

    def _proxy_command(self, jump: JumpHost) -> str:
        """The way through another machine; ssh's own -J would know nothing of its host key."""
        command = ["ssh", *shlex.split(self._options(jump.ident))]
        command += ["-l", jump.user] if jump.user else []
        command += ["-p", str(jump.port)] if jump.port else []
        # ssh replaces %h and %p; a percent sign of ours has to be doubled
        words = [word.replace("%", "%%") for word in command]
        host = shlex.quote(jump.host.replace("%", "%%"))
        return f"ProxyCommand={shlex.join(words)} -W %h:%p -- {host}"
