"""HTTP Signature for CloudAPI: find the private key, sign each request.

The modern form (draft-cavage-http-signatures-03, as node-triton sends it):
``headers="(request-target) date"``, all parameters quoted.
"""

from __future__ import annotations

import base64
import getpass
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

import requests
from requests.auth import AuthBase

from .agent import Agent
from .errors import AgentError, BadKey, EncryptedKey, KeyNotFound
from .keys import (
    FileKey,
    KeyId,
    Passphrase,
    key_pairs,
    load_private,
    md5_of,
    public_blob,
    public_keys,
    read_key_file,
    type_of,
)

# id_rsa first: it was the default of smartdc 0.2
_DEFAULT_NAMES = ("id_rsa", "id_ed25519", "id_ecdsa")


class Signer(Protocol):
    """A private key: in memory or in an agent."""

    @property
    def blob(self) -> bytes: ...
    @property
    def where(self) -> str: ...
    @property
    def file(self) -> Path | None: ...
    def sign(self, data: bytes) -> tuple[str, bytes]: ...


def ask_passphrase(path: str) -> str:
    """A passphrase callback that asks on the terminal."""
    return getpass.getpass(f"Passphrase of {path}: ")


class HttpSignature(AuthBase):
    """Signs requests; several signers are tried in turn when the server refuses one.

    :param key_id: whose key
    :param signers: at least one; more only when ``key_id`` is a name, because
        a name does not tell which private key it is
    """

    def __init__(self, key_id: KeyId, signers: list[Signer]) -> None:
        if not signers:
            raise KeyNotFound(f"no private key for {key_id.name}")
        self.key_id = key_id
        self.signers = signers
        self._index = 0
        self._lock = threading.Lock()
        self._cache: dict[tuple[int, str, str], str] = {}
        self._cache_date = ""
        self.slowest = 0.0
        """Seconds that the slowest signature took: a key may want its owner's touch for each."""

    @property
    def signer(self) -> Signer:
        return self.signers[self._index]

    @property
    def key_path(self) -> str:
        """``keyId`` on the wire."""
        return self.key_id.path(self.signer.blob)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        date = format_datetime(datetime.now(UTC), usegmt=True)
        r.headers["Date"] = date
        r.headers["Authorization"] = self.header(r.method or "GET", r.path_url, date)
        return r

    def header(self, method: str, path: str, date: str) -> str:
        """The Authorization header's value; equal requests of one second share a signature."""
        index = self._index
        with self._lock:
            if date != self._cache_date:
                self._cache.clear()
                self._cache_date = date
            cached = self._cache.get((index, method, path))
        if cached:
            return cached
        signer = self.signers[index]
        text = f"(request-target): {method.lower()} {path}\ndate: {date}"
        began = time.monotonic()
        algorithm, signature = signer.sign(text.encode())
        self.slowest = max(self.slowest, time.monotonic() - began)
        value = (
            f'Signature keyId="{self.key_id.path(signer.blob)}",algorithm="{algorithm}",'
            f'headers="(request-target) date",signature="{base64.b64encode(signature).decode()}"'
        )
        with self._lock:
            if date == self._cache_date:
                self._cache[(index, method, path)] = value
        return value

    def refused(self, authorization: str | bytes | None) -> bool:
        """After a 401: change to the next signer; False when there is none left to try."""
        with self._lock:
            used = self._cache_owner(authorization)
            if used is not None and used != self._index:
                return True
            if self._index + 1 >= len(self.signers):
                return False
            self._index += 1
            return True

    def _cache_owner(self, authorization: str | bytes | None) -> int | None:
        for (index, _, _), value in self._cache.items():
            if value == authorization:
                return index
        return None


def find_signers(
    key_id: KeyId,
    secret: str | None = None,
    *,
    allow_agent: bool = True,
    passphrase: Passphrase = None,
    ssh_dir: Path | None = None,
    agent: Agent | None = None,
) -> list[Signer]:
    """The private key(s) that may belong to a key id.

    With ``secret`` (a file's path, or the text of a key) just that one.  Else a
    fingerprint is looked for in ``~/.ssh`` and then in ssh-agent; for a name,
    which says nothing about the key, the usual identity files and the agent's
    keys are all candidates.

    :raises KeyNotFound: nothing fits
    :raises EncryptedKey: it fits, but needs a passphrase that was not given
    :raises BadKey: ``secret`` cannot be used
    """
    agent = agent or Agent()
    if secret:
        return [_from_secret(key_id, secret, allow_agent, passphrase, agent)]
    directory = ssh_dir or Path("~/.ssh").expanduser()
    if key_id.is_fingerprint:
        return [_by_fingerprint(key_id, directory, allow_agent, passphrase, agent)]
    locked: list[EncryptedKey] = []
    signers = list(_candidates(directory, allow_agent, passphrase, agent, locked))
    if not signers:
        if locked:
            raise locked[0]
        raise _not_found(key_id, directory, allow_agent, agent)
    return signers


