"""Key ids, private keys of every kind from files and from a real ssh-agent, signatures."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from smartdc import DataCenter
from smartdc.agent import Agent
from smartdc.errors import (
    AgentError,
    BadKey,
    ClockSkew,
    ConfigError,
    EncryptedKey,
    KeyNotFound,
    Unauthorized,
)
from smartdc.keys import KeyId, blob_of, load_private, md5_of, sha256_of

from .fake_cloud import FakeCloud, ssh_add, write_key

KINDS = ["rsa", "p256", "p384", "p521", "ed25519"]
MD5 = "c2:c4:b1:20:9d:e6:76:4d:d6:51:fa:ed:f7:30:fe:7d"


def has(command: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(command), reason=f"needs {command}")


@pytest.mark.parametrize(
    ("text", "md5", "name"),
    [
        (MD5, MD5, MD5),
        (MD5.upper(), MD5, MD5.upper()),
        ("MD5:" + MD5, MD5, "MD5:" + MD5),
        (MD5.replace(":", ""), MD5, MD5.replace(":", "")),
        ("md5:" + MD5.replace(":", ""), MD5, "md5:" + MD5.replace(":", "")),
        ("/acme/keys/" + MD5, MD5, MD5),
        ("laptop", None, "laptop"),
        ("/acme/keys/my laptop", None, "my laptop"),
    ],
)
def test_key_id_forms(text: str, md5: str | None, name: str) -> None:
    parsed = KeyId.parse(text, "acme")
    assert (parsed.account, parsed.user, parsed.md5, parsed.name) == ("acme", None, md5, name)


def test_key_id_of_a_sub_user() -> None:
    assert KeyId.parse("/acme/users/bob/keys/k").user == "bob"
    assert KeyId.parse(MD5, "acme", "bob").path(b"x").startswith("/acme/users/bob/keys/")


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("laptop", None),
        ("laptop", "my"),
        ("/a/b", "x"),
        ("MD5:zz", "x"),
        ('a"b', "x"),
        ("k", "中"),
        ("", "x"),
    ],
)
def test_key_ids_that_are_none(text: str, account: str | None) -> None:
    with pytest.raises(ConfigError):
        KeyId.parse(text, account)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", ["openssh", "pkcs8", "traditional"])
def test_every_key_signs(
    kind: str, fmt: str, cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any]
) -> None:
    if (kind, fmt) == ("ed25519", "traditional"):
        pytest.skip("there is no such format")
    key = private_keys[kind]
    fingerprint = cloud.allow("/acme/keys/k", key.public_key())
    path = write_key(home / "key", key, fmt=fmt)
    for key_id in (fingerprint, "/acme/keys/k", sha256_of(blob_of(key))):
        with DataCenter(url, key_id, str(path), login="acme") as dc:
            assert dc.me()["login"] == "acme"
    with DataCenter(url, secret=path.read_text(), login="acme") as dc:
        assert dc.list_machines() == []


@pytest.mark.parametrize("pub", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_found_by_fingerprint(
    kind: str, pub: bool, cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any]
) -> None:
    for number, other in enumerate(KINDS):
        write_key(home / ".ssh" / f"key{number}", private_keys[other], pub=pub)
    (home / ".ssh" / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END")
    (home / ".ssh" / "noise.pub").write_text("ssh-rsa !!!")
    fingerprint = cloud.allow("/acme/keys/k", private_keys[kind].public_key())
    with DataCenter(url, fingerprint, login="acme") as dc:
        assert dc.me()
    with DataCenter(url, sha256_of(blob_of(private_keys[kind])), login="acme") as dc:
        assert dc.me()
        assert f'keyId="/acme/keys/{fingerprint}"' in cloud.headers[-1]["Authorization"]


def test_sub_user(cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any]) -> None:
    key = private_keys["p256"]
    path = write_key(home / "key", key)
    fingerprint = cloud.allow("/acme/users/bob/keys/k", key.public_key())
    with DataCenter(url, fingerprint, str(path), login="acme", user="bob") as dc:
        assert dc.machines() == []
    assert cloud.requests[-1][1].startswith("/acme/machines")
    assert f'keyId="/acme/users/bob/keys/{fingerprint}"' in cloud.headers[-1]["Authorization"]


def test_a_name_tries_the_usual_files(
    cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any]
) -> None:
    write_key(home / ".ssh" / "id_rsa", private_keys["rsa"])
    write_key(home / ".ssh" / "id_ed25519", private_keys["ed25519"])
    cloud.allow("/acme/keys/laptop", private_keys["ed25519"].public_key())
    with DataCenter(url, "/acme/keys/laptop") as dc:
        assert dc.me()
        assert len(cloud.requests) == 2
        dc.me()
        assert len(cloud.requests) == 3


def test_key_not_found(home: Path, private_keys: dict[str, Any]) -> None:
    with pytest.raises(KeyNotFound, match=r"\.ssh or ssh-agent .*SDC_KEY_FILE"):
        DataCenter("http://127.0.0.1:1", MD5, login="acme")
    path = write_key(home / "key", private_keys["p256"])
    with pytest.raises(KeyNotFound, match=r"is not the key .*its fingerprint is"):
        DataCenter("http://127.0.0.1:1", MD5, str(path), login="acme")
    with pytest.raises(KeyNotFound, match="No such file"):
        DataCenter("http://127.0.0.1:1", MD5, str(home / "none"), login="acme")
    shutil.rmtree(home / ".ssh")
    with pytest.raises(KeyNotFound):
        DataCenter("http://127.0.0.1:1", "name", login="acme")


def public_only(home: Path, line: bytes) -> str:
    """A public key alone in ~/.ssh; its fingerprint."""
    (home / ".ssh" / "token.pub").write_bytes(line + b" me@laptop\n")
    return md5_of(base64.b64decode(line.split()[1]))


def test_only_the_public_half_is_there(home: Path, private_keys: dict[str, Any]) -> None:
    line = (
        private_keys["ed25519"]
        .public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )
    fingerprint = public_only(home, line)
    with pytest.raises(KeyNotFound, match=r"only its public half is at hand .*token\.pub.*ssh-add"):
        DataCenter("http://127.0.0.1:1", fingerprint, login="acme")


def test_a_key_of_a_security_token(home: Path) -> None:
    """As ssh-keygen -t ed25519-sk writes it (OpenSSH, PROTOCOL.u2f)."""
    kind, point, application = b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:"
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind, point, application))
    fingerprint = public_only(home, kind + b" " + base64.b64encode(blob))
    with pytest.raises(KeyNotFound, match=r"security token \(sk-ssh-ed25519@openssh\.com\)"):
        DataCenter("http://127.0.0.1:1", fingerprint, login="acme")


@has("ssh")
def test_an_agent_that_only_ssh_knows(home: Path, tmp_path: Path) -> None:
    # ssh reads the configuration of the account, whatever HOME says
    tools = tmp_path / "tools"
    tools.mkdir()
    config = tmp_path / "config"
    config.write_text("Host *\n  IdentityAgent /run/user/1password.sock\n")
    ssh = tools / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    ssh.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        with pytest.raises(KeyNotFound, match=r"SSH_AUTH_SOCK=/run/user/1password\.sock"):
            DataCenter("http://127.0.0.1:1", MD5, login="acme")


def test_not_a_key(home: Path) -> None:
    (home / "text").write_text("hello")
    with pytest.raises(BadKey, match="not a private key"):
        DataCenter("http://127.0.0.1:1", "name", str(home / "text"), login="acme")


@has("ssh-keygen")
def test_dsa_like_kinds_are_refused(home: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ed448

    key = ed448.Ed448PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(BadKey, match="unsupported kind"):
        load_private(pem, "key")


@pytest.mark.parametrize("fmt", ["pkcs8", "traditional"])
def test_encrypted_pem(
    fmt: str, cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any]
) -> None:
    path = write_key(home / "key", private_keys["rsa"], fmt=fmt, password=b"open")
    cloud.allow("/acme/keys/k", private_keys["rsa"].public_key())
    asked: list[str] = []

    def ask(where: str) -> str:
        asked.append(where)
        return "open"

    for passphrase in ("open", b"open", ask):
        with DataCenter(url, "/acme/keys/k", str(path), passphrase=passphrase) as dc:
            assert dc.me()
    assert asked == [str(path)]
    with pytest.raises(EncryptedKey, match="ssh-add"):
        DataCenter(url, "/acme/keys/k", str(path))
    with pytest.raises(EncryptedKey, match="wrong passphrase"):
        DataCenter(url, "/acme/keys/k", str(path), passphrase="shut")


@pytest.mark.parametrize("kind", KINDS)
def test_agent_signs(
    kind: str,
    agent: str,
    cloud: FakeCloud,
    url: str,
    home: Path,
    private_keys: dict[str, Any],
) -> None:
    for number, other in enumerate(KINDS):
        ssh_add(agent, str(write_key(home / f"key{number}", private_keys[other])))
    fingerprint = cloud.allow("/acme/keys/k", private_keys[kind].public_key())
    dc = DataCenter(url, fingerprint, login="acme")
    if kind == "p384":
        with pytest.raises(AgentError, match=r"does not accept .*p384"):
            dc.me()
    else:
        assert dc.me()
    dc.close()
    with pytest.raises(KeyNotFound):
        DataCenter(url, fingerprint, login="acme", allow_agent=False)


def test_agent_by_name_tries_each_key(
    agent: str, cloud: FakeCloud, url: str, home: Path, private_keys: dict[str, Any]
) -> None:
    for number, other in enumerate(["rsa", "p256", "ed25519"]):
        ssh_add(agent, str(write_key(home / f"key{number}", private_keys[other])))
    cloud.allow("/acme/keys/laptop", private_keys["ed25519"].public_key())
    with DataCenter(url, "/acme/keys/laptop") as dc:
        assert dc.me()


@has("ssh-keygen")
def test_encrypted_openssh_key_is_taken_from_the_agent(
    agent: str, cloud: FakeCloud, url: str, home: Path
) -> None:
    path = home / ".ssh" / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open", "-f", str(path)], check=True)
    line = path.with_name("id_ed25519.pub").read_bytes()
    public = serialization.load_ssh_public_key(line)
    fingerprint = cloud.allow("/acme/keys/k", public)
    with pytest.raises(EncryptedKey, match="ssh-add"):
        DataCenter(url, fingerprint, login="acme")
    with pytest.raises(EncryptedKey, match="ssh-add"):
        DataCenter(url, "/acme/keys/k")
    askpass = home / "askpass"
    askpass.write_text("#!/bin/sh\necho open\n")
    askpass.chmod(0o755)
    ssh_add(agent, str(path), env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"})
    for options in ({"login": "acme"}, {"login": "acme", "secret": str(path)}):
        with DataCenter(url, fingerprint, **options) as dc:
            assert dc.me()


def test_locked_and_absent_agents(
    agent: str, home: Path, private_keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_key(home / "key", private_keys["p256"])
    ssh_add(agent, str(path))
    held = Agent().identities()[0]
    assert held.blob == blob_of(private_keys["p256"])
    ssh_add(agent, "-D")
    assert Agent().identities() == []
    with pytest.raises(AgentError, match="refuses to sign"):
        held.sign(b"data")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "nothing"))
    assert not Agent().available
    with pytest.raises(AgentError, match="SSH_AUTH_SOCK"):
        Agent().identities()
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(AgentError, match="not set"):
        Agent().identities()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\x05\x0c\0\0\0\x09",
        b"\0\0\0\x09\x0c\0\0\0\x01\0\0\x09\0",
    ],
)
def test_an_agent_that_talks_nonsense(reply: bytes, tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        listener.listen(1)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(100)
                peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(AgentError):
            Agent(str(tmp_path / "sock"), timeout=2).identities()
        thread.join()


def test_one_signature_per_second(sdc: DataCenter, private_keys: dict[str, Any]) -> None:
    assert sdc.auth is not None
    date = "Sun, 22 Nov 2026 17:00:00 GMT"
    first = sdc.auth.header("GET", "/acme/machines", date)
    assert sdc.auth.header("GET", "/acme/machines", date) is first
    assert sdc.auth.header("GET", "/acme/keys", date) != first
    assert sdc.auth.header("GET", "/acme/machines", date.replace(":00 ", ":01 ")) != first


def test_wrong_key(connect: Callable[..., DataCenter], home: Path, private_keys: Any) -> None:
    path = write_key(home / "other", private_keys["rsa"])
    fingerprint = md5_of(blob_of(private_keys["rsa"]))
    with pytest.raises(Unauthorized, match="SDC_KEY_ID") as caught:
        connect(key_id=fingerprint, secret=str(path)).me()
    error = caught.value
    assert (error.code, error.status) == ("InvalidCredentials", 401)
    assert error.request_id == "11111111-2222-3333-4444-555555555555"
    assert (error.method, error.path) == ("GET", "/acme")
    assert "\n" not in str(error)


def test_unsigned(url: str) -> None:
    with DataCenter(url, login="acme") as dc:
        assert dc.auth is None
        assert dc.api()["ping"] == "pong"
        with pytest.raises(Unauthorized):
            dc.machines()


def test_clock_skew(cloud: FakeCloud, sdc: DataCenter) -> None:
    cloud.skew_limit = -1
    with pytest.raises(ClockSkew, match=r"the server's time is .*NTP"):
        sdc.me()
