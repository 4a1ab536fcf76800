"""`triton` and records: every command has its effect on the record, and its error."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .clients import Clients

NOBODY = "5b1f0d5c-0000-4000-8000-000000000000"
ABSENT = "no instance with name or short id"


@pytest.fixture(scope="module")
def web(records: Clients) -> str:
    return records.create("web", "-t role=web -t size=4 -m color=blue --affinity instance!=~x")


def test_create_wait_sees_provisioning(records: Clients) -> None:
    began = time.monotonic()
    said = records.triton("inst create -j -n late base-64-lts sample-512M")
    machine = json.loads(said)
    assert machine["state"] == "provisioning"
    waited = records.triton(f"inst wait {machine['id']}")
    assert "moved to state running" in waited and time.monotonic() - began > 2
    records.triton("inst delete -w -f late")


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("-n x no-such-image sample-512M", "no image with"),
        ("-n x base-64-lts no-such-package", "no package with"),
        ("-n 'a b' base-64-lts sample-512M", "alias"),
        ("-n web base-64-lts sample-512M", "Already exists"),
        ("-n x -t docker:x=1 base-64-lts sample-512M", "reserved"),
        ("-n x --affinity instance!=web base-64-lts sample-512M", "one compute node"),
        ("-n x --network nowhere base-64-lts sample-512M", "no network with"),
        ("-n x -v nothing:/data base-64-lts sample-512M", "no volume nothing"),
    ],
)
def test_create_refused(records: Clients, web: str, arguments: str, error: str) -> None:
    assert error in records.refused(f"inst create {arguments}", code=_code(error))


def _code(error: str) -> int:
    """triton's exit status is 3 for what it looked for and did not find."""
    return 3 if error.startswith(("no image", "no package", "no network")) else 1


def test_list_filters_and_get(records: Clients, web: str) -> None:
    other = records.create("other", "-t role=db")
    for query, wanted in (
        ("name=web", {web}),
        ("tag.role=db", {other}),
        ("tag.role=nobody", set()),
        ("state=running", {web, other}),
        ("state=stopped", set()),
        ("memory=512", {web, other}),
        ("type=smartmachine brand=joyent", {web, other}),
    ):
        assert {m["id"] for m in records.rows(f"inst list -j {query}")} == wanted, query
    got = records.json("inst get web")
    assert got["tags"] == {"role": "web", "size": 4} and got["metadata"]["color"] == "blue"
    assert records.triton("inst ip web").strip() == got["primaryIp"]
    assert ABSENT in records.refused("inst get nothing", code=3)
    assert "VM not found" in records.refused(f"inst get {NOBODY}", code=3)
    assert "not a valid state" in records.refused("inst list state=asleep")
    records.triton("inst delete -w -f other")
    gone = records.refused(f"inst get {other}", code=3)
    assert "deleted" in gone.lower()


def test_power(records: Clients, web: str) -> None:
    assert "Stop" in records.triton("inst stop -w web")
    assert records.json("inst get web")["state"] == "stopped"
    records.triton("inst start -w web")
    records.triton("inst reboot -w web")
    assert records.json("inst get web")["state"] == "running"
    # In the wrong state is no error of the call: the audit tells.
    records.triton("inst start web")
    time.sleep(0.3)
    newest = records.rows("inst audit -j web")[0]
    assert (newest["action"], newest["success"]) == ("start", "no")
    for verb in ("stop", "start", "reboot"):
        code = 3 if verb == "reboot" else 1
        assert ABSENT in records.refused(f"inst {verb} -w nothing", code=code)


def test_rename_and_resize(records: Clients, web: str) -> None:
    records.triton("inst rename -w web www")
    assert records.json(f"inst get {web}")["name"] == "www"
    assert "alias" in records.refused("inst rename www -- -x")
    records.triton("inst rename -w www web")
    records.triton("inst resize -w web sample-1G")
    assert records.json("inst get web")["memory"] == 1024
    assert "no package" in records.refused("inst resize web huge", code=3)
    records.triton("inst resize -w web sample-512M")


def test_tags(records: Clients, web: str) -> None:
    assert records.json("inst tag set -w web a=1 b=true c=x")["a"] == 1
    assert records.triton("inst tag get web c").strip() == "x"
    assert records.json("inst tag list web")["b"] is True
    records.triton("inst tag delete -w web c")
    assert '"c"' in records.refused("inst tag get web c", code=3)
    assert "reserved" in records.refused("inst tag set web docker:x=1")
    assert records.json("inst tag replace-all -w web role=web size=4") == {"role": "web", "size": 4}


