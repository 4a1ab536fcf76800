"""What is not a machine, by the `triton` command: account, keys, images, packages, networks."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from embedded.clients.shell import IMAGE, PACKAGE, Shell


@pytest.mark.parametrize("kind", ["image", "package", "network"])
def test_lists_and_single_objects(shell: Shell, kind: str) -> None:
    name = {"image": IMAGE, "package": PACKAGE, "network": "external"}[kind]
    assert name in shell.triton(kind, "list", "-H", "-o", "name").splitlines()
    found = shell.triton_json(kind, "get", name)
    assert shell.triton_json(kind, "get", found["id"]) == found
    assert shell.triton_json(kind, "get", found["id"][:8]) == found
    message = shell.triton_fails(3, kind, "get", "nothing")
    assert "(ResourceNotFound): no" in message
    assert '"nothing" was found' in message


def test_filters_of_lists(shell: Shell) -> None:
    assert shell.triton("images", "-H", "-o", "name", "name=minimal-64-lts") == "minimal-64-lts\n"
    assert PACKAGE in shell.triton("packages", "-H", "-o", "name", "memory=512").split()
    assert PACKAGE not in shell.triton("packages", "-H", "-o", "name", "memory=1024").split()
    assert shell.triton("networks", "-H", "-o", "name", "public=true") == "external\n"
    assert shell.triton("images", "-H", "name=nothing") == ""
    assert "invalid key" in shell.triton_fails(1, "packages", "color=red")


def test_short_ids_are_unambiguous(shell: Shell) -> None:
    for kind in ("images", "packages", "networks"):
        ids = shell.triton(kind, "-H", "-o", "shortid").split()
        assert len(set(ids)) == len(ids)


def test_addresses_of_a_network(shell: Shell, web: str) -> None:
    network = shell.triton_json("network", "get", "external")["id"]
    rows = shell.triton("network", "ip", "list", "-H", "-o", "ip,belongs_to_uuid", network)
    assert [shell.triton("ip", "web").strip(), web] in [row.split() for row in rows.splitlines()]
    address = shell.triton_json("network", "ip", "get", network, "100.64.0.1")
    assert address["reserved"] is True
    shell.triton_fails(3, "network", "ip", "list", "nothing")


def test_default_network(shell: Shell) -> None:
    before = shell.triton_json("network", "get-default")
    shell.triton("network", "set-default", "external")
    assert shell.triton_json("network", "get-default")["name"] == "external"
    shell.triton("network", "set-default", before["id"])
    shell.triton_fails(3, "network", "set-default", "nothing")


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys(shell: Shell, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "other", "-f", str(file)]
    subprocess.run(command, check=True)
    public = f"{file}.pub"
    assert 'Added key "second"' in shell.triton("key", "add", "-n", "second", public)
    assert shell.triton("key", "get", "second") == Path(public).read_text()
    assert "second" in shell.triton("keys", "-H", "-o", "name").split()
    message = shell.triton_fails(1, "key", "add", "-n", "second", public)
    assert "(InvalidArgument): key already exists or is invalid" in message
    shell.triton("key", "delete", "-y", "second")
    assert "(ResourceNotFound)" in shell.triton_fails(1, "key", "get", "second")
    assert "(ResourceNotFound)" in shell.triton_fails(1, "key", "delete", "-y", "second")


def test_account(shell: Shell) -> None:
    account = shell.triton_json("account", "get", "-j")
    assert account["login"] == "localdc"
    shell.triton("account", "update", "companyName=A & B", "phone=123")
    account = shell.triton_json("account", "get", "-j")
    assert (account["companyName"], account["phone"]) == ("A & B", "123")
    # CloudAPI has no rule for the form of an address (sdc-cloudapi, lib/account.js, update)
    shell.triton("account", "update", "email=nonsense")
    assert shell.triton_json("account", "get", "-j")["email"] == "nonsense"
    assert "unknown or unupdateable field" in shell.triton_fails(1, "account", "update", "x=1")


def test_data_centers_services_and_info(shell: Shell) -> None:
    url = shell.environment["TRITON_URL"]
    assert shell.triton("datacenters", "-H").split() == ["localdc", url]
    assert ["cloudapi", url] in [r.split() for r in shell.triton("services", "-H").splitlines()]
    assert shell.triton_json("info", "-j")["login"] == "localdc"
    assert shell.triton_json("account", "limits", "-j") == []
    assert "users (0)" in shell.triton("rbac", "info")
    # what CloudAPI says where users may not migrate
    message = shell.triton_fails(1, "instance", "migration", "list")
    assert "(PreconditionFailed): User migration on this VM not allowed" in message


def test_any_path(shell: Shell) -> None:
    assert shell.triton_json("cloudapi", "/my/config").keys() == {"default_network"}
    message = shell.triton_fails(1, "cloudapi", "/my/nothing")
    assert "(ResourceNotFound): /my/nothing does not exist" in message


def test_wrong_credentials(shell: Shell) -> None:
    message = shell.triton_fails(1, "-a", "somebody", "info")
    assert "(InvalidCredentials): Invalid authorization credentials supplied" in message
    message = shell.triton_fails(1, "-k", ":".join(["00"] * 16), "info")
    assert "could not be located in $HOME/.ssh or SSH agent" in message


def test_profile_of_a_file(shell: Shell, tmp_path: Path) -> None:
    """What the user writes once instead of the variables."""
    profile = tmp_path / "profile.json"
    names = {"url": "TRITON_URL", "account": "TRITON_ACCOUNT", "keyId": "TRITON_KEY_ID"}
    fields = ", ".join(f'"{key}": "{shell.environment[v]}"' for key, v in names.items())
    profile.write_text(f'{{"name": "embedded", {fields}}}')
    shell.triton("profile", "create", "-y", "--no-docker", "-f", str(profile))
    assert shell.triton_json("-p", "embedded", "info", "-j")["login"] == "localdc"
    shell.triton("profile", "delete", "-f", "embedded")
    shell.triton_fails(1, "-p", "embedded", "info")


def test_sub_users_with_the_rbac_commands(shell: Shell, tmp_path: Path) -> None:
    key = tmp_path / "bob"
    shell.run("ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", str(key))
    home = Path(shell.environment["HOME"]) / ".ssh"
    for path in (key, key.with_name("bob.pub")):
        (home / path.name).write_bytes(path.read_bytes())
        (home / path.name).chmod(0o600)

    def add(kind: str, *more: str, **record: object) -> None:
        file = tmp_path / f"{kind}.json"
        file.write_text(json.dumps(record))
        shell.triton("rbac", kind, "-a", *more, str(file))

    add("user", login="bobby", email="bobby@example.com", password="secret-1")
    add("policy", name="lookers", rules=["CAN listmachines and listimages *"])
    shell.triton("rbac", "key", "-a", "bobby", "-n", "own", str(key.with_name("bob.pub")))
    member = {"type": "subuser", "login": "bobby", "default": True}
    add("role", name="lookers", policies=[{"name": "lookers"}], members=[member])
    try:
        assert "users (1)" in shell.triton("rbac", "info")
        listed = shell.run("ssh-keygen", "-l", "-E", "md5", "-f", str(key)).stdout.split()
        own = {"TRITON_USER": "bobby", "TRITON_KEY_ID": listed[1].removeprefix("MD5:")}
        bob = replace(shell, environment={**shell.environment, **own})
        assert bob.triton("instance", "list", "-H", "-o", "name") == shell.triton(
            "instance", "list", "-H", "-o", "name"
        )
        refused = bob.triton_fails(1, "package", "list")
        assert "(NotAuthorized)" in refused and "(listpackages)" in refused
    finally:
        shell.triton("rbac", "role", "-d", "-y", "lookers")
        shell.triton("rbac", "policy", "-d", "-y", "lookers")
        shell.triton("rbac", "user", "-d", "-y", "bobby")
        for name in ("bob", "bob.pub"):
            (home / name).unlink()
