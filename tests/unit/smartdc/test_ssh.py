"""The command that reaches a machine: its words, and the key that it offers.

The key that signs for CloudAPI is the one that ssh offers, judged by a real sshd.
"""

from __future__ import annotations

import configparser
import getpass
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smartdc import DataCenter
from smartdc.ssh import KEEPALIVE, Destination, Destinations, LoginKey, flags

from ..private_sshd import PROGRAM, make_key, private_sshd
from .fake_cloud import FakeCloud, ssh_add

needs_sshd = pytest.mark.skipif(PROGRAM is None, reason="openssh-server is not installed")
ROOT = Path(__file__).resolve().parents[3]

Login = Callable[[LoginKey | None], subprocess.CompletedProcess[str]]


@pytest.fixture
def own_key(home: Path) -> Path:
    """The account's key, under a name that ssh does not try of itself."""
    return make_key(home / ".ssh" / "triton")


@pytest.fixture
def login(tmp_path: Path, own_key: Path) -> Iterator[Login]:
    """Tries to get into a machine that takes the account's key."""
    authorized = tmp_path / "authorized"
    authorized.write_text(own_key.with_suffix(".pub").read_text())
    # without configuration: what the user has must not decide
    (tmp_path / "empty").touch()
    server = tmp_path / "sshd"
    server.mkdir()
    with private_sshd(server, authorized) as port:
        tags = {"tritoncli.ssh.port": port, "tritoncli.ssh.ip": "127.0.0.1"}
        machine = {"id": "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d", "tags": tags}

        def attempt(key: LoginKey | None) -> subprocess.CompletedProcess[str]:
            known_hosts = tmp_path / "a directory" / "known_hosts"
            known_hosts.parent.mkdir(exist_ok=True)
            config = str(tmp_path / "empty")
            destinations = Destinations([machine], {}, key, known_hosts, ssh_config=config)
            command = destinations.of(machine).command(getpass.getuser(), remote=["true"])
            return subprocess.run(command, capture_output=True, text=True, check=False)

        yield attempt


def signing_key(cloud: FakeCloud, url: str, own_key: Path) -> LoginKey:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    public: Any = load_ssh_public_key(own_key.with_suffix(".pub").read_bytes())
    with DataCenter(url, cloud.allow("/acme/keys/k", public), login="acme") as dc:
        dc.me()
        assert dc.auth
        return LoginKey.of(dc.auth.signer)


@needs_sshd
def test_a_key_file_of_any_name(login: Login, cloud: FakeCloud, url: str, own_key: Path) -> None:
    assert "Permission denied" in login(None).stderr
    key = signing_key(cloud, url, own_key)
    assert key.file == str(own_key)
    assert login(key).returncode == 0, login(key).stderr


@needs_sshd
def test_the_ninth_key_of_an_agent(
    agent: str,
    login: Login,
    cloud: FakeCloud,
    url: str,
    own_key: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "s"))
    for number in range(8):
        ssh_add(agent, str(make_key(tmp_path / f"strange{number}")))
    ssh_add(agent, str(own_key))
    own_key.unlink()
    refused = login(None)
    assert refused.returncode == 255 and "Permission denied" not in refused.stderr, refused.stderr
    key = signing_key(cloud, url, own_key)
    assert key.file is None and "ssh-agent" in key.name
    assert login(key).returncode == 0, login(key).stderr


def test_the_words_of_a_command() -> None:
    given = Destination("203.0.113.7", 2222, "-F 'a b' -o BatchMode=no")
    words = given.command("root", ["-N"], ["true"])
    assert words[:5] == ["ssh", "-F", "a b", "-o", "BatchMode=no"], "the first value counts"
    assert words[-8:] == ["-N", "-p", "2222", "-l", "root", "--", "203.0.113.7", "true"]
    assert set(KEEPALIVE) < set(words)
    assert Destination("-oProxyCommand=x").command("root")[-2:] == ["--", "-oProxyCommand=x"]
    with pytest.raises(ValueError, match="quotation"):
        Destination("h", None, "-F 'a").command("root")


def test_ansible_gives_connections_up_after_the_same_time() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "ansible.cfg")
    assert " ".join(flags(*KEEPALIVE)) in settings["ssh_connection"]["ssh_args"]
