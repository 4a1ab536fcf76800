"""Precedence of arguments, variables, profiles and the embedded data center."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import smartdc
from smartdc import DataCenter
from smartdc.config import Settings, embedded_home, resolve, state_directory
from smartdc.errors import ConfigError, NoDataCenter
from smartdc.keys import blob_of, md5_of

from .fake_cloud import FakeCloud, write_key

FULL = {"SDC_URL": "https://sdc.example", "SDC_ACCOUNT": "sdc", "SDC_KEY_ID": "k-sdc"}
TRITON = {"TRITON_URL": "https://t.example", "TRITON_ACCOUNT": "t", "TRITON_KEY_ID": "k-t"}


def profile(home: Path, name: str, current: str | None = None, **fields: Any) -> None:
    directory = home / ".triton" / "profiles.d"
    directory.mkdir(parents=True, exist_ok=True)
    data = {"url": f"https://{name}.example", "account": f"a-{name}", "keyId": f"k-{name}"}
    (directory / f"{name}.json").write_text(json.dumps({**data, **fields}))
    if current:
        (home / ".triton" / "config.json").write_text(json.dumps({"profile": current}))


def embedded(state: Path, **fields: Any) -> dict[str, Any]:
    state.mkdir(parents=True, exist_ok=True)
    data = {
        "name": "localdc",
        "url": "http://127.0.0.1:8080",
        "account": "localdc",
        "key_id": "aa",
        "key_file": "/k",
        "ssh_config": "/c",
        "pid": os.getpid(),
        **fields,
    }
    (state / "datacenter.json").write_text(json.dumps(data))
    return data


def go(home: Path, env: dict[str, str] | None = None, **arguments: Any) -> Settings:
    return resolve(env={"HOME": str(home), **(env or {})}, cwd=home, **arguments)


def test_arguments_alone(home: Path) -> None:
    settings = go(home, url="https://x.example/", account="acme", key_id="k", insecure=True)
    assert settings == Settings(
        name="arguments", url="https://x.example", account="acme", key_id="k", insecure=True
    )


def test_sdc_and_triton(home: Path) -> None:
    settings = go(home, FULL)
    assert (settings.url, settings.account, settings.key_id) == (
        "https://sdc.example",
        "sdc",
        "k-sdc",
    )
    assert settings.source == "environment"
    mixed = go(home, {**FULL, "TRITON_ACCOUNT": "t"})
    assert (mixed.url, mixed.account) == ("https://sdc.example", "t")
    assert go(home, {**FULL, **TRITON}).key_id == "k-t"
    assert go(home, {**FULL, "TRITON_URL": ""}).url == "https://sdc.example"


def test_the_time_of_a_call(home: Path) -> None:
    """Whatever else says which data center it is."""
    profile(home, "east")
    for choice in ({}, {"profile": "east"}):
        assert go(home, FULL, **choice).timeout is None
        assert "patience" not in go(home, FULL, **choice).client_options()
        settings = go(home, {**FULL, "SDC_TIMEOUT": "7.5"}, **choice)
        assert settings.client_options()["patience"] == 7.5
    for wrong in ("soon", "0", "-1", "nan", "1e9"):
        with pytest.raises(ConfigError, match="SDC_TIMEOUT"):
            go(home, {**FULL, "SDC_TIMEOUT": wrong})


def test_arguments_win_field_by_field(home: Path) -> None:
    settings = go(home, FULL, account="other")
    assert (settings.account, settings.url) == ("other", "https://sdc.example")
    assert settings.source == "url from SDC_URL, account from arguments, key_id from SDC_KEY_ID"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SDC_TESTING": "1"}, True),
        ({"SDC_TESTING": "0"}, True),
        ({"TRITON_TESTING": "x"}, True),
        ({"SDC_TLS_INSECURE": "true"}, True),
        ({"SDC_TLS_INSECURE": "0", "SDC_TESTING": "1"}, False),
        ({"TRITON_TLS_INSECURE": "0", "SDC_TLS_INSECURE": "1"}, False),
        ({}, False),
    ],
)
def test_insecure(home: Path, variables: dict[str, str], expected: bool) -> None:
    assert go(home, {**FULL, **variables}).insecure is expected


def test_insecure_argument_wins(home: Path) -> None:
    assert go(home, {**FULL, "SDC_TESTING": "1"}, insecure=False).insecure is False
    with pytest.raises(ConfigError, match="SDC_TLS_INSECURE"):
        go(home, {**FULL, "SDC_TLS_INSECURE": "maybe"})


def test_sub_user(home: Path) -> None:
    assert go(home, {**FULL, "SDC_USER": "bob"}).user == "bob"
    settings = go(home, {**FULL, "SDC_ACCOUNT": "acme/bob"})
    assert (settings.account, settings.user) == ("acme", "bob")
    with pytest.raises(ConfigError):
        go(home, {**FULL, "SDC_ACCOUNT": "acme/"})


def test_every_source_that_took_part_is_named(home: Path) -> None:
    """A variable left over in the shell counts before the current profile."""
    profile(home, "one", current="one", user="bob", roles=["r"])
    assert go(home, {"TRITON_URL": "https://old.example"}).source == (
        "url from TRITON_URL, account, key_id, user, roles from profile one"
    )
    assert go(home, {"SDC_TESTING": "1"}).source == (
        "url, account, key_id, user, roles from profile one, insecure from SDC_TESTING"
    )
    assert not go(home, {"TRITON_URL": "https://old.example"}).embedded


def test_current_profile_and_chosen_profile(home: Path) -> None:
    profile(home, "one", current="one", insecure=True, user="bob", roles=["r"])
    profile(home, "two", actAsAccount="victim")
    one = go(home)
    assert one.source == "profile one"
    assert (one.name, one.account, one.user, one.insecure, one.roles) == (
        "one",
        "a-one",
        "bob",
        True,
        ("r",),
    )
    assert go(home, {"TRITON_PROFILE": "two"}).act_as == "victim"
    assert go(home, profile="two").source == "profile two"
    assert go(home, {**FULL}, profile="two").url == "https://two.example"
    assert go(home, profile="two", account="me").account == "me"


def test_environment_wins_over_a_profile_and_takes_nothing_personal_from_it(home: Path) -> None:
    profile(home, "one", current="one", insecure=True, user="bob")
    settings = go(home, FULL)
    assert settings.source == "environment"
    assert (settings.user, settings.insecure) == (None, False)
    partial = go(home, {"SDC_ACCOUNT": "acme"})
    assert (partial.account, partial.user) == ("acme", None)
    assert (partial.url, partial.insecure, partial.key_id) == ("https://one.example", True, "k-one")


def test_key_file_goes_with_the_key_id(home: Path) -> None:
    assert go(home, {**FULL, "SDC_KEY_FILE": "/f"}).key_file == "/f"
    assert go(home, {**FULL, "SDC_KEY_FILE": "/f"}, key_id="other").key_file is None
    assert go(home, FULL, key_file="/g").key_file == "/g"


@pytest.mark.parametrize("content", ["{", "[]", '{"url": 1}', '{"url": "https://x"}'])
def test_broken_profile(home: Path, content: str) -> None:
    profile(home, "one", current="one")
    (home / ".triton" / "profiles.d" / "one.json").write_text(content)
    with pytest.raises(ConfigError, match=r"one\.json") as caught:
        go(home)
    assert not isinstance(caught.value, NoDataCenter)


def test_unknown_profile_names_the_known(home: Path) -> None:
    profile(home, "one")
    with pytest.raises(ConfigError, match="known profiles: one"):
        go(home, profile="two")
    with pytest.raises(ConfigError, match="not the name"):
        go(home, profile="../../etc/passwd")


def test_other_config_directories(home: Path) -> None:
    profile(home, "one", current="one")
    (home / "x").mkdir()
    (home / ".triton").rename(home / "x" / "triton")
    assert go(home, {"XDG_CONFIG_HOME": str(home / "x")}).name == "one"
    assert go(home, {"TRITONTEST_CLI_CONFIG_DIR": str(home / "x" / "triton")}).name == "one"


@pytest.mark.parametrize("missing", ["SDC_URL", "SDC_ACCOUNT", "SDC_KEY_ID"])
def test_incomplete_environment_says_what(home: Path, missing: str) -> None:
    embedded(home / ".localdc")
    with pytest.raises(ConfigError, match=rf"is set, but {missing}") as caught:
        go(home, {k: v for k, v in FULL.items() if k != missing})
    assert not isinstance(caught.value, NoDataCenter)


def test_embedded(home: Path) -> None:
    data = embedded(home / ".localdc")
    settings = go(home)
    assert settings.embedded
    assert settings.source == "embedded"
    assert settings.ssh_config == "/c"
    assert (settings.url, settings.key_file) == (data["url"], "/k")
    data = embedded(home / "elsewhere", account="two")
    assert go(home, {"LOCALDC_DIR": str(home / "elsewhere")}).account == "two"
    assert go(home, {"LOCALDC_DIR": "elsewhere"}).account == "two"
    assert go(home, FULL, profile="embedded").source == "embedded"


def test_where_the_embedded_one_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below, above = home / "a" / "playbooks", home / "a"
    below.mkdir(parents=True)
    assert embedded_home([below, above], {}) == below
    (above / ".localdc").mkdir()
    (above / "dc").mkdir()
    assert embedded_home([below, above], {}) == above
    assert embedded_home([below, above], {"LOCALDC_DIR": "dc"}) == above
    assert state_directory(above, {"LOCALDC_DIR": "dc"}) == above / "dc"
    assert state_directory(above, {"LOCALDC_DIR": "/dc"}) == Path("/dc")
    monkeypatch.chdir(above)
    assert state_directory() == above / ".localdc"


def test_the_embedded_one_by_its_variables(home: Path) -> None:
    """As after: eval "$(python -m localdc env)"; nothing of it costs money."""
    data = embedded(home / ".localdc")
    names = {"SDC_URL": data["url"], "SDC_ACCOUNT": "localdc", "SDC_KEY_ID": "aa"}
    assert go(home, names).embedded
    assert not go(home, {**names, "SDC_URL": "https://other.example"}).embedded
    (home / ".localdc" / "datacenter.json").write_text("{")
    assert not go(home, names).embedded


def test_embedded_that_does_not_run(home: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    embedded(home / ".localdc", pid=child.pid)
    with pytest.raises(NoDataCenter, match=r"does not run .*localdc start"):
        go(home)


def test_nothing_configured(home: Path) -> None:
    with pytest.raises(NoDataCenter, match="SDC_URL, SDC_ACCOUNT and SDC_KEY_ID"):
        go(home)
    with pytest.raises(NoDataCenter):
        go(home, {"SDC_TESTING": "1"})


@pytest.mark.parametrize(
    "bad", ["sdc.example", "ftp://x", "https://", "https://x y", "https://x?q"]
)
def test_bad_url(home: Path, bad: str) -> None:
    with pytest.raises(ConfigError, match="https://HOST"):
        go(home, FULL, url=bad)


def test_connect(
    cloud: FakeCloud,
    url: str,
    home: Path,
    private_keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_key(home / "key", private_keys["p256"])
    fingerprint = cloud.allow("/acme/keys/k", private_keys["p256"].public_key())
    monkeypatch.setenv("SDC_URL", url)
    monkeypatch.setenv("SDC_ACCOUNT", "acme")
    monkeypatch.setenv("SDC_KEY_ID", fingerprint)
    monkeypatch.setenv("SDC_KEY_FILE", str(path))
    monkeypatch.setenv("TRITON_ACT_AS", "victim")
    monkeypatch.setenv("TRITON_ROLE", "ops,dev")
    with smartdc.connect(pool_size=2) as dc:
        assert dc.machines() == []
    assert cloud.requests[-1][1].startswith("/victim/machines?")
    assert "as-role=ops%2Cdev" in cloud.requests[-1][1]


def test_a_data_center_without_a_location_is_the_configured_one(
    cloud: FakeCloud,
    url: str,
    home: Path,
    private_keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(NoDataCenter, match="SDC_URL"):
        DataCenter()
    path = write_key(home / "key", private_keys["p256"])
    fingerprint = cloud.allow("/acme/keys/k", private_keys["p256"].public_key())
    with pytest.raises(ConfigError, match="SDC_URL"):
        DataCenter(key_id="/acme/keys/k", secret=str(path))
    monkeypatch.setenv("SDC_URL", url)
    with DataCenter(key_id="/acme/keys/k", secret=str(path), rate=None, pool_size=1) as dc:
        assert (dc.location, dc.base_url, dc.login) == ("environment", url, "acme")
        assert dc.me()["login"] == "acme"
    with DataCenter(secret=path.read_text(), login="acme") as dc:
        assert dc.machines() == []
    monkeypatch.setenv("SDC_ACCOUNT", "acme")
    monkeypatch.setenv("SDC_KEY_ID", fingerprint)
    monkeypatch.setenv("SDC_KEY_FILE", str(path))
    with DataCenter() as dc, smartdc.connect() as connected:
        assert dc == connected and dc.location == connected.location
        assert dc.machines() == []
    with DataCenter(login="victim") as dc:
        assert dc.url == f"{url}/victim/"
        assert dc.auth and dc.auth.key_path.startswith("/acme/keys/")
    monkeypatch.setenv("SDC_TLS_INSECURE", "1")
    assert DataCenter().verify is False
    assert DataCenter(verify="/etc/hosts").verify == "/etc/hosts"


def test_a_data_center_without_a_location_where_the_embedded_one_runs(
    home: Path, private_keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = write_key(home / "key", private_keys["ed25519"])
    data = embedded(
        home / ".localdc", key_file=str(key), key_id=md5_of(blob_of(private_keys["ed25519"]))
    )
    monkeypatch.chdir(home)
    dc = DataCenter()
    assert (dc.base_url, dc.login, dc.location) == (data["url"], "localdc", "localdc")
