"""Servers that are absent, broken or hostile: one line each that names the cause."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from smartdc import DataCenter
from smartdc.errors import (
    APIError,
    ConfigError,
    ProtocolError,
    ServerError,
    SmartDCError,
    TimedOut,
    Unreachable,
    UsageError,
    one_line,
)

from .fake_cloud import FakeCloud, FakeHandler
from .hostile_server import JSON, raw_server, respond

Connect = Callable[..., DataCenter]


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        refused = f"cannot connect to 127.0.0.1:{port}: Connection refused"
        began = time.monotonic()
        with (
            DataCenter(f"http://127.0.0.1:{port}", login="acme") as dc,
            pytest.raises(Unreachable, match=refused),
        ):
            dc.list_machines()
    assert time.monotonic() - began < 10


def test_unknown_host() -> None:
    with (
        DataCenter("https://no-such-host.invalid", login="acme", sleep=lambda s: None) as dc,
        pytest.raises(Unreachable, match=r"cannot connect to no-such-host\.invalid") as caught,
    ):
        dc.create({"image": "x"})
    assert not caught.value.ambiguous
    assert len(str(caught.value)) < 300


def test_slow_server(cloud: FakeCloud, connect: Connect) -> None:
    def fault(handler: FakeHandler) -> bool:
        time.sleep(0.5)
        return False

    cloud.fault = fault
    sdc = connect(timeout=(1, 0.1, 5))
    with pytest.raises(TimedOut, match=r"within 0\.1 s"):
        sdc.list_machines()
    assert len(cloud.requests) == 3
    with pytest.raises(TimedOut) as caught:
        sdc.create({"image": "x"})
    assert caught.value.ambiguous


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (respond(b"<html>hi", "Content-Type: text/html"), "text/html instead of JSON"),
        (respond(b""), "no content instead of JSON"),
        (respond(b"{", JSON), "not JSON"),
        (respond(b"[" * 100_000, JSON), "not JSON"),
        (respond(b"1" * 10_000, JSON), "not JSON"),
        (respond(b"\xff\xfe[]", JSON), "not JSON"),
        (respond(b'{"a": 1}', JSON), "an object instead of a list"),
        (respond(b"null", JSON), "a number or null instead of a list"),
        (respond(b'"x"', JSON), "a string instead of a list"),
        (respond(b"[1, 2]", JSON), "something else than objects"),
        (respond(b"[{}]", JSON), "machine without an id"),
        (respond(b'[{"id": 7}]', JSON), "machine whose id is a number instead of a string"),
        (
            respond(b"", "Location: http://evil/", status="302 Found"),
            "redirected to 'http://evil/'",
        ),
        (respond(b"x" * 500_000, JSON), "larger than 200000 bytes"),
        (
            respond(gzip.compress(b" " * 50_000_000), JSON, "Content-Encoding: gzip"),
            "larger than 200000 bytes",
        ),
        (respond(b"no gzip", JSON, "Content-Encoding: gzip"), "cannot be decoded"),
        (respond(b"[]", JSON, length=-1), "ok"),
    ],
)
def test_wrong_answers(answer: Any, message: str) -> None:
    with (
        raw_server(answer) as url,
        DataCenter(url, login="acme", max_body=200_000, retries=0) as dc,
    ):
        if message == "ok":
            assert dc.list_machines() == []
            return
        with pytest.raises(ProtocolError, match=message) as caught:
            dc.list_machines()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "answer",
    [
        respond(b"[]", JSON, length=100),
        lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
        lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000),
        lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
        lambda peer: None,
    ],
)
def test_answers_that_are_no_http(answer: Any) -> None:
    with (
        raw_server(answer) as url,
        DataCenter(url, login="acme", retries=1, sleep=lambda s: None) as dc,
        pytest.raises((Unreachable, ProtocolError)) as caught,
    ):
        dc.list_machines()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_html_error_page() -> None:
    page = respond(b"<html>nginx", "Content-Type: text/html", status="502 Bad Gateway")
    with (
        raw_server(page) as url,
        DataCenter(url, login="acme", retries=0) as dc,
        pytest.raises(ServerError, match=r"^Bad Gateway \(GET /acme: 502\)"),
    ):
        dc.me()


def test_hostile_message_is_defused(cloud: FakeCloud, connect: Connect) -> None:
    def fault(handler: FakeHandler) -> bool:
        handler.answer(409, {"code": "X\x1b[2J", "message": "a\nb\x1b]0;t\x07" + "y" * 9999})
        return True

    cloud.fault = fault
    with pytest.raises(APIError) as caught:
        connect().me()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 900
    assert one_line("a\n b") == "a b"


def test_a_body_that_drips(connect: Connect) -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n" + JSON.encode() + b"\r\nContent-Length: 9999\r\n\r\n")
        for _ in range(9999):
            peer.sendall(b" ")
            time.sleep(0.02)

    began = time.monotonic()
    with (
        raw_server(drip) as url,
        DataCenter(url, login="acme", timeout=(1, 1, 0.2), retries=0) as dc,
        pytest.raises(TimedOut, match=r"did not end within 0\.2 s"),
    ):
        dc.me()
    assert time.monotonic() - began < 20, "all of the body takes 200 s"


def test_pages_that_never_end(cloud: FakeCloud, connect: Connect) -> None:
    machines = [cloud.add() for _ in range(1000)]
    records = [cloud.describe(m) for m in machines]

    def same_page(handler: FakeHandler) -> bool:
        handler.answer(200, records, {"x-query-limit": "1000", "x-resource-count": "1000"})
        return True

    cloud.fault = same_page
    with pytest.raises(ProtocolError, match="does not end"):
        connect().list_machines()


def test_what_cannot_be_sent(connect: Connect, cloud: FakeCloud) -> None:
    sdc = connect()
    for value in (b"bytes", float("nan"), {1, 2}):
        with pytest.raises(UsageError, match="cannot be sent as JSON"):
            sdc.create({"metadata": {"x": value}})
    for ident in ("\udcff", None, 1.5, ""):
        with pytest.raises(UsageError, match="not an identifier"):
            sdc.get_machine(ident)  # type: ignore[arg-type]
    assert cloud.requests == []
    with pytest.raises(ConfigError, match="no CA bundle"):
        connect(url="https://127.0.0.1:1", verify="/none.pem")


def test_one_base_class(connect: Connect) -> None:
    with pytest.raises(SmartDCError, match=r"is not an identifier"):
        connect().delete("..")
    with pytest.raises(SmartDCError):
        connect().delete("")


MACHINE = {"id": "5a4b5c3e", "name": "web", "state": "running"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": None}, "a machine without an id"),
        ({"name": 1}, "whose name is a number instead of a string"),
        ({"state": ["running"]}, "whose state is a list instead of a string"),
        ({"tags": "role=web"}, "whose tags is a string instead of an object"),
        ({"metadata": []}, "whose metadata is a list instead of an object"),
        ({"ips": "203.0.113.7"}, "whose ips is a string instead of a list"),
        ({"ips": [None]}, "whose ips are not all strings"),
        ({"networks": [{}]}, "whose networks are not all strings"),
        ({"nics": ["net0"]}, "whose nics are no list of objects"),
        ({"nics": {"mac": "x"}}, "whose nics are no list of objects"),
        ({"primaryIp": 1}, "whose primaryIp is a number instead of a string"),
        ({"package": {}}, "whose package is an object instead of a string"),
        ({"firewall_enabled": "yes"}, "whose firewall_enabled is a string instead of a boolean"),
    ],
)
def test_machines_of_wrong_types(wrong: dict[str, Any], message: str) -> None:
    body = json.dumps([{**MACHINE, **wrong}]).encode()
    with (
        raw_server(respond(body, JSON)) as url,
        DataCenter(url, login="acme") as dc,
        pytest.raises(ProtocolError, match=message),
    ):
        dc.list_machines()


def test_odd_machines_spoil_no_list() -> None:
    """Without an alias, on a network that NAPI has lost (sdc-cloudapi, lib/machines.js)."""
    odd = {**MACHINE, "id": "0dd", "name": None, "networks": [None, "n"]}
    with (
        raw_server(respond(json.dumps([MACHINE, odd]).encode(), JSON)) as url,
        DataCenter(url, login="acme") as dc,
    ):
        found = dc.list_machines()
    assert [(m["name"], m.get("networks")) for m in found] == [("web", None), ("0dd", ["n"])]


def test_fields_that_are_null_are_as_good_as_absent() -> None:
    null = dict.fromkeys(("tags", "metadata", "ips", "networks", "nics", "primaryIp", "package"))
    with (
        raw_server(respond(json.dumps([{**MACHINE, **null}]).encode(), JSON)) as url,
        DataCenter(url, login="acme") as dc,
    ):
        assert [machine.name for machine in dc.machines()] == ["web"]


@pytest.mark.parametrize(
    ("call", "record", "message"),
    [
        (lambda dc: dc.list_images(), {"id": "x"}, "an image without a name"),
        (lambda dc: dc.list_packages(), {"name": "x"}, "a package without an id"),
        (lambda dc: dc.list_networks(), {"id": "x", "name": 1}, "network whose name is a number"),
        (lambda dc: dc.keys(), {"name": "x"}, "a key without a fingerprint"),
        (lambda dc: dc.fwrules(), {"id": "x"}, "a firewall rule without a rule"),
        (lambda dc: dc.volumes(), {"id": "x", "name": "v"}, "a volume without a state"),
        (lambda dc: dc.list_snapshots("x"), {"state": "s"}, "a snapshot without a name"),
        (lambda dc: dc.nics("x"), {"mac": "x"}, "a NIC without a network"),
    ],
)
def test_other_records_of_wrong_types(
    call: Callable[[DataCenter], Any], record: dict[str, Any], message: str
) -> None:
    with (
        raw_server(respond(json.dumps([record]).encode(), JSON)) as url,
        DataCenter(url, login="acme") as dc,
        pytest.raises(ProtocolError, match=message),
    ):
        call(dc)


def test_text_that_no_terminal_can_show() -> None:
    body = json.dumps([{**MACHINE, "name": "\ud800"}]).encode()
    with (
        raw_server(respond(body, JSON)) as url,
        DataCenter(url, login="acme") as dc,
        pytest.raises(ProtocolError, match="text that is not Unicode"),
    ):
        dc.list_machines()