def test_metadata(records: Clients, web: str) -> None:
    records.triton("inst metadata set -w web one=1 two=2")
    assert records.triton("inst metadata get web two").strip() == "2"
    assert records.json("inst metadata list web")["color"] == "blue"
    records.triton("inst metadata delete -f -w web one two")
    records.triton("inst metadata set -w web one=1")
    records.triton("inst metadata delete -f -w -a web")
    assert records.json("inst metadata list web").keys() == {"root_authorized_keys"}
    records.triton("inst metadata set -w web color=blue")
    assert "not found" in records.refused("inst metadata get web two", code=3)


def test_protection(records: Clients, web: str) -> None:
    records.triton("inst enable-deletion-protection -w web")
    assert "deletion_protection" in records.refused("inst delete -f web")
    records.triton("inst disable-deletion-protection -w web")


def test_firewall_rules(records: Clients, web: str) -> None:
    said = records.triton("fwrule create", f"FROM any TO vm {web} ALLOW tcp PORT 80")
    rule = re.search(r"[0-9a-f-]{36}", said)[0]  # type: ignore[index]
    shown = records.json(f"fwrule get {rule}")
    assert shown["rule"] == f"FROM any TO vm {web} ALLOW tcp PORT 80" and shown["enabled"]
    records.triton(f"fwrule disable {rule}")
    assert records.json(f"fwrule get {rule}")["enabled"] is False
    records.triton(f"fwrule enable {rule}")
    records.triton(f"fwrule update {rule} rule='FROM any TO tag role=web ALLOW tcp PORT 8080'")
    assert records.json(f"fwrule get {rule}")["rule"].endswith('"role" = "web" ALLOW tcp PORT 8080')
    assert [m["id"] for m in records.rows(f"fwrule instances -j {rule}")] == [web]
    assert [r["id"] for r in records.rows("inst fwrule list -j web")] == [rule]
    assert [r["id"] for r in records.rows("fwrule list -j")] == [rule]
    assert "at least one side" in records.refused(
        "fwrule create", "FROM any TO any ALLOW tcp PORT 80"
    )
    assert "port must be" in records.refused(f"fwrule update {rule} rule='{_BAD_PORT}'")
    records.triton(f"fwrule delete -f {rule}")
    records.refused(f"fwrule get {rule}", code=3)


_BAD_PORT = "FROM any TO all vms ALLOW tcp PORT 99999"


def test_account_and_catalogue(records: Clients, tmp_path: Path) -> None:
    assert records.json("account get -j")["login"] == "localdc"
    records.triton("account update phone=555")
    assert records.json("account get -j")["phone"] == "555"
    records.triton("account limits")
    assert {n["name"] for n in records.rows("network list -j")} == {"external", "internal"}
    assert records.json("network get internal -j")["public"] is False
    assert "base-64-lts" in records.triton("image list")
    assert records.json("image get base-64-lts")["version"] == "24.4.1"
    assert records.json("package get sample-1G")["memory"] == 1024
    assert "cloudapi" in records.triton("services")
    assert "localdc" in records.triton("datacenters")
    assert "login: localdc" in records.triton("info")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    records.triton(f"key add -n mine {key}.pub")
    assert "mine" in {k["name"] for k in records.rows("key list -j")}
    assert "already exists" in records.refused(f"key add -n mine {key}.pub")
    records.triton("key delete -y mine")
    assert "does not exist" in records.refused("key get mine")


def test_change_feed(records: Clients, web: str) -> None:
    program = str(records.packages / ".bin" / "triton")
    feed = subprocess.Popen(
        [program, "changefeed", "-j", "--instances", web],
        env=records.environment,
        cwd=records.home,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(1.5)
        records.triton("inst tag set -w web feed=1")
        assert feed.stdout is not None
        news = json.loads(feed.stdout.readline())
        assert news["changedResourceId"] == web
        assert news["changeKind"]["subResources"] == ["tags"]
    finally:
        feed.send_signal(signal.SIGKILL)
        feed.wait()
    records.triton("inst tag delete -w web feed")


def test_what_is_not_there_says_so(records: Clients, web: str) -> None:
    assert "not allowed" in records.refused("inst migration begin web")
    assert "cannot be made" in records.refused("image create web mine 1.0.0")
