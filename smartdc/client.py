"""``Client``: one CloudAPI as one account, with plain dicts in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from .auth import HttpSignature, find_signers
from .errors import UsageError
from .keys import KeyId, Passphrase, md5_of, public_blob
from .raw import MachineCalls
from .resources import AccountCalls, CatalogueCalls, NetworkCalls
from .throttle import TokenBucket
from .transport import Transport
from .version import __version__

USER_AGENT = f"smartdc/{__version__} (Python 3)"


class Client(MachineCalls, AccountCalls, CatalogueCalls, NetworkCalls):
    """All calls of CloudAPI.  Safe to use from many threads.

    :param url: ``http://HOST[:PORT]`` or https
    :param key_id: ``/ACCOUNT/keys/NAME``, or a bare fingerprint or name (then with ``login``)
    :param secret: private key: a file's path or a key's text; default: searched in ``~/.ssh``
        and ssh-agent
    :param headers: sent with every request
    :param login: account in the path; default ``my``, the signer's own
    :param allow_agent: whether ssh-agent may be asked
    :param verify: check TLS certificates, or the path of a CA bundle
    :param verbose: print requests on stderr (True) or on a stream; never headers or bodies
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
        url: str,
        key_id: str | None = None,
        secret: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        login: str | None = None,
        allow_agent: bool = True,
        verify: bool | str = True,
        verbose: bool | IO[str] | None = None,
        account: str | None = None,
        user: str | None = None,
        passphrase: Passphrase = None,
        roles: Sequence[str] = (),
        rate: tuple[float, float] | TokenBucket | None = (30, 10),
        pool_size: int = 10,
        **options: Any,
    ) -> None:
        self.base_url = url.rstrip("/")
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
        self._options = {"pool_size": pool_size, **options}
        self.auth: HttpSignature | None = None
        self.transport = Transport(
            self.base_url,
            verify=verify,
            headers=self.default_headers,
            bucket=rate if isinstance(rate, TokenBucket) else _bucket(rate),
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
            key_id = fingerprint_of(secret)
        parsed = KeyId.parse(key_id, login, self.user)
        signers = find_signers(parsed, secret, allow_agent=allow_agent, passphrase=self.passphrase)
        self.auth = self.transport.auth = HttpSignature(parsed, signers)

    def close(self) -> None:
        """Close the connections; the object can still be used."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url} as {self.login}>"


def _bucket(rate: tuple[float, float] | None) -> TokenBucket:
    return TokenBucket(rate=None) if rate is None else TokenBucket(*rate)


def fingerprint_of(secret: str) -> str:
    """The fingerprint (MD5) of a private key, given as a file's path or as its text.

    :raises UsageError: the file cannot be read, or needs a passphrase to tell
    """
    try:
        data = secret.encode() if "-----BEGIN" in secret else Path(secret).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the private key {secret}: {error.strerror}") from None
    blob = public_blob(data)
    if blob is None:
        raise UsageError(f"{secret} does not tell whose key it is", hint="give key_id as well")
    return md5_of(blob)
