"""Retries, limits and hostile servers; everything over real sockets."""

from __future__ import annotations

import datetime
import email.utils
import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smartdc import DataCenter, TokenBucket
from smartdc.errors import (
    AnswerLost,
    APIError,
    ConfigError,
    InvalidArgument,
    NotFound,
    ProtocolError,
    ServerError,
    SmartDCError,
    Throttled,
    TimedOut,
    TLSError,
    Unavailable,
    Unreachable,
    UsageError,
    one_line,
)

from .smartdc_cloud import FakeCloud, FakeHandler, serving

Connect = Callable[..., DataCenter]


class Failing:
    """Fails the first ``times`` requests with an answer, or by closing the connection."""

    def __init__(self, times: int, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.left, self.statuses, self.headers = times, statuses, headers

    def __call__(self, handler: FakeHandler) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        if not self.statuses:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return True
        status = self.statuses[self.left % len(self.statuses)]
        handler.answer(status, {"code": "Broken", "message": "as told"}, self.headers)
        return True


@pytest.mark.parametrize("status", [420, 429, 502, 503, 504])
def test_get_put_delete_are_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    machine = cloud.add()
    for call in (
        lambda: sdc.get_machine(machine["id"]),
        lambda: sdc.count_machines(),
        lambda: sdc.replace_tags(machine["id"], {"a": "b"}),
        lambda: sdc.delete(machine["id"]),
    ):
        cloud.requests.clear()
        cloud.fault = Failing(3, status)
        call()
        assert len(cloud.requests) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_create_is_not_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(1, status)
    with pytest.raises(ServerError) as caught:
        connect().create({"image": "x"})
    assert len(cloud.requests) == 1
    assert caught.value.ambiguous is (status != 503)
    assert isinstance(caught.value, Unavailable) is (status == 503)
    assert isinstance(caught.value, requests.HTTPError)
    assert caught.value.response is not None


@pytest.mark.parametrize("status", [420, 429])
def test_throttled_create_is_repeated(status: int, cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(2, status)
    connect().create({"image": "x"})
    assert (len(cloud.requests), len(cloud.machines)) == (3, 1)


def test_lost_connection(cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    cloud.fault = Failing(2)
    assert sdc.list_machines() == []
    cloud.fault = Failing(1)
    with pytest.raises(AnswerLost, match="look whether it took effect") as caught:
        sdc.create({"image": "x"})
    assert caught.value.ambiguous
    assert cloud.machines == {}
    machine = cloud.add()
    cloud.fault = Failing(1)
    sdc.act(machine["id"], "stop")
    cloud.fault = Failing(1)
    with pytest.raises(AnswerLost):
        sdc.act(machine["id"], "reboot")


def test_delete_whose_answer_was_lost_is_done(cloud: FakeCloud, connect: Connect) -> None:
    sdc = connect()
    machine = cloud.add(tags={"a": "b"})
    state = {"first": True}

    def fault(handler: FakeHandler) -> bool:
        if handler.command != "DELETE" or not state["first"]:
            return False
        state["first"] = False
        del machine["tags"]["a"]
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        return True

    cloud.fault = fault
    sdc.delete_tag(machine["id"], "a")
    with pytest.raises(NotFound):
        sdc.delete_tag(machine["id"], "a")


def test_gives_up_and_reports_the_last_error(cloud: FakeCloud, connect: Connect) -> None:
    cloud.fault = Failing(100, 502)
    with pytest.raises(ServerError, match=r"Broken: as told \(GET /acme/machines: 502"):
        connect(retries=3).list_machines()
    assert len(cloud.requests) == 4


def test_retry_after(cloud: FakeCloud, connect: Connect) -> None:
    slept: list[float] = []
    cloud.fault = Failing(1, 429, headers={"Retry-After": "7"})
    connect(sleep=slept.append).list_machines()
    assert 7 <= slept[0] <= 8
    slept.clear()
    moment = email.utils.formatdate(time.time() + 20, usegmt=True)
    cloud.fault = Failing(1, 503, headers={"Retry-After": moment})
    connect(sleep=slept.append).list_machines()
    assert 18 <= slept[0] <= 23
    slept.clear()
    cloud.fault = Failing(9, 429, headers={"Retry-After": "3600"})
    with pytest.raises(Throttled, match="too many requests"):
        connect(sleep=slept.append).list_machines()
    assert slept == []
    for nonsense in ("soon", "-5", "nan", "1e999"):
        cloud.fault = Failing(1, 429, headers={"Retry-After": nonsense})
        connect(sleep=slept.append).list_machines()
    assert all(0 < s < 10 for s in slept)


def test_backoff_is_capped_and_grows(cloud: FakeCloud, connect: Connect) -> None:
    slept: list[float] = []
    cloud.fault = Failing(9, 503)
    connect(sleep=slept.append, retries=9).list_machines()
    assert len(slept) == 9
    assert max(slept) <= 8
    assert slept[-1] > slept[0]


def test_not_repeated_at_all(cloud: FakeCloud, connect: Connect) -> None:
    for status in (400, 403, 404, 409, 410, 422, 500):
        cloud.requests.clear()
        cloud.fault = Failing(1, status)
        with pytest.raises(APIError) as caught:
            connect().list_machines()
        assert caught.value.status == status
        assert len(cloud.requests) == 1


def test_validation_errors_name_the_fields(cloud: FakeCloud, connect: Connect) -> None:
    body = {
        "code": "ValidationFailed",
        "message": "Invalid Parameters",
        "errors": [{"field": "uuid", "code": "Invalid", "message": "Invalid UUID"}, "noise"],
    }

    def fault(handler: FakeHandler) -> bool:
        handler.answer(409, body)
        return True

    cloud.fault = fault
    with pytest.raises(InvalidArgument, match=r"\[uuid: Invalid UUID\]") as caught:
        connect().get_machine("x")
    assert caught.value.fields == {"uuid": "Invalid UUID"}


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    with (
        DataCenter(f"http://127.0.0.1:{port}", login="acme") as dc,
        pytest.raises(Unreachable, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"),
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


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request and then does what ``answer`` does with the socket."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        if peer.recv(65536):
                            answer(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def respond(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> Any:
    lines = [f"HTTP/1.1 {status}", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"

    def answer(peer: socket.socket) -> None:
        peer.sendall(head + body)

    return answer


JSON = "Content-Type: application/json"


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
        (respond(b'[{"id": 7}]', JSON), "machine without an id"),
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
        for _ in range(100):
            peer.sendall(b" ")
            time.sleep(0.02)

    began = time.monotonic()
    with (
        raw_server(drip) as url,
        DataCenter(url, login="acme", timeout=(1, 1, 0.2), retries=0) as dc,
        pytest.raises(TimedOut, match=r"did not end within 0\.2 s"),
    ):
        dc.me()
    assert time.monotonic() - began < 1.9


def test_pages_that_never_end(cloud: FakeCloud, connect: Connect) -> None:
    machines = [cloud.add() for _ in range(1000)]
    records = [cloud.describe(m) for m in machines]

    def same_page(handler: FakeHandler) -> bool:
        handler.answer(200, records, {"x-query-limit": "1000", "x-resource-count": "1000"})
        return True

    cloud.fault = same_page
    with pytest.raises(ProtocolError, match="does not end"):
        connect().list_machines()


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


def certificate(home: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = home / "cert.pem"
    pem.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    private = home / "tls.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


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


def test_a_hundred_calls_over_one_connection(
    tls: tuple[str, Path], cloud: FakeCloud, connect: Connect
) -> None:
    machine = cloud.add()["id"]
    sdc = connect(url=tls[0], verify=str(tls[1]))

    def timed(call: Callable[[], object], count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - began) / count

    def fresh() -> None:
        sdc.close()
        sdc.get_machine(machine)

    fresh()
    before = cloud.connections
    kept = timed(lambda: sdc.get_machine(machine), 100)
    assert cloud.connections == before
    # a busy neighbour may spoil one round, not all of them
    ratios = [kept / timed(fresh, 30)]
    while min(ratios) > 1 / 3 and len(ratios) < 5:
        ratios.append(timed(lambda: sdc.get_machine(machine), 30) / timed(fresh, 30))
    assert min(ratios) <= 1 / 3


def test_many_threads_share_a_client(cloud: FakeCloud, connect: Connect) -> None:
    machines = [cloud.add()["id"] for _ in range(40)]
    sdc = connect(pool_size=4)
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda i: sdc.get_machine(i)["id"], machines * 5))
    assert got == machines * 5
    assert cloud.connections <= 4


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_bucket() -> None:
    clock = Clock()
    bucket = TokenBucket(30, 10, clock=clock, sleep=clock.sleep)
    assert [bucket.take() for _ in range(30)] == [0.0] * 30
    assert clock.now == 0
    for _ in range(100):
        bucket.take()
    assert clock.now == pytest.approx(10.0)
    clock.now += 1000
    for _ in range(31):
        bucket.take()
    assert clock.now == pytest.approx(1010.1)
    clock.now += 1000
    bucket.drain()
    assert bucket.take() == pytest.approx(0.1)


def test_bucket_among_threads() -> None:
    bucket = TokenBucket(5, 200)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: bucket.take(), range(65)))
    assert 0.29 <= time.monotonic() - began < 5


@pytest.mark.parametrize(("burst", "rate"), [(0, 10), (30, 0), (30, -1)])
def test_bucket_refuses_nonsense(burst: float, rate: float) -> None:
    with pytest.raises(UsageError):
        TokenBucket(burst, rate)


def test_server_side_throttle_slows_all_threads(cloud: FakeCloud, connect: Connect) -> None:
    server = TokenBucket(10, 100, sleep=lambda s: None)

    def fault(handler: FakeHandler) -> bool:
        if server.take() == 0.0:
            return False
        server._tokens += 1
        handler.answer(429, {"code": "RequestThrottled", "message": "slow down"})
        return True

    cloud.fault = fault
    sdc = connect(rate=(30, 100), sleep=time.sleep)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: sdc.create({"image": "x"}), range(40)))
    assert len(cloud.machines) == 40


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
