"""A package index whose transfers break off, and the real pip."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.wheels import make_wheel
from localdc.pkgsrc import build, interpreter, pip


class Index(http.server.ThreadingHTTPServer):
    """Serves one project; the first `broken` transfers of its wheel end half way."""

    def __init__(self, wheel: Path, broken: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheel, self.broken, self.asked = wheel, broken, 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        name = self.server.wheel.name
        if not self.path.endswith(".whl"):
            self._answer(f'<a href="/{name}">{name}</a>'.encode(), "text/html")
            return
        self.server.asked += 1
        content = self.server.wheel.read_bytes()
        self._answer(content, "application/zip", self.server.asked <= self.server.broken)

    def _answer(self, body: bytes, kind: str, half: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """No lines between those of the tests."""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    make_wheel(tmp_path / "index", "one", "1.0", {"one.py": "x = 1\n" * 5000})
    return next((tmp_path / "index").glob("*.whl"))


@pytest.fixture
def download(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[tuple[Index, Path, list[int]]]:
    index = Index(wheel, request.param)
    threading.Thread(target=index.serve_forever, daemon=True).start()
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/simple")
    yield index, tmp_path / "to", []
    index.shutdown()
    index.server_close()


@pytest.mark.parametrize("download", [1], indirect=True)
def test_a_transfer_that_breaks_off_is_made_again(
    download: tuple[Index, Path, list[int]],
) -> None:
    index, target, begun = download
    build._pip_download(interpreter.current(), ["one==1.0"], target, begun.append)
    assert [found.name for found in target.glob("*.whl")] == [index.wheel.name]
    assert index.asked >= 2 and set(begun) == {0}


@pytest.mark.parametrize("download", [1000], indirect=True)
def test_one_that_always_does_is_given_up_with_its_cause(
    download: tuple[Index, Path, list[int]],
) -> None:
    index, target, begun = download
    with pytest.raises(build.BuildError) as caught:
        build._pip_download(interpreter.current(), ["one==1.0"], target, begun.append)
    said = str(caught.value)
    assert "is invalid." in said or "IncompleteRead" in said or "incomplete-download" in said
    assert index.asked >= pip.ATTEMPTS and not list(target.glob("*.whl"))
