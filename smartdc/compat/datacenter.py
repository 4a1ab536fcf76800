"""``DataCenter``: the calls of smartdc 0.2, on top of the client's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import requests

from ..client import fingerprint_of
from ..config import Settings, resolve
from ..errors import ConfigError, ProtocolError, UsageError
from ..keys import KeyId
from ..raw import Record
from ..throttle import TokenBucket
from ..transport import JSON, decode
from .arguments import identifier, read_script
from .machine import Machine
from .offers import Offers

__all__ = ["DEFAULT_LOCATION", "KNOWN_LOCATIONS", "TELEFONICA_LOCATIONS", "DataCenter"]

API_HOST_SUFFIX = ".api.joyentcloud.com"
DEFAULT_LOCATION = "us-west-1"
"""That of 2013; no location now means what is configured."""
KNOWN_LOCATIONS: dict[str, str] = {
    name: f"https://{name}{API_HOST_SUFFIX}"
    for name in ("us-east-1", "us-sw-1", "us-west-1", "eu-ams-1")
}
_TELEFONICA = {"London": "lon", "Madrid": "mad"}
_TELEFONICA_SUFFIX = ".instantservers.telefonica.com"
TELEFONICA_LOCATIONS: dict[str, str] = {
    name: f"https://api-eu-{code}-1{_TELEFONICA_SUFFIX}"
    for city, code in _TELEFONICA.items()
    for name in (city, f"eu-{code}-1")
}
_CLOSED = re.compile(
    rf"https?://[^/]*({re.escape(API_HOST_SUFFIX)}|{re.escape(_TELEFONICA_SUFFIX)})(:\d+)?(/|$)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[a-zA-Z0-9{][a-zA-Z0-9_.{}-]{0,188}")


class DataCenter(Offers):
    """One data center as one account: the calls of 2013, and those of ``Client``.

    :param location: a name in ``known_locations``, a host, or a URL; without one (and without
        ``url``), everything that is not given here comes from the environment, a profile or the
        embedded data center (see :func:`smartdc.config.resolve`)
    :param known_locations: name -> URL, instead of those of 2013
    :param url: base URL, wins over ``location``
    :param options: further ones of ``Client``
    :raises ConfigError: the location is one of 2013 that is closed, or nothing is configured
    :raises KeyNotFound, EncryptedKey, BadKey: the key cannot be used
    """

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
        **options: Any,
    ) -> None:
        known = KNOWN_LOCATIONS if known_locations is None else known_locations
        self.known_locations: dict[str, str] = dict(known)
        said: dict[str, Any] = {"key_id": key_id, "secret": secret, "login": login, **options}
        if verify is not True:
            said["verify"] = verify
        if location is None and url is None:
            settings = _configured(**said)
            location, url = settings.name, settings.url
            found = settings.client_options()
            said = {**found, **{k: v for k, v in said.items() if v is not None or k not in found}}
        self.location = location or str(url)
        super().__init__(
            url or _located(self.location, self.known_locations),
            headers=headers,
            allow_agent=allow_agent,
            verbose=verbose,
            **said,
        )

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """The data center that these settings name; ``options`` win over them."""
        given = {"url": settings.url, **settings.client_options()}
        return cls(settings.name, **{**given, **options})

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
            passphrase=self.passphrase,
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


def _configured(
    key_id: str | None,
    secret: str | None,
    login: str | None,
    account: str | None = None,
    user: str | None = None,
    **_: Any,
) -> Settings:
    """The settings that apply here, with the key or the account that the arguments name."""
    if key_id is None and secret is not None:
        key_id = fingerprint_of(secret)
    if key_id is not None and key_id.startswith("/"):
        owner = KeyId.parse(key_id)
        account, user = account or owner.account, user or owner.user
    if key_id is not None:
        account = account or login
    is_path = secret is not None and "-----BEGIN" not in secret
    return resolve(
        account=account,
        user=user,
        key_id=key_id,
        key_file=secret if is_path else None,
    )


def _located(location: str, known_locations: Mapping[str, str]) -> str:
    """The URL of a location.

    :raises ConfigError: it is one of the public clouds of 2013, which are closed
    """
    if location in known_locations:
        url = known_locations[location]
    elif re.match(r"https?://", location):
        url = location
    elif "." in location or location.partition(":")[0] == "localhost":
        url = f"https://{location}"
    else:
        url = f"https://{location}{API_HOST_SUFFIX}"
    if _CLOSED.match(url):
        raise ConfigError(
            f"location {location!r} means {url}, a public cloud of 2013 that is closed",
            hint="give the URL of a CloudAPI, as DataCenter('https://HOST', ...), or no location, "
            "and set SDC_URL, TRITON_PROFILE or start the embedded data center",
        )
    return url
