"""SSH keys: fingerprints, the forms of a key id, private keys from files.

Key id forms are those of the clients in use (node-triton, node-smartdc,
triton-go): MD5 with or without ``MD5:`` and colons, ``SHA256:``, a key's name,
or the whole ``/account[/users/user]/keys/key``.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from .errors import BadKey, ConfigError, EncryptedKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Passphrase = str | bytes | Callable[[str], str | bytes | None] | None

_MAX_KEY_FILE = 65536
_HEX32 = re.compile(r"[0-9a-f]{32}")


@functools.lru_cache(maxsize=64)
def md5_of(blob: bytes) -> str:
    """MD5 fingerprint ``aa:bb:..`` of a public key's SSH wire form, CloudAPI's own form."""
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def sha256_of(blob: bytes) -> str:
    """``SHA256:`` fingerprint as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def type_of(blob: bytes) -> str:
    """The kind of a public key, such as ``ssh-ed25519``.

    :raises BadKey: not a key in SSH wire form
    """
    return take_string(blob)[0].decode("ascii", "replace")


def public_line(blob: bytes) -> str:
    """A public key as a ``.pub`` file has it, without a comment."""
    return f"{type_of(blob)} {base64.b64encode(blob).decode()}"


@dataclass(frozen=True)
class KeyId:
    """A key id taken apart.  ``md5``/``sha256`` are set when it is a fingerprint."""

    account: str
    user: str | None
    name: str
    md5: str | None = None
    sha256: str | None = None

    @property
    def is_fingerprint(self) -> bool:
        return bool(self.md5 or self.sha256)

    def matches(self, blob: bytes) -> bool:
        if self.md5:
            return md5_of(blob) == self.md5
        if self.sha256:
            return sha256_of(blob) == self.sha256
        return False

    def path(self, blob: bytes) -> str:
        """``keyId`` as it goes on the wire: fingerprints always as MD5."""
        owner = f"/{self.account}/users/{self.user}" if self.user else f"/{self.account}"
        return f"{owner}/keys/{md5_of(blob) if self.is_fingerprint else self.name}"

    @classmethod
    def parse(cls, text: str, account: str | None = None, user: str | None = None) -> KeyId:
        """Take a key id apart.

        :param account: login to which a bare fingerprint or name belongs
        :raises ConfigError: no account known, or not a key id
        """
        text = text.strip()
        if text.startswith("/"):
            match = re.fullmatch(r"/([^/]+)(?:/users/([^/]+))?/keys/(.+)", text)
            if not match:
                raise ConfigError(
                    f"key id {text!r} is neither /ACCOUNT/keys/KEY nor /ACCOUNT/users/USER/keys/KEY"
                )
            account, user, text = match[1], match[2] or user, match[3]
        if not text:
            raise ConfigError("the key id is empty", hint="set SDC_KEY_ID to a key's fingerprint")
        if not account or account == "my":
            raise ConfigError(
                f"key id {text!r} does not say whose key it is",
                hint="give the account (login=..., SDC_ACCOUNT) or write /ACCOUNT/keys/KEY",
            )
        for part in (account, user or "", text):
            if '"' in part or not (part.isascii() and part.isprintable()):
                raise ConfigError(f"{part!r} cannot stand in a key id", hint="use its fingerprint")
        md5, sha256 = _fingerprint(text)
        return cls(account, user or None, text, md5, sha256)


def _fingerprint(text: str) -> tuple[str | None, str | None]:
    kind, _, rest = text.partition(":")
    if kind.upper() == "SHA256" and rest:
        return None, "SHA256:" + rest.rstrip("=")
    bare = (rest if kind.upper() == "MD5" else text).replace(":", "").lower()
    if _HEX32.fullmatch(bare):
        return ":".join(bare[i : i + 2] for i in range(0, 32, 2)), None
    if kind.upper() == "MD5":
        raise ConfigError(f"{text!r} is not an MD5 fingerprint", hint="it has 16 pairs of hex")
    return None, None


def blob_of(key: PrivateKey) -> bytes:
    """The public key in SSH wire form."""
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return base64.b64decode(line.split()[1])


@dataclass(frozen=True)
class FileKey:
    """A private key in memory; signs as CloudAPI's algorithms want it."""

    key: PrivateKey
    blob: bytes
    where: str
    file: Path | None = None
    """The file that it was read from, absolute."""

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """(algorithm name, signature) over ``data``."""
        key = self.key
        if isinstance(key, rsa.RSAPrivateKey):
            return "rsa-sha256", key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return "ed25519-sha512", key.sign(data)
        # http-signature refuses sha384, so a P-384 key signs with sha512
        if key.curve.key_size <= 256:
            return "ecdsa-sha256", key.sign(data, ec.ECDSA(hashes.SHA256()))
        return "ecdsa-sha512", key.sign(data, ec.ECDSA(hashes.SHA512()))


