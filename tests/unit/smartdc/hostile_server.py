"""A server that answers anything, and certificates that nobody signed."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

JSON = "Content-Type: application/json"


@contextmanager
def raw_server(answer: Callable[[socket.socket], object], *, read: bool = True) -> Iterator[str]:
    """A server that reads a request and then does what ``answer`` does with the socket."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        if not read or peer.recv(65536):
                            answer(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def respond(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> Any:
    lines = [f"HTTP/1.1 {status}", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"

    def answer(peer: socket.socket) -> None:
        peer.sendall(head + body)

    return answer


def certificate(home: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = home / "cert.pem"
    pem.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    private = home / "tls.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private