def _from_secret(
    key_id: KeyId, secret: str, allow_agent: bool, passphrase: Passphrase, agent: Agent
) -> Signer:
    path = None
    if "-----BEGIN" in secret:
        where, data = "the given key", secret.encode()
    else:
        path = Path(secret).expanduser()
        where = str(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise KeyNotFound(
                f"cannot read the private key {where}: {error.strerror}",
                hint="correct the path (SDC_KEY_FILE), or leave it out to search ~/.ssh and the "
                "agent",
            ) from None
    blob = public_blob(data)
    if blob and key_id.is_fingerprint and not key_id.matches(blob):
        raise KeyNotFound(
            f"{where} is not the key {key_id.name}: its fingerprint is {md5_of(blob)}",
            hint="correct the key id (SDC_KEY_ID) or the file",
        )
    try:
        signer = load_private(data, where, passphrase, path)
    except EncryptedKey:
        held = _agent_key(agent, blob) if allow_agent and blob else None
        if held is None:
            raise
        return held
    if key_id.is_fingerprint and not key_id.matches(signer.blob):
        raise KeyNotFound(f"{where} is not the key {key_id.name}", hint="correct SDC_KEY_ID")
    return signer


def _by_fingerprint(
    key_id: KeyId, directory: Path, allow_agent: bool, passphrase: Passphrase, agent: Agent
) -> Signer:
    locked: EncryptedKey | BadKey | None = None
    for path, blob in key_pairs(directory):
        if not key_id.matches(blob):
            continue
        try:
            return load_private(read_key_file(path) or b"", str(path), passphrase, path)
        except BadKey as error:
            locked = error
    if allow_agent and agent.available:
        for held in agent.identities():
            if key_id.matches(held.blob):
                return held
    if locked:
        raise locked
    raise _not_found(key_id, directory, allow_agent, agent)


def _candidates(
    directory: Path,
    allow_agent: bool,
    passphrase: Passphrase,
    agent: Agent,
    locked: list[EncryptedKey],
) -> Iterator[Signer]:
    seen: set[bytes] = set()
    for name in _DEFAULT_NAMES:
        path = directory / name
        data = read_key_file(path)
        if data is None:
            continue
        try:
            key: FileKey = load_private(data, str(path), passphrase, path)
        except EncryptedKey as error:
            locked.append(error)
            continue
        except BadKey:
            continue
        seen.add(key.blob)
        yield key
    if allow_agent and agent.available:
        yield from (held for held in agent.identities() if held.blob not in seen)


def _agent_key(agent: Agent, blob: bytes) -> Signer | None:
    if not agent.available:
        return None
    try:
        return next((held for held in agent.identities() if held.blob == blob), None)
    except AgentError:
        return None


def _not_found(key_id: KeyId, directory: Path, allow_agent: bool, agent: Agent) -> KeyNotFound:
    places = [str(directory)]
    if allow_agent:
        places.append("ssh-agent" if agent.available else "ssh-agent (none runs: SSH_AUTH_SOCK)")
    return KeyNotFound(
        f"no private key for {key_id.name} in {' or '.join(places)}",
        hint=_unusable(key_id, directory, agent if allow_agent else None)
        or _other_agent(agent)
        or "ssh-add it, give its file (SDC_KEY_FILE), or correct the key id (SDC_KEY_ID)",
    )


def _unusable(key_id: KeyId, directory: Path, agent: Agent | None) -> str:
    """What is at hand of a key and does not suffice; empty when it is nothing."""
    held: list[tuple[bytes, str]] = []
    if agent and agent.available:
        held = [(blob, "ssh-agent") for blob, _ in agent.all_identities()]
    publics = [(blob, str(path)) for path, blob in public_keys(directory)]
    for blob, where in (*held, *publics):
        if not key_id.matches(blob):
            continue
        kind = type_of(blob)
        if kind.startswith("sk-"):
            return (
                f"the key in {where} is one of a security token ({kind}), and CloudAPI takes rsa, "
                "ecdsa and ed25519 keys only: add another key to the account"
            )
        return (
            f"only its public half is at hand ({where}): put the private key beside it, or "
            "ssh-add it"
        )
    return ""


def _other_agent(agent: Agent) -> str:
    """A hint at an agent that ssh is configured for and that SSH_AUTH_SOCK does not name."""
    try:
        done = subprocess.run(
            ["ssh", "-G", "cloudapi.invalid"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = (line.partition(" ") for line in done.stdout.splitlines())
    path = next((value for name, _, value in words if name == "identityagent"), "")
    if path in ("", "none", "SSH_AUTH_SOCK", agent.path):
        return ""
    path = str(Path(path).expanduser())
    return (
        f"ssh is configured for the agent at {path} (IdentityAgent), which other programs do not "
        f"know of: export SSH_AUTH_SOCK={shlex.quote(path)}"
    )