def load_private(
    data: bytes, where: str, passphrase: Passphrase = None, file: Path | None = None
) -> FileKey:
    """A private key from the bytes of an OpenSSH or PEM file.

    :param file: where the bytes are from, for those who have to name the key to ``ssh``
    :param passphrase: for an encrypted key: the phrase, or a function of the file's name
    :raises EncryptedKey: passphrase missing or wrong
    :raises BadKey: not a private key, or of a kind that CloudAPI does not know
    """
    try:
        key = _load(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        if not is_encrypted(data):
            raise BadKey(
                f"{where} is not a private key that can be used: {error}",
                hint="give an OpenSSH or PEM file with an rsa, ecdsa or ed25519 key",
            ) from None
        key = _decrypt(data, where, passphrase)
    if not isinstance(key, PrivateKey):
        raise BadKey(
            f"{where} holds a key of an unsupported kind",
            hint="CloudAPI takes rsa, ecdsa and ed25519 keys",
        )
    return FileKey(key, blob_of(key), where, file.absolute() if file else None)


def _load(data: bytes, passphrase: bytes | None) -> object:
    # the owner's own file: skipping the primality check saves 50 ms at every start
    if b"BEGIN OPENSSH PRIVATE KEY" in data:
        return serialization.load_ssh_private_key(
            data, passphrase, unsafe_skip_rsa_key_validation=True
        )
    return serialization.load_pem_private_key(data, passphrase, unsafe_skip_rsa_key_validation=True)


def _decrypt(data: bytes, where: str, passphrase: Passphrase) -> object:
    phrase = passphrase(where) if callable(passphrase) else passphrase
    if not phrase:
        raise EncryptedKey(
            f"{where} is encrypted",
            hint=f"add it to ssh-agent (ssh-add {where}) or give a passphrase",
        )
    try:
        return _load(data, phrase.encode() if isinstance(phrase, str) else phrase)
    except UnsupportedAlgorithm as error:
        raise EncryptedKey(
            f"{where} cannot be decrypted here: {error}",
            hint=f"add it to ssh-agent (ssh-add {where}) or install the Python package bcrypt",
        ) from None
    except (TypeError, ValueError):
        raise EncryptedKey(f"wrong passphrase for {where}", hint="try again") from None


def is_encrypted(data: bytes) -> bool:
    """Whether a private key file needs a passphrase."""
    if b"ENCRYPTED" in data:
        return True
    fields = _openssh_fields(data)
    return fields is not None and fields[0] != b"none"


def public_blob(data: bytes) -> bytes | None:
    """The public half (SSH wire form) of a private key file, without a passphrase if possible."""
    fields = _openssh_fields(data)
    if fields:
        return fields[1]
    if is_encrypted(data):
        return None
    try:
        return load_private(data, "key").blob
    except BadKey:
        return None


def _openssh_fields(data: bytes) -> tuple[bytes, bytes] | None:
    """(cipher, public blob) of an OpenSSH private key file (PROTOCOL.key of OpenSSH)."""
    match = re.search(rb"-BEGIN OPENSSH PRIVATE KEY-----(.+?)-----END", data, re.DOTALL)
    if not match:
        return None
    try:
        raw = base64.b64decode(b"".join(match[1].split()))
        head, rest = raw[:15], raw[15:]
        if head != b"openssh-key-v1\0":
            return None
        cipher, rest = take_string(rest)
        _, rest = take_string(rest)
        _, rest = take_string(rest)
        blob, _ = take_string(rest[4:])
    except (binascii.Error, BadKey):
        return None
    return cipher, blob


def take_string(data: bytes) -> tuple[bytes, bytes]:
    """One length-prefixed string of SSH's wire format, and what follows it."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise BadKey("truncated SSH data")
    return data[4 : 4 + size], data[4 + size :]


def read_key_file(path: Path) -> bytes | None:
    """The bytes of a private key file; None when it is not one."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_KEY_FILE:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    return data if b"PRIVATE KEY-----" in data[:4096] else None


def key_pairs(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """(private key file, public blob) of each key in an ``~/.ssh`` directory.

    Files with a ``.pub`` beside them come first: no passphrase and no parsing is needed.
    """
    try:
        files = sorted(directory.iterdir())
    except OSError:
        return
    seen: set[Path] = set()
    for pub in (f for f in files if f.suffix == ".pub"):
        private, blob = pub.with_suffix(""), _read_public(pub)
        if blob and read_key_file(private):
            seen.add(private)
            yield private, blob
    for private in (f for f in files if f.suffix != ".pub" and f not in seen):
        data = read_key_file(private)
        blob = public_blob(data) if data else None
        if blob:
            yield private, blob


def public_keys(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """(file, blob) of each ``.pub`` file in a directory, with or without its private half."""
    for path in sorted(directory.glob("*.pub")):
        blob = _read_public(path)
        if blob:
            yield path, blob


def _read_public(path: Path) -> bytes | None:
    try:
        fields = path.read_bytes()[:_MAX_KEY_FILE].split()
        return base64.b64decode(fields[1]) if len(fields) > 1 else None
    except (OSError, binascii.Error):
        return None


SUPPORTED_TYPES = (
    b"ssh-rsa",
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
)

__all__ = [
    "SUPPORTED_TYPES",
    "FileKey",
    "KeyId",
    "Passphrase",
    "PrivateKey",
    "blob_of",
    "key_pairs",
    "load_private",
    "md5_of",
    "public_blob",
    "public_keys",
    "public_line",
    "read_key_file",
    "sha256_of",
    "take_string",
    "type_of",
]
