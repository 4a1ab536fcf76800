"""The mdata-* commands against the real metadata agent: every namespace rule and exit code."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localdc.smartos.mdata import commands
from localdc.zones.agent import MetadataAgent

from ..zones.test_zones_agent import SPEC, Events

Run = Callable[..., int]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[MetadataAgent]:
    """The agent of a zone, served by a thread of its own."""
    served = MetadataAgent(SPEC, Events())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(served.listen(tmp_path), loop).result(10)
    yield served
    asyncio.run_coroutine_threadsafe(served.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture
def run(agent: MetadataAgent, tmp_path: Path) -> Run:
    socket = str(tmp_path / ".zonecontrol/metadata.sock")
    return lambda *argv: commands.main(list(argv), socket)


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes, terminal: bool = False) -> None:
    monkeypatch.setattr(commands.os, "isatty", lambda _: terminal)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_get_adds_a_newline_only_where_one_is_missing(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for value, printed in (("x", "x\n"), ("x\n", "x\n"), ("x\n\n", "x\n\n"), (" ", " \n")):
        assert run("mdata-put", "key", value) == 0
        assert run("mdata-get", "key") == 0
        assert capsys.readouterr().out == printed


def test_what_is_not_there(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("nosuch", "sdc:nosuch", "nosuch_pw", "sdc:tags.nosuch", "sdc:operator-script"):
        assert run("mdata-get", key) == 1
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", f"No metadata for '{key}'\n")
    assert run("mdata-delete", "nosuch") == 0


def test_the_sdc_namespace_is_read_only(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("mdata-put", "sdc:alias", "x"), ("mdata-delete", "sdc:alias")):
        assert run(*command) == 2
        assert capsys.readouterr().err == 'Cannot update the "sdc" Namespace.\n'
    assert run("mdata-get", "sdc:alias") == 0
    assert capsys.readouterr().out == "controller\n"


def test_list_has_customer_keys_and_passwords_but_no_sdc(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mdata-put", "admin_pw", "s3cret") == 0
    assert run("mdata-list") == 0
    assert capsys.readouterr().out.split() == [
        "admin_pw",
        "ipython.url",
        "root_pw",
        "user-script",
    ]


def test_an_empty_list(run: Run, agent: MetadataAgent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.spec = replace(SPEC, customer_metadata={}, internal_metadata={})
    assert run("mdata-list") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_keys_that_end_in_pw_are_internal(run: Run, agent: MetadataAgent) -> None:
    assert run("mdata-put", "admin_pw", "s3cret") == 0
    assert agent.spec.internal_metadata["admin_pw"] == "s3cret"
    assert "admin_pw" not in agent.spec.customer_metadata
    assert run("mdata-put", "admin", "plain") == 0
    assert agent.spec.customer_metadata["admin"] == "plain"


def test_put_from_stdin(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped(monkeypatch, b"from a pipe\n")
    assert run("mdata-put", "key") == 0
    assert run("mdata-get", "key") == 0
    assert capsys.readouterr().out == "from a pipe\n"
    piped(monkeypatch, b"ignored")
    assert run("mdata-put", "key", "from the command line") == 0
    assert run("mdata-get", "key") == 0
    assert capsys.readouterr().out == "from the command line\n"


def test_put_at_a_terminal_needs_the_value(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped(monkeypatch, b"", terminal=True)
    assert run("mdata-put", "key") == 3
    assert capsys.readouterr().err == "Usage: mdata-put <keyname> [ <value> ]\n"


@pytest.mark.parametrize("how", ["argument", "stdin"])
def test_an_empty_value_removes(run: Run, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    assert run("mdata-put", "key", "x") == 0
    piped(monkeypatch, b"")
    assert run("mdata-put", "key", *([""] if how == "argument" else [])) == 0
    assert run("mdata-get", "key") == 1


def test_a_refusal_of_the_data_center(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mdata-put", "bad key", "x") == 2
    assert capsys.readouterr().err == "bad key: no spaces\n"


def test_an_agent_that_hangs_up(
    run: Run, agent: MetadataAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_: bytes) -> bytes:
        raise ConnectionResetError

    monkeypatch.setattr(agent, "answer", answer)
    assert run("mdata-get", "key") == 2


def test_the_operator_script_comes_from_internal_metadata(
    run: Run, agent: MetadataAgent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.spec = replace(SPEC, internal_metadata={"operator-script": "#!/bin/sh\ntrue\n"})
    assert run("mdata-get", "sdc:operator-script") == 0
    assert capsys.readouterr().out == "#!/bin/sh\ntrue\n"
    assert run("mdata-get", "operator-script") == 1
