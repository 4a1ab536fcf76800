"""Every module, the inventory and a broken data center: one line that names the cause."""

from __future__ import annotations

import datetime
import gzip
import json
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from smartdc.transport import Transport

from ..smartdc.hostile_server import JSON, certificate, raw_server, respond
from .modules_support import ROOT, Cloud, run_module, without_settings

WISHES = {
    "sdc_machine": {"name": "web", "package": "p", "image": "i"},
    "sdc_machine_info": {},
    "sdc_image_info": {},
    "sdc_package_info": {},
    "sdc_network_info": {},
    "sdc_key": {"name": "k", "state": "absent"},
    "sdc_firewall_rule": {"description": "d", "state": "absent"},
    "sdc_snapshot": {"machine": "web", "name": "s"},
    "sdc_volume": {"name": "v"},
    "sdc_nic": {"machine": "web", "network": "n"},
}
assert set(WISHES) == {path.stem for path in (ROOT / "library").glob("sdc_*.py")}
MACHINE = {"id": "5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d", "name": "web", "state": "running"}
SKEW = {
    "code": "InvalidHeader",
    "message": "Authorization header invalid: clock skew of 600.1s was greater than 300s",
}
SKEWED = ("400 Bad Request", "Date: Thu, 01 Jan 2026 00:10:00 GMT")


class Late(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + datetime.timedelta(minutes=10)


def encoded(value):
    return json.dumps(value).encode()


def hang(peer):
    peer.settimeout(5)
    peer.recv(1)


ANSWERS = {
    "html": (respond(b"<html>hello</html>", "Content-Type: text/html"), "text/html instead"),
    "html error": (
        respond(b"<html>nginx", "Content-Type: text/html", status="502 Bad Gateway"),
        "Bad Gateway",
    ),
    "truncated JSON": (respond(b'[{"id": "5a4b', JSON), "not JSON"),
    "an object": (respond(b'{"a": 1}', JSON), "an object instead of a list"),
    "numbers": (respond(b"[1, 2]", JSON), "something else than objects"),
    "no fields": (respond(b"[{}]", JSON), "without"),
    "wrong types": (respond(b'[{"id": 1, "name": {}}]', JSON), "instead of a string"),
    "no Unicode": (respond(b'[{"id": "\\ud800"}]', JSON), "not Unicode"),
    "too short": (respond(b"[]", JSON, length=100), "closed the connection"),
    "too long": (respond(b'[{"id": "x"}]', JSON, length=5), "not JSON"),
    "huge": (
        respond(gzip.compress(b" " * (65 << 20)), JSON, "Content-Encoding: gzip"),
        "larger than",
    ),
    "redirect": (respond(b"", "Location: http://evil/", status="302 Found"), "redirected"),
    "clock skew": (respond(encoded(SKEW), JSON, SKEWED[1], status=SKEWED[0]), "clock skew"),
    "no HTTP": (lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "closed the connection"),
    "nothing": (lambda peer: None, "closed the connection"),
    "hangs": (hang, "did not answer within"),
}
SLOW = ("hangs", "nothing", "no HTTP", "too short", "html error")
"""Those that the client gives time to get better."""
PAGE = encoded([{**MACHINE, "id": f"{n:08d}"} for n in range(1000)])
ENDLESS = respond(PAGE, JSON, "x-query-limit: 1000", "x-resource-count: 1000")


@pytest.fixture(scope="module")
def access(tmp_path_factory):
    """Access with a key of its own; the data center behind it is not asked."""
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    cloud.stop()
    return cloud.access


@pytest.fixture
def impatient(monkeypatch):
    """A client that waits for an answer for half a second and does not ask again."""
    given = dict(Transport.__init__.__kwdefaults__)
    patient = {**given, "timeout": (1.0, 0.5, 5.0), "retries": 0}
    monkeypatch.setattr(Transport.__init__, "__kwdefaults__", patient)


@pytest.mark.parametrize("case", ANSWERS)
def test_modules(access, impatient, case):
    answer, words = ANSWERS[case]
    with raw_server(answer) as url:
        for name in WISHES if case not in ("huge", "hangs") else ("sdc_machine", "sdc_key"):
            failed = run_module(name, expect="fail", **{**access, "url": url}, **WISHES[name])
            assert words in failed.msg, name
            assert failed["changed"] is False and len(failed.msg) < 600
            assert case != "clock skew" or (failed["status"] == 400 and "set this" in failed.msg)


@pytest.mark.parametrize("name", ["sdc_machine", "sdc_machine_info"])
def test_pages_that_never_end(access, name):
    with raw_server(ENDLESS) as url:
        failed = run_module(name, expect="fail", **{**access, "url": url}, **WISHES[name])
    assert "does not end" in failed.msg


def test_certificate_of_nobody(access, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))

    def handshake(peer):
        context.wrap_socket(peer, server_side=True)

    with raw_server(handshake, read=False) as url:
        secure = {**access, "url": url.replace("http:", "https:")}
        failed = run_module("sdc_machine_info", expect="fail", **secure)
    assert "certificate" in failed.msg and "REQUESTS_CA_BUNDLE" in failed.msg
    with raw_server(respond(b"[]", JSON)) as url:
        secure = {**access, "url": url.replace("http:", "https:")}
        failed = run_module("sdc_machine_info", expect="fail", **secure)
    assert "WRONG_VERSION_NUMBER" in failed.msg or "record layer" in failed.msg


def test_clock_that_is_ten_minutes_off(start_cloud, monkeypatch):
    """The embedded data center refuses it as a real one does."""
    cloud = start_cloud()
    monkeypatch.setattr("smartdc.auth.datetime", Late)
    failed = run_module("sdc_machine_info", expect="fail", **cloud.access)
    assert failed["status"] == 400 and "clock skew" in failed.msg and "NTP" in failed.msg


def test_inventory(access, tmp_path):
    """All of the broken servers as inventories of one command."""
    cases = {k: v for k, v in ANSWERS.items() if k not in SLOW}
    cases["endless"] = (ENDLESS, "does not end")
    sources = []
    with ExitStack() as stack:
        for number, (case, (answer, _)) in enumerate(cases.items()):
            url = stack.enter_context(raw_server(answer))
            source = tmp_path / f"{number}.sdc.yml"
            source.write_text(json.dumps({"plugin": "sdc", **access, "url": url}))
            sources += ["-i", source]
            assert case
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-inventory"), "--list", *sources],
            cwd=tmp_path,
            env={**without_settings(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert "Traceback" not in done.stderr, done.stderr
    said = " ".join(done.stderr.split())
    for case, (_, words) in cases.items():
        assert words in said, f"{case}: {done.stderr}"
