"""Whose key opens a machine: real sshd, real keys (sdc-ufds, capi/keys.js, for smartlogin)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from smartdc import Machine

from embedded.center import Center, eventually

LOGIN = "bobby"


def new_key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def gets_in(center: Center, key: Path, machine: Machine) -> bool:
    """Whether ssh with this key, and no other, runs a command in the machine."""
    connect = f"{sys.executable} -m localdc connect %h %p"
    options = {
        "IdentitiesOnly": "yes", "IdentityAgent": "none", "BatchMode": "yes",
        "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null",
        "ProxyUseFdpass": "yes", "ProxyCommand": connect,
    }  # fmt: skip
    done = subprocess.run(
        [
            *("ssh", "-F", "/dev/null", "-i", str(key), "-l", "root"),
            *(f"-o{name}={value}" for name, value in options.items()),
            str(machine.public_ips[0]),
            "true",
        ],
        env=center.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0 or "Permission denied (publickey" in done.stderr, done.stderr
    return done.returncode == 0


def test_only_an_administrators_key_opens_a_machine(
    center: Center, pair: tuple[Machine, Machine], tmp_path: Path
) -> None:
    machine, key = pair[0], tmp_path / "bob"
    line = new_key(key)
    center.ssh(str(machine.public_ips[0]), "true")
    with center.api() as api:
        user = {"login": LOGIN, "email": "bobby@example.com", "password": "secret-1"}
        api.post_object("users", json=user)
        try:
            api.post_object("users", LOGIN, "keys", json={"key": line})
            assert not gets_in(center, key, machine)
            members = [{"type": "subuser", "login": LOGIN, "default": True}]
            role = api.post_object("roles", json={"name": "administrator", "members": members})
            eventually(lambda: gets_in(center, key, machine))
            api.remove("roles", role["id"])
            eventually(lambda: not gets_in(center, key, machine))
        finally:
            api.remove("users", LOGIN)
