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

from embedded.zones import SPEC, Events
from localdc.smartos.mdata import commands
from localdc.zones.agent import MetadataAgent

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
    assert capsys.readouterr().out == "con_troller\n"


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


ODD_KEYS = (
    *("a b", "a/b", "a.b", "a:b", "q'uote", 'double"quote', "tab\tkey", "line\nkey", "gr\u00fcn"),
    *("-x", "--help", "sdc", "SDC:uuid", "tags.role", "$HOME", "*"),
)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_with_odd_characters(run: Run, capsys: pytest.CaptureFixture[str], key: str) -> None:
    """Only `sdc:` at the very start is a namespace; there are no options."""
    assert run("mdata-put", key, "value") == 0
    assert run("mdata-get", key) == 0
    assert run("mdata-list") == 0
    assert capsys.readouterr().out.startswith("value\n")
    assert run("mdata-delete", key) == 0
    assert run("mdata-get", key) == 1
    assert capsys.readouterr().err == f"No metadata for '{key}'\n"


def test_a_key_must_not_be_empty(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("mdata-get", ""), ("mdata-put", "", "x"), ("mdata-delete", "")):
        assert run(*command) == 2
        assert "needs a key" in capsys.readouterr().err


def test_values_of_a_megabyte(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "".join(chr(33 + number % 90) for number in range(1 << 20))
    piped(monkeypatch, value.encode())
    assert run("mdata-put", "big") == 0
    assert run("mdata-get", "big") == 0
    assert capsys.readouterr().out == f"{value}\n"


def test_a_value_that_is_too_long_says_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mdata-put", "huge", "x" * (16 << 20)) == 2
    assert "key and value are too long, together at most 16 MiB" in capsys.readouterr().err
    assert run("mdata-get", "huge") == 1


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("grüße\n€ 😀".encode(), "grüße\n€ 😀"),
        (b"\xff\xfebinary\x00\x01", "\ufffd\ufffdbinary\x00\x01"),
        (b"line\r\nend\r\n", "line\r\nend\r\n"),
    ],
)
def test_values_are_text(
    run: Run, agent: MetadataAgent, monkeypatch: pytest.MonkeyPatch, data: bytes, value: str
) -> None:
    piped(monkeypatch, data)
    assert run("mdata-put", "key") == 0
    assert agent.spec.customer_metadata["key"] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sdc:nics.0.ip", "100.64.0.5"),
        ("sdc:nics.1.ips.0", "10.99.0.5/22"),
        ("sdc:tags.role", "controller"),
        ("sdc:tags.paid", "true"),
        ("sdc:resolvers", '["100.64.0.1"]'),
        ("sdc:max_physical_memory", "512"),
    ],
)
def test_what_the_zone_is_told_of_itself(
    run: Run, capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    assert run("mdata-get", key) == 0
    assert capsys.readouterr().out == f"{value}\n"
    assert run("mdata-list") == 0
    assert "sdc:" not in capsys.readouterr().out


def test_a_delete_of_what_is_there(run: Run, agent: MetadataAgent) -> None:
    assert run("mdata-delete", "ipython.url") == 0
    assert run("mdata-delete", "root_pw") == 0
    assert set(agent.spec.customer_metadata) == {"user-script"}
    assert agent.spec.internal_metadata == {}
