"""``DataCenter``: the calls of smartdc 0.2, on top of the plain ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import requests

from .auth import HttpSignature, find_signers
from .errors import ProtocolError, UsageError
from .keys import KeyId, Passphrase, md5_of, public_blob
from .machine import Machine, identifier, read_script
from .offers import Offers
from .raw import MachineCalls, Record
from .resources import AccountCalls
from .throttle import TokenBucket
from .transport import JSON, Transport, decode

__all__ = ["DEFAULT_LOCATION", "KNOWN_LOCATIONS", "TELEFONICA_LOCATIONS", "DataCenter"]

API_HOST_SUFFIX = ".api.joyentcloud.com"
DEFAULT_LOCATION = "us-west-1"
KNOWN_LOCATIONS: dict[str, str] = {
    name: f"https://{name}{API_HOST_SUFFIX}"
    for name in ("us-east-1", "us-sw-1", "us-west-1", "eu-ams-1")
}
_TELEFONICA = {"London": "lon", "Madrid": "mad"}
TELEFONICA_LOCATIONS: dict[str, str] = {
    name: f"https://api-eu-{code}-1.instantservers.telefonica.com"
    for city, code in _TELEFONICA.items()
    for name in (city, f"eu-{code}-1")
}
USER_AGENT = "smartdc/1.0 (Python 3)"
_NAME = re.compile(r"[a-zA-Z0-9{][a-zA-Z0-9_.{}-]{0,188}")


class DataCenter(MachineCalls, AccountCalls, Offers):
    """One CloudAPI as one account.  Safe to use from many threads.

    :param location: a name in ``known_locations``, a host, or a URL
    :param key_id: ``/ACCOUNT/keys/NAME``, or a bare fingerprint or name (then with ``login``)
    :param secret: private key: a file's path or a key's text; default: searched in ``~/.ssh``
        and ssh-agent
    :param headers: sent with every request
    :param login: account in the path; default ``my``, the signer's own
    :param allow_agent: whether ssh-agent may be asked
    :param verify: check TLS certificates, or the path of a CA bundle
    :param verbose: print requests on stderr (True) or on a stream; never headers or bodies
    :param url: base URL, wins over ``location``
    :param account: whose key it is, when that is not ``login``
    :param user: sub-user whose key it is
    :param passphrase: of an encrypted key, or a function of the file's name
    :param roles: RBAC roles to act in
    :param rate: (burst, requests per second), a :class:`TokenBucket` to share, or None
    :param pool_size: connections kept; more threads than that wait for each other
    :param options: further ones of :class:`Transport`: timeout, retries, patience, max_body
    :raises KeyNotFound, EncryptedKey, BadKey, ConfigError: at once, if the key cannot be used
    """

    API_VERSION = "~9||~8||~7"

    def __init__(
        self,
        location: str | None = None,
        key_id: str | None = None,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        login: str | None = None,
        known_locations: Mapping[str, str] | None = None,
        allow_agent: bool = True,
        verify: bool | str = True,
        verbose: bool | IO[str] | None = None,
        *,
        url: str | None = None,
        account: str | None = None,
        user: str | None = None,
        passphrase: Passphrase = None,
        roles: Sequence[str] = (),
        rate: tuple[float, float] | TokenBucket | None = (30, 10),
        pool_size: int = 10,
        **options: Any,
    ) -> None:
        known = KNOWN_LOCATIONS if known_locations is None else known_locations
        self.known_locations: dict[str, str] = dict(known)
        self.location = location or DEFAULT_LOCATION
        self._url = url
        self.login = login or "my"
        self.account_login, self.user, self.roles = account, user, tuple(roles)
        self.verify, self.verbose = verify, verbose
        self.passphrase = passphrase
        self.default_headers = {
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
            "Accept-Version": self.API_VERSION,
            "X-Api-Version": self.API_VERSION,
            **(headers or {}),
        }
        bucket = rate if isinstance(rate, TokenBucket) else _bucket(rate)
        self._options = {"pool_size": pool_size, **options}
        self.auth: HttpSignature | None = None
        self.transport = Transport(
            self.base_url,
            verify=verify,
            headers=self.default_headers,
            bucket=bucket,
            verbose=verbose,
            **self._options,
        )
        self.authenticate(key_id, secret, allow_agent)

    def authenticate(
        self, key_id: str | None = None, secret: str | None = None, allow_agent: bool = True
    ) -> None:
        """Sign from now on with this key; without a key id, with that of the file ``secret``."""
        login = self.account_login or (self.login if self.login != "my" else None)
        if key_id is None:
            if secret is None:
                return
            key_id = _fingerprint_of(secret)
        parsed = KeyId.parse(key_id, login, self.user)
        signers = find_signers(parsed, secret, allow_agent=allow_agent, passphrase=self.passphrase)
        self.auth = self.transport.auth = HttpSignature(parsed, signers)

    def close(self) -> None:
        """Close the connections; the object can still be used."""
        self.transport.close()

    def __enter__(self) -> DataCenter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DataCenter {self.base_url} as {self.login}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataCenter):
            return NotImplemented
        return self.base_url == other.base_url and self._owner() == other._owner()

    def __hash__(self) -> int:
        return hash(self.base_url)

    def _owner(self) -> str:
        if self.login == "my":
            self.me()
        return self.login

    @property
    def base_url(self) -> str:
        """Without the account and without a trailing slash."""
        if self._url:
            return self._url.rstrip("/")
        if self.location in self.known_locations:
            return self.known_locations[self.location].rstrip("/")
        if re.match(r"https?://", self.location):
            return self.location.rstrip("/")
        if "." in self.location or self.location.partition(":")[0] == "localhost":
            return f"https://{self.location}"
        return f"https://{self.location}{API_HOST_SUFFIX}"

    @property
    def url(self) -> str:
        return f"{self.base_url}/{self.login}/"

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        data: object = None,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[JSON | bytes, requests.Response]:
        """Any call, ``path`` below the account: (decoded JSON, or the bytes; the answer).

        :raises APIError: status >= 400
        """
        path = f"/{self.login}/{path.strip('/')}".rstrip("/")
        response = self.transport.send(
            method.upper(), path, headers=headers, json=data or None, params=params
        )
        try:
            return decode(response), response
        except ProtocolError:
            return response.content, response

    def api(self) -> JSON:
        """``GET /--ping``: the versions that the server speaks."""
        return decode(self.transport.send("GET", "/--ping"), dict)

    def me(self) -> Record:
        """The account; its login replaces ``my`` from now on."""
        account = self.account()
        if self.login == "my" and isinstance(account.get("login"), str):
            self.login = account["login"]
        return account

    def datacenters(self) -> dict[str, str]:
        """Name -> URL of the data centers of this cloud; they become known locations."""
        found = {str(k): str(v) for k, v in self.get_object("datacenters").items()}
        self.known_locations.update(found)
        return found

    def datacenter(self, name: str) -> DataCenter:
        """Another data center as the same account."""
        if name not in self.known_locations and "." not in name:
            self.datacenters()
        other = DataCenter(
            name,
            headers=self.default_headers,
            login=self.login,
            known_locations=self.known_locations,
            verify=self.verify,
            verbose=self.verbose,
            account=self.account_login,
            user=self.user,
            roles=self.roles,
            rate=TokenBucket(self.transport.bucket.burst, self.transport.bucket.rate),
            **self._options,
        )
        other.auth = other.transport.auth = self.auth
        return other

    def num_machines(
        self,
        machine_type: str | None = None,
        dataset: str | None = None,
        state: str | None = None,
        memory: int | None = None,
        tombstone: bool | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> int:
        """How many machines fit."""
        return self.count_machines(
            type=machine_type,
            image=dataset,
            state=state,
            memory=memory,
            tombstone=tombstone,
            tags=tags,
        )

    def raw_machine_data(
        self, machine_id: str | Machine | Mapping[str, Any], credentials: bool = False
    ) -> Record:
        return self.get_machine(identifier(machine_id), credentials=credentials)

    def machines(
        self,
        machine_type: str | None = None,
        name: str | None = None,
        dataset: str | None = None,
        state: str | None = None,
        memory: int | None = None,
        tombstone: bool | None = None,
        tags: Mapping[str, Any] | None = None,
        credentials: bool = False,
        paged: bool = False,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Machine]:
        """All machines that fit, however many pages that takes.

        :param paged: one page only (1000 machines at most)
        :param limit: at most so many
        :param offset: leave out so many at the beginning
        """
        records = self.list_machines(
            type=machine_type,
            name=name,
            image=dataset,
            state=state,
            memory=memory,
            tombstone=tombstone,
            tags=tags,
            credentials=credentials or None,
            limit=min(limit or 1000, 1000) if paged else limit,
            offset=offset or 0,
        )
        return [Machine(self, data=record) for record in records]

    def machine(
        self, machine_id: str | Machine | Mapping[str, Any], credentials: bool = False
    ) -> Machine:
        """One machine, by id, dict or ``Machine``."""
        return Machine(self, identifier(machine_id), credentials=credentials)

    def create_machine(
        self,
        name: str | None = None,
        package: str | Mapping[str, Any] | None = None,
        dataset: str | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        boot_script: str | Path | None = None,
        credentials: bool = False,
        image: str | Mapping[str, Any] | None = None,
        networks: Sequence[str | Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> Machine:
        """Create a machine; returns at once, while it is ``provisioning``.

        :param package: name, id, or a dict of :meth:`packages`
        :param dataset: the image as in 2013, a URN (``sdc:sdc:base64:``: the newest)
        :param image: id, ``name``, ``name@version``, or a dict of :meth:`images`; wins
        :param metadata: values are text
        :param boot_script: path of a script that runs at every boot
        :param credentials: give the generated passwords in ``machine.data['metadata']``
        :param networks: ids, or dicts of :meth:`networks`
        :param more: further parameters of CreateMachine, e.g. ``firewall_enabled=True``
        :raises LookupFailed: no such image; with the nearest names
        :raises RequestError: see :meth:`MachineCalls.create`
        """
        if name is not None and not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a machine's name",
                hint="letters, digits, dot, hyphen, underscore; a letter or digit first; up to 189",
            )
        data = dict(metadata or {})
        if boot_script is not None:
            data["user-script"] = read_script(boot_script)
        payload: Record = {"name": name, **more}
        if package is not None:
            payload["package"] = identifier(package, "name", "id")
        wanted = image if image is not None else dataset
        if wanted is not None:
            payload["image"] = self._image_id(identifier(wanted, "id", "urn"))
        if networks is not None:
            payload["networks"] = [identifier(n) for n in networks]
        record = self.create({**payload, "tags": tags or {}, "metadata": data})
        if credentials:
            record = self.get_machine(record["id"], credentials=True)
        return Machine(self, data=record)


def _bucket(rate: tuple[float, float] | None) -> TokenBucket:
    return TokenBucket(rate=None) if rate is None else TokenBucket(*rate)


def _fingerprint_of(secret: str) -> str:
    try:
        data = secret.encode() if "-----BEGIN" in secret else Path(secret).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the private key {secret}: {error.strerror}") from None
    blob = public_blob(data)
    if blob is None:
        raise UsageError(f"{secret} does not tell whose key it is", hint="give key_id as well")
    return md5_of(blob)
