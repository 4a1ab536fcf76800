"""The part of the ssh-agent protocol that signing needs (draft-ietf-sshm-ssh-agent)."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from .errors import AgentError, BadKey
from .keys import SUPPORTED_TYPES, take_string, type_of

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_RSA_SHA2_256 = 2
_MAX_MESSAGE = 256 * 1024
# sun_path holds 108 bytes on Linux and 104 on macOS, the last of them a NUL
_MAX_SOCKET_PATH = 103

_ALGORITHMS = {
    b"rsa-sha2-256": "rsa-sha256",
    b"rsa-sha2-512": "rsa-sha512",
    b"ssh-rsa": "rsa-sha1",
    b"ecdsa-sha2-nistp256": "ecdsa-sha256",
    b"ecdsa-sha2-nistp521": "ecdsa-sha512",
    b"ssh-ed25519": "ed25519-sha512",
}


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class Agent:
    """One ssh-agent, by its socket.

    :param path: the socket; default ``$SSH_AUTH_SOCK``
    :param timeout: seconds to wait for an answer (an agent may ask its user)
    :raises AgentError: from every call, when there is no agent or it refuses
    """

    def __init__(self, path: str | None = None, timeout: float = 60.0) -> None:
        self.path = path or os.environ.get("SSH_AUTH_SOCK") or ""
        self.timeout = timeout

    @property
    def available(self) -> bool:
        """Whether there is a socket at all."""
        return bool(self.path) and Path(self.path).exists()

    def identities(self) -> list[AgentKey]:
        """The keys that the agent holds and CloudAPI takes."""
        return [
            AgentKey(self, blob, comment)
            for blob, comment in self.all_identities()
            if type_of(blob).encode() in SUPPORTED_TYPES
        ]

    def all_identities(self) -> list[tuple[bytes, str]]:
        """(public key in SSH wire form, comment) of each key that the agent holds."""
        kind, body = self._ask(bytes([_REQUEST_IDENTITIES]))
        if kind != _IDENTITIES_ANSWER:
            raise AgentError("ssh-agent does not list its keys", hint="is it locked (ssh-add -X)?")
        count, rest = int.from_bytes(body[:4], "big"), body[4:]
        found = []
        try:
            for _ in range(count):
                blob, rest = take_string(rest)
                comment, rest = take_string(rest)
                type_of(blob)
                found.append((blob, comment.decode("utf-8", "replace")))
        except BadKey as error:
            raise AgentError(f"ssh-agent answered nonsense: {error.message}") from None
        return found

    def sign(self, blob: bytes, data: bytes, comment: str = "") -> tuple[bytes, bytes]:
        """(SSH signature format, signature) of ``data`` by the key with this public blob."""
        request = bytes([_SIGN_REQUEST]) + _string(blob) + _string(data)
        kind, body = self._ask(request + _RSA_SHA2_256.to_bytes(4, "big"))
        if kind != _SIGN_RESPONSE:
            raise AgentError(
                f"ssh-agent refuses to sign with key {comment or 'without comment'}",
                hint="is the agent locked, or was the confirmation denied?",
            )
        try:
            fmt, rest = take_string(take_string(body)[0])
            return fmt, take_string(rest)[0]
        except BadKey as error:
            raise AgentError(f"ssh-agent answered nonsense: {error.message}") from None

    def _ask(self, message: bytes) -> tuple[int, bytes]:
        if not self.path:
            raise AgentError("no ssh-agent: SSH_AUTH_SOCK is not set", hint="start one, or ssh-add")
        try:
            with self._connection() as sock:
                sock.sendall(_string(message))
                size = int.from_bytes(_exactly(sock, 4), "big")
                if not 0 < size <= _MAX_MESSAGE:
                    raise AgentError(f"ssh-agent answered {size} bytes", hint="is it an ssh-agent?")
                answer = _exactly(sock, size)
        except OSError as error:
            raise AgentError(
                f"ssh-agent at {self.path} does not answer: {error}",
                hint="correct or unset SSH_AUTH_SOCK",
            ) from None
        return answer[0], answer[1:]

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(self.timeout)
            if len(os.fsencode(self.path)) <= _MAX_SOCKET_PATH:
                sock.connect(self.path)
            else:
                with tempfile.TemporaryDirectory(dir="/tmp") as short:
                    link = Path(short, "agent")
                    link.symlink_to(Path(self.path).absolute())
                    sock.connect(str(link))
            yield sock


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ConnectionError("connection closed")
        data += chunk
    return data


@dataclass(frozen=True)
class AgentKey:
    """A key that stays in the agent."""

    agent: Agent
    blob: bytes
    comment: str

    @property
    def where(self) -> str:
        return f"ssh-agent ({self.comment})"

    @property
    def file(self) -> None:
        """There is none."""

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """(CloudAPI algorithm name, signature) over ``data``.

        :raises AgentError: refused, or a kind of signature that CloudAPI does not know
        """
        fmt, signature = self.agent.sign(self.blob, data, self.comment)
        algorithm = _ALGORITHMS.get(fmt)
        if algorithm is None:
            raise AgentError(
                f"CloudAPI does not accept signatures of the kind {fmt.decode('ascii', 'replace')}",
                hint="use an rsa, ed25519 or nistp256 key",
            )
        if algorithm.startswith("ecdsa"):
            r, rest = take_string(signature)
            s, _ = take_string(rest)
            signature = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        return algorithm, signature
