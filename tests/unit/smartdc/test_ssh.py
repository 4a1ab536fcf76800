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
from smartdc.ssh import FOR_PROGRAMS, Destination, Destinations, LoginKey, flags

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


IDENT = "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d"
NEIGHBOUR = "6a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d"
USERS_OWN = """
Host *
  Port 2222
  RequestTTY force
  RemoteCommand tmux
  PermitLocalCommand yes
  LocalForward 8888 localhost:8888
  RemoteForward 9999 localhost:22
  DynamicForward 1080
  ExitOnForwardFailure yes
  PreferredAuthentications password
  PubkeyAuthentication no
  ProxyJump gate.example
"""


def understood(
    home: Path, machine: dict[str, Any], *others: dict[str, Any], **how: Any
) -> dict[str, str]:
    """What ssh makes of the command for a machine, where the user has a configuration."""
    config = home / "config"
    config.write_text(USERS_OWN)
    destinations = Destinations([machine, *others], {}, None, home / "known", **how)
    command = destinations.of(machine).command("root")
    # as if it were ~/.ssh/config, which is read from the home of the password database
    given = [] if "-F" in command else ["-F", str(config)]
    done = subprocess.run(
        ["ssh", *given, "-G", *command[1:]], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_what_a_user_has_for_logins_of_his_own_is_not_for_ours(tmp_path: Path) -> None:
    found = understood(tmp_path, {"id": IDENT, "primaryIp": "203.0.113.7"})
    wanted = {"requesttty": "false", "permitlocalcommand": "no", "clearallforwardings": "yes"}
    wanted |= {"port": "22", "hostname": "203.0.113.7", "user": "root"}
    wanted |= {"preferredauthentications": "publickey", "pubkeyauthentication": "true"}
    assert {key: found[key] for key in wanted} == wanted
    assert found.get("remotecommand", "none") == "none"
    assert found["proxyjump"] == "gate.example", "the way is the user's"


def test_a_port_that_is_meant_for_machines_counts(tmp_path: Path) -> None:
    plain = {"id": IDENT, "primaryIp": "203.0.113.7"}
    tagged = {**plain, "tags": {"tritoncli.ssh.port": 2022}}
    assert understood(tmp_path, tagged)["port"] == "2022"
    config = str(tmp_path / "config")
    assert understood(tmp_path, plain, ssh_config=config)["port"] == "2222", "named for machines"
    # what Ansible was told, in group_vars for example, comes before ansible_ssh_common_args
    told = Destination("203.0.113.7", 2023, Destinations([], {}, None, tmp_path).of(plain).options)
    words = told.command("root")
    assert words.index("-p") < words.index("Port=22")


def test_the_port_of_a_jump_host(tmp_path: Path) -> None:
    """One that is no machine is reached as the user reaches it."""
    hop = {"id": NEIGHBOUR, "name": "hop", "primaryIp": "203.0.113.9"}
    machine = {"id": IDENT, "primaryIp": "10.88.0.7"}
    through = understood(tmp_path, machine, hop, jump_host="hop")["proxycommand"]
    assert "-o Port=22 " in through and "-W %h:%p" in through
    for option in ("RequestTTY=no", "RemoteCommand=none", "PermitLocalCommand=no"):
        assert option in through
    assert "Port=" not in understood(tmp_path, machine, jump_host="gate")["proxycommand"]
    tagged = {**hop, "tags": {"tritoncli.ssh.port": 2022}}
    through = understood(tmp_path, machine, tagged, jump_host="hop")["proxycommand"]
    assert "-p 2022 " in through and "Port=" not in through


def test_the_words_of_a_command() -> None:
    given = Destination("203.0.113.7", 2222, "-F 'a b' -o BatchMode=no")
    words = given.command("root", ["-N"], ["true"])
    first = ["ssh", "-p", "2222", "-F", "a b", "-o", "BatchMode=no"]
    assert words[:7] == first, "the first value counts"
    assert words[-6:] == ["-N", "-l", "root", "--", "203.0.113.7", "true"]
    assert set(FOR_PROGRAMS) < set(words)
    assert Destination("-oProxyCommand=x").command("root")[-2:] == ["--", "-oProxyCommand=x"]
    with pytest.raises(ValueError, match="quotation"):
        Destination("h", None, "-F 'a").command("root")


def test_ansible_has_the_same_options() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "ansible.cfg")
    assert settings["ssh_connection"]["ssh_args"].endswith(" ".join(flags(*FOR_PROGRAMS)))
