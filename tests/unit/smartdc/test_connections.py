"""Connections: kept, shared, encrypted."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smartdc import DataCenter
from smartdc.errors import TLSError

from .fake_cloud import FakeCloud, FakeHandler, serving, write_key
from .hostile_server import certificate

Connect = Callable[..., DataCenter]


def test_too_old_connections_are_noticed(cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()

    def fault(handler: FakeHandler) -> bool:
        handler.close_connection = True
        return False

    cloud.fault = fault
    for _ in range(5):
        sdc.create({"image": "x"})
        time.sleep(0.02)
    assert len(cloud.machines) == 5


def test_proxies_and_netrc_do_not_touch_loopback(
    cloud: FakeCloud, connect: Connect, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    assert connect().list_machines() == []


@pytest.fixture
def tls(home: Path, cloud: FakeCloud) -> Iterator[tuple[str, Path]]:
    pem, private = certificate(home)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    with serving(cloud, context) as url:
        yield url, pem


def test_tls(tls: tuple[str, Path], connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    url, pem = tls
    options: dict[str, Any] = {"url": url}
    with pytest.raises(TLSError, match="REQUESTS_CA_BUNDLE"):
        connect(**options).list_machines()
    assert connect(**options, verify=False).list_machines() == []
    assert connect(**options, verify=str(pem)).list_machines() == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    assert connect(**options).list_machines() == []


@pytest.mark.parametrize(
    ("encrypted", "kind", "limit"),
    [
        (True, "ed25519", 1 / 3),
        (True, "rsa", 1 / 3),
        # a new connection without TLS costs little: http.client alone comes to 0.75
        (False, "ed25519", 0.9),
    ],
)
def test_a_hundred_calls_over_one_connection(
    tls: tuple[str, Path],
    url: str,
    cloud: FakeCloud,
    connect: Connect,
    home: Path,
    private_keys: dict[str, Any],
    encrypted: bool,
    kind: str,
    limit: float,
) -> None:
    """Against a new connection for each, in CPU time of both ends: loopback has no other."""
    key = private_keys[kind]
    key_id = cloud.allow("/acme/keys/timed", key.public_key())
    path = write_key(home / "timed", key)
    base = tls[0] if encrypted else url
    sdc = connect(url=base, verify=str(tls[1]), key_id=key_id, secret=str(path))
    # each call has its own signature: equal ones of a second would share it
    machines = [cloud.add()["id"] for _ in range(100)]

    def kept(machine: str) -> None:
        sdc.get_machine(machine)

    def fresh(machine: str) -> None:
        sdc.close()
        sdc.get_machine(machine)

    def timed(call: Callable[[str], None], machines: list[str]) -> float:
        began = time.process_time()
        for machine in machines:
            call(machine)
        return (time.process_time() - began) / len(machines)

    fresh(machines[0])
    before = cloud.connections
    timed(kept, machines)
    assert cloud.connections == before
    # a busy neighbour on the same core may spoil one round, not all of them
    ratios: list[float] = []
    while len(ratios) < 6 and min(ratios, default=1) > limit:
        ratios.append(timed(kept, machines) / timed(fresh, machines[:30]))
    assert min(ratios) <= limit, ratios


def test_many_threads_share_a_client(cloud: FakeCloud, connect: Connect) -> None:
    machines = [cloud.add()["id"] for _ in range(40)]
    sdc = connect(pool_size=4)
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda i: sdc.get_machine(i)["id"], machines * 5))
    assert got == machines * 5
    assert cloud.connections <= 4
