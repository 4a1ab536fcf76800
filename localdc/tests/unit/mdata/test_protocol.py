"""The metadata protocol, the mdata-* commands on it, and what mdata:fetch writes."""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.unix_server import UnixServer
from localdc.smartos.mdata import commands, fetch, protocol


class Agent(UnixServer):
    """A metadata agent with a dictionary."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.values: dict[str, str] = {}
        self.refuse = False
        super().__init__(path)

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        try:
            op, key, value = protocol.parse_request(line)
        except protocol.ProtocolError as error:
            return protocol.error(str(error))
        if self.refuse or (key.startswith("sdc:") and op != "get"):
            return protocol.error('Cannot update the "sdc" Namespace.')
        if op == "list":
            return protocol.ok(keys=sorted(self.values))
        if op == "put":
            self.values[key] = value
        if op == "delete":
            self.values.pop(key, None)
        if op != "get":
            return protocol.ok()
        return protocol.ok(value=self.values[key]) if key in self.values else protocol.not_found()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    result = Agent(tmp_path / "metadata.sock")
    yield result
    result.stop()


def run(agent: Agent, *argv: str) -> int:
    return commands.main([f"/usr/sbin/{argv[0]}", *argv[1:]], agent.path)


def test_get(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.values = {"ipython.url": "tcp://10.99.0.2:20000", "script": "one\ntwo\n", "odd": "\u00e4"}
    assert run(agent, "mdata-get", "ipython.url") == 0
    assert capsys.readouterr().out == "tcp://10.99.0.2:20000\n"
    assert run(agent, "mdata-get", "script") == 0
    assert capsys.readouterr().out == "one\ntwo\n"
    assert run(agent, "mdata-get", "odd") == 0
    assert capsys.readouterr().out == "\u00e4\n"
    assert run(agent, "mdata-get", "nosuch") == 1
    assert capsys.readouterr().err == "No metadata for 'nosuch'\n"


@pytest.mark.parametrize(
    ("argv", "usage"),
    [
        (("mdata-get",), "Usage: mdata-get <keyname>\n"),
        (("mdata-get", "a", "b"), "Usage: mdata-get <keyname>\n"),
        (("mdata-put",), "Usage: mdata-put <keyname> [ <value> ]\n"),
        (("mdata-delete",), "Usage: mdata-delete <keyname>\n"),
        (("mdata-list", "a"), "Usage: mdata-list\n"),
    ],
)
def test_usage(
    agent: Agent, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], usage: str
) -> None:
    assert run(agent, *argv) == 3
    assert capsys.readouterr().err == usage


def test_put_list_delete(
    agent: Agent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(agent, "mdata-put", "b", "one") == 0
    monkeypatch.setattr(commands.os, "isatty", lambda _: False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from\nstdin\n")))
    assert run(agent, "mdata-put", "a") == 0
    assert agent.values == {"a": "from\nstdin\n", "b": "one"}
    assert run(agent, "mdata-list") == 0
    assert capsys.readouterr().out == "a\nb\n"
    assert run(agent, "mdata-delete", "a") == 0
    assert run(agent, "mdata-delete", "a") == 0
    assert run(agent, "mdata-put", "sdc:x", "y") == 2
    assert capsys.readouterr().err == 'Cannot update the "sdc" Namespace.\n'


def test_agent_that_goes_away(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        protocol.Client(str(tmp_path / "absent.sock"), timeout=0.1)


def test_waits_for_an_agent_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "late.sock"
    agents: list[Agent] = []
    timer = threading.Timer(0.3, lambda: agents.append(Agent(path)))
    timer.start()
    client = protocol.Client(str(path), timeout=10)
    assert client.request("list") == {"status": "ok", "keys": []}
    client.close()
    agents[0].stop()


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"op": "drop", "key": "a"}\n',
        b'{"op": "get"}\n',
        b'{"op": "put", "key": "a", "value": 1}\n',
    ],
)
def test_bad_requests_are_refused(line: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.parse_request(line)


def test_fetch_writes_and_removes(agent: Agent, tmp_path: Path) -> None:
    root = tmp_path / "zone"
    for name in ("var/db", "var/svc"):
        (root / name).mkdir(parents=True)
    agent.values = {"user-script": "#!/bin/sh\necho", "user-data": "some"}
    fetch.write_files(protocol.Client(agent.path), str(root))
    script = root / "var/svc/mdata-user-script"
    assert script.read_text() == "#!/bin/sh\necho\n"
    assert script.stat().st_mode & 0o777 == 0o700
    assert (root / "var/db/mdata-user-data").stat().st_mode & 0o777 == 0o600
    agent.values = {}
    fetch.write_files(protocol.Client(agent.path), str(root))
    assert not script.exists() and not list((root / "var/db").iterdir())


def test_fetch_reports_a_refusal(agent: Agent, tmp_path: Path) -> None:
    agent.refuse = True
    with pytest.raises(protocol.ProtocolError, match="user-data"):
        fetch.write_files(protocol.Client(agent.path), str(tmp_path))
