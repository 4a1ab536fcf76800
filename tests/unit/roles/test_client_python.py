"""client_python: what it makes of a repository, and what it says where versions differ."""

from __future__ import annotations

import gzip
import http.server
import threading
import zlib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from embedded.pythons import OWN, other_python

from .ansible_runs import load, on_localhost

REPOSITORY = Path(__file__).resolve().parents[3]
PLUGIN = REPOSITORY / "plugins/action/client_python.py"


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    return load("plugins/action/client_python.py")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        # smartos-live, README.md; images.smartos.org
        ({"name": "base-64-lts", "version": "24.4.1", "os": "smartos"}, "2024Q4/x86_64"),
        ({"name": "minimal-64", "version": "25.3.0", "os": "smartos"}, "2025Q3/x86_64"),
        ({"name": "base-multiarch-lts", "version": "18.4.0", "os": "smartos"}, None),
        ({"name": "base-64", "version": "24.5.0", "os": "smartos"}, None),
        ({"name": "debian-12-64", "version": "20240612", "os": "linux"}, None),
        ({"name": "mine-64"}, None),
    ],
)
def test_the_release_of_an_image(
    plugin: ModuleType, image: dict[str, str], expected: str | None
) -> None:
    assert plugin.release(image) == expected


@pytest.mark.parametrize(
    ("have", "expected"),
    [
        ("py312-ipyparallel py312-numpy py313-ipyparallel py313-numpy", ["3.12", "3.13"]),
        ("py39-ipyparallel py39-numpy py310-ipyparallel py310-numpy", ["3.9", "3.10"]),
        ("py312-ipyparallel py312-numpy py313-zmq py313-numpy py313-psutil py313-pip", ["3.12"]),
        ("py312-ipyparallel py313-zmq py313-numpy py313-psutil py313-pip", ["3.13"]),
        ("py312-numpy-financial py312-ipyparallel python312", []),
    ],
)
def test_the_pythons_of_a_repository(plugin: ModuleType, have: str, expected: list[str]) -> None:
    lines = [f"PKGNAME={name}-1.0\nCOMMENT=py399-ipyparallel-1" for name in have.split()]
    assert plugin.offered(iter("\n".join(lines).splitlines())) == expected


Serve = Callable[[Callable[[http.server.BaseHTTPRequestHandler], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def serve(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/pkg_summary.gz"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def body(*pieces: bytes, wait: threading.Event | None = None) -> Callable[..., None]:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
            if wait:
                wait.wait(0.2)

    return answer


TEXT = b"".join(b"PKGNAME=p%d-1\n\n" % number for number in range(20000))


def test_a_summary_is_read_as_it_comes(plugin: ModuleType, serve: Serve) -> None:
    packed = gzip.compress(TEXT)
    half = len(packed) // 2
    lines = list(plugin.summary(serve(body(packed[:half], packed[half:]))))
    assert [line for line in lines if line] == TEXT.decode().split()


@pytest.mark.parametrize("content", [gzip.compress(TEXT)[:-200], b"<html>", b""])
def test_a_summary_that_is_none(plugin: ModuleType, serve: Serve, content: bytes) -> None:
    with pytest.raises((OSError, zlib.error)):
        list(plugin.summary(serve(body(content))))


def test_nobody_waits_for_a_slow_repository(
    plugin: ModuleType, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "LIMIT", 0.5)
    done = threading.Event()
    packed = gzip.compress(TEXT)
    step = len(packed) // 100
    pieces = [packed[at : at + step] for at in range(0, len(packed), step)]
    try:
        with pytest.raises(TimeoutError):
            list(plugin.summary(serve(body(*pieces, wait=done))))
    finally:
        done.set()


def compare(**arguments: str) -> str:
    said = on_localhost("client_python", **arguments)
    return " ".join(said.replace('"', "").split())


def test_the_same_version_fits() -> None:
    said = compare(python=OWN, ipyparallel=metadata.version("ipyparallel"))
    assert "SUCCESS" in said
    assert "matches: true" in said


def test_another_version_does_not() -> None:
    other = other_python()
    said = compare(python=other.version)
    assert "FAILED" in said
    assert f"The machines run Python {other.version}, this computer {OWN}." in said
    assert f"/python{other.version}." in said, "one that is on this computer is named"
    allowed = compare(python=other.version, mismatch="allow")
    assert "SUCCESS" in allowed
    assert "matches: false" in allowed


def test_one_that_is_nowhere() -> None:
    said = compare(python="3.99")
    assert "make setup PYTHON=python3.99, once python3.99 is installed here." in said


@pytest.mark.parametrize(
    ("theirs", "fits"), [("9.1.0", True), ("9.0.2", True), ("10.0.0", False), ("8.8.0", False)]
)
def test_ipyparallel_of_another_major_version(theirs: str, fits: bool) -> None:
    said = compare(python=OWN, ipyparallel=theirs)
    assert ("SUCCESS" in said) is fits
    assert (f"pip install ipyparallel=={theirs}" in said) is not fits


def test_what_is_not_known_is_no_failure() -> None:
    """No data center: the machines will tell."""
    said = compare(image="base-64-lts", repository="http://127.0.0.1:9")
    assert "SUCCESS" in said
    assert "known_by: nobody" in said
