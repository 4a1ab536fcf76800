"""A signer of its own, so that a mistake in the server's reading of the protocol shows."""

from __future__ import annotations

import base64
import hashlib
from email.utils import formatdate
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa

DIGESTS = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha512": hashes.SHA512()}


def dss_line(public):
    """The OpenSSH line of a DSA key of any size: RFC 4253, 6.6."""
    numbers = public.public_numbers()
    of = numbers.parameter_numbers
    parts = [b"ssh-dss"]
    parts += [n.to_bytes(n.bit_length() // 8 + 1) for n in (of.p, of.q, of.g, numbers.y)]
    blob = b"".join(len(part).to_bytes(4) + part for part in parts)
    return f"ssh-dss {base64.b64encode(blob).decode()}"


def openssh_line(public):
    if isinstance(public, dsa.DSAPublicKey):
        return dss_line(public)
    return public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


class Key:
    def __init__(self, kind):
        if kind == "rsa":
            self.private = rsa.generate_private_key(65537, 2048)
        elif kind == "ed25519":
            self.private = ed25519.Ed25519PrivateKey.generate()
        elif kind.startswith("dsa"):
            self.private = dsa.generate_private_key(int(kind.removeprefix("dsa")))
        else:
            curve = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}[kind]
            self.private = ec.generate_private_key(curve)
        self.line = openssh_line(self.private.public_key())
        blob = base64.b64decode(self.line.split()[1])
        digest = hashlib.md5(blob).hexdigest()
        self.md5 = ":".join(digest[i : i + 2] for i in range(0, 32, 2))
        self.sha256 = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().strip(
            "="
        )

    def sign(self, algorithm, text):
        data = text.encode()
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            raw = self.private.sign(data)
        elif isinstance(self.private, rsa.RSAPrivateKey):
            raw = self.private.sign(data, padding.PKCS1v15(), DIGESTS[algorithm.split("-")[1]])
        elif isinstance(self.private, dsa.DSAPrivateKey):
            raw = self.private.sign(data, DIGESTS[algorithm.split("-")[1]])
        else:
            raw = self.private.sign(data, ec.ECDSA(DIGESTS[algorithm.split("-")[1]]))
        return base64.b64encode(raw).decode()


class Signer(requests.auth.AuthBase):
    """signed: names of the headers to sign, None = the old form over the bare date."""

    def __init__(
        self, key, login="acme", key_id=None, algorithm="rsa-sha256", signed="date", date=None
    ):
        self.key, self.login, self.algorithm, self.signed = key, login, algorithm, signed
        self.key_id = key_id or f"/{login}/keys/{key.md5}"
        self.date = date

    def __call__(self, request):
        request.headers["Date"] = date = self.date or formatdate(usegmt=True)
        start = f'Signature keyId="{self.key_id}",algorithm="{self.algorithm}"'
        if self.signed is None:
            request.headers["Authorization"] = f"{start} {self.key.sign(self.algorithm, date)}"
            return request
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = []
        for name in self.signed.split():
            if name == "(request-target)":
                lines.append(f"(request-target): {request.method.lower()} {target}")
            elif name == "request-line":
                lines.append(f"{request.method} {target} HTTP/1.1")
            elif name == "host":
                lines.append(f"host: {parts.netloc}")
            else:
                lines.append(f"{name}: {request.headers[name]}")
        signature = self.key.sign(self.algorithm, "\n".join(lines))
        request.headers["Authorization"] = (
            f'{start},headers="{self.signed}",signature="{signature}"'
        )
        return request
