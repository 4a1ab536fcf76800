"""SSH public keys: parsing, fingerprints, and checking a signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

HASHES: dict[str, type[HashAlgorithm]] = {"sha1": SHA1, "sha256": SHA256, "sha512": SHA512}

# What http-signature 1.4.0 verifies.  It lists the SHA-384 names too, and then refuses them.
ALGORITHMS = frozenset(
    {
        "rsa-sha1",
        "rsa-sha256",
        "rsa-sha512",
        "dsa-sha1",
        "dsa-sha256",
        "ecdsa-sha256",
        "ecdsa-sha512",
        "ed25519-sha512",
    }
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A parsed key; `line` is the OpenSSH line with surrounding space removed."""

    line: str
    kind: str
    blob: bytes
    comment: str
    key: rsa.RSAPublicKey | dsa.DSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey

    @property
    def fingerprint(self) -> str:
        """MD5 with colons: how CloudAPI names a key."""
        digest = hashlib.md5(self.blob, usedforsecurity=False).hexdigest()
        return ":".join(digest[i : i + 2] for i in range(0, 32, 2))

    @property
    def sha256(self) -> str:
        """`SHA256:...` as ssh-keygen prints it."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def verify(self, algorithm: str, signature: bytes, data: bytes) -> bool:
        """True when `signature` over `data` was made with this key.

        algorithm: one of ALGORITHMS; its first part must be this key's kind.
        """
        kind, _, digest = algorithm.partition("-")
        if kind != self.kind:
            return False
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, data)
            elif isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, data, padding.PKCS1v15(), HASHES[digest]())
            elif isinstance(self.key, dsa.DSAPublicKey):
                self.key.verify(signature, data, HASHES[digest]())
            else:
                self.key.verify(signature, data, ec.ECDSA(HASHES[digest]()))
        except (InvalidSignature, ValueError):
            return False
        return True


@lru_cache(maxsize=4096)
def parse_public_key(text: str) -> PublicKey:
    """Parse one line `type base64 [comment]`.

    Raises ValueError, with a sentence for the user, for anything but an RSA, DSA,
    ECDSA or Ed25519 key.
    """
    line = text.strip()
    words = line.split(None, 2)
    if len(words) < 2 or "\n" in line:
        raise ValueError("an OpenSSH public key is one line: type, base64, comment")
    try:
        blob = base64.b64decode(words[1], validate=True)
        if words[0] == "ssh-dss":
            return PublicKey(line, "dsa", blob, "".join(words[2:]), _dsa_key(blob))
        key = load_ssh_public_key(f"{words[0]} {words[1]}".encode())
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"not an OpenSSH public key: {error}") from error
    comment = words[2] if len(words) == 3 else ""
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey(line, "rsa", blob, comment, key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return PublicKey(line, "ecdsa", blob, comment, key)
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(line, "ed25519", blob, comment, key)
    raise ValueError(f"{words[0]} keys are not supported; use RSA, DSA, ECDSA or Ed25519")


def _dsa_key(blob: bytes) -> dsa.DSAPublicKey:
    """The key of an `ssh-dss` line: its name, then p, q, g and y (RFC 4253, 6.6).

    Read here, because load_ssh_public_key takes 1024 bits alone, with a warning that
    it will not take DSA at all in a later release.  Raises ValueError.
    """
    fields: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4])
        if len(blob) < 4 + length:
            raise ValueError("it ends too early")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if len(fields) != 5 or fields[0] != b"ssh-dss":
        raise ValueError("its parts are not those of a DSA key")
    p, q, g, y = (int.from_bytes(field, signed=True) for field in fields[1:])
    if min(p, q, g) < 1 or not 1 < y < p:
        raise ValueError("its numbers are not those of a DSA key")
    return dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()


def same_key(identifier: str, name: str, fingerprint: str, line: str) -> bool:
    """True when `identifier` (a name, an MD5 or a SHA256 fingerprint) means this key."""
    if identifier in (name, fingerprint):
        return True
    if identifier[:4].upper() == "MD5:":
        return identifier[4:].lower() == fingerprint
    return identifier.startswith("SHA256:") and identifier == parse_public_key(line).sha256
