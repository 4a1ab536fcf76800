"""What the client signs, verified by what CloudAPI verifies with: npm's http-signature."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from embedded.clients.http_signature import verifier
from embedded.clients.install import CACHE, Clients, Missing, install
from smartdc import DataCenter
from smartdc.agent import Agent
from smartdc.auth import HttpSignature, find_signers
from smartdc.errors import AgentError
from smartdc.keys import KeyId, blob_of, md5_of, public_line

KEYS = {
    "rsa-2048": rsa.generate_private_key(65537, 2048),
    "rsa-3072": rsa.generate_private_key(65537, 3072),
    "ecdsa-256": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-384": ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
REQUESTS = [
    ("GET", "/acme"),
    ("HEAD", "/acme/machines?tag.role=a%20b&name=c%C3%A4f%C3%A9&limit=1"),
    ("POST", "/acme/machines/0?action=stop"),
    ("PUT", "/acme/machines/0/tags"),
    ("DELETE", "/acme/keys/my%20laptop%2F1"),
]


@pytest.fixture(scope="module")
def clients() -> Clients:
    try:
        return install(CACHE)
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def url(clients: Clients) -> Iterator[str]:
    """A server that accepts what http-signature does, of the account and of a sub-user."""
    lines = {md5_of(blob_of(key)): public_line(blob_of(key)) for key in KEYS.values()}
    holders = ("/acme", "/acme/users/bob")
    known = {f"{who}/keys/{name}": line for who in holders for name, line in lines.items()}
    with verifier(clients, known) as url:
        yield url


def text(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ).decode()
    )


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An ssh-agent that holds all keys."""
    socket = tmp_path_factory.mktemp("agent") / "s"
    environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            # it listens before it says where
            assert process.stdout.readline()
            for key in KEYS.values():
                subprocess.run(
                    ["ssh-add", "-q", "-"],
                    input=text(key), env=environment, text=True, check=True, timeout=20,
                )  # fmt: skip
            yield Agent(str(socket))
        finally:
            process.terminate()


def statuses(url: str, auth: HttpSignature) -> set[int]:
    return {
        requests.request(method, url + path, json={"a": 1}, auth=auth, timeout=20).status_code
        for method, path in REQUESTS
    }


@pytest.mark.parametrize("user", [None, "bob"])
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_from_a_file(url: str, kind: str, user: str | None) -> None:
    key_id = KeyId.parse(md5_of(blob_of(KEYS[kind])), "acme", user)
    signature = HttpSignature(key_id, find_signers(key_id, text(KEYS[kind])))
    assert statuses(url, signature) == {200}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_in_an_agent(url: str, agent: Agent, tmp_path: Path, kind: str) -> None:
    key_id = KeyId.parse(md5_of(blob_of(KEYS[kind])), "acme")
    signature = HttpSignature(key_id, find_signers(key_id, ssh_dir=tmp_path, agent=agent))
    if kind == "ecdsa-384":
        # an agent signs with SHA-384 then, which http-signature does not verify
        with pytest.raises(AgentError, match="nistp384"):
            statuses(url, signature)
        return
    assert statuses(url, signature) == {200}


def test_the_client_as_a_whole(url: str) -> None:
    key = KEYS["ecdsa-384"]
    with DataCenter(url, md5_of(blob_of(key)), secret=text(key), login="acme") as dc:
        assert dc.me()["login"] == "acme"


@pytest.mark.parametrize("kind", KEYS)
def test_what_another_key_signed_is_refused(url: str, kind: str) -> None:
    others = [key for name, key in KEYS.items() if name != kind]
    named = KeyId("acme", None, md5_of(blob_of(KEYS[kind])))
    signers = [signer for key in others for signer in find_signers(named, text(key))]
    for signer in signers:
        assert statuses(url, HttpSignature(named, [signer])) == {401}
