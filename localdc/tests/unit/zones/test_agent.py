"""The metadata agent: what `mdata-*` in a zone is answered."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedded.zones import SPEC, Events
from localdc.smartos.mdata import protocol
from localdc.zones.agent import MetadataAgent, sdc_value


def ask(agent: MetadataAgent, **request: Any) -> dict[str, Any]:
    line = asyncio.run(agent.answer(protocol.encode(request)))
    reply: dict[str, Any] = json.loads(line)
    return reply


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("uuid", SPEC.uuid),
        ("alias", "con_troller"),
        ("hostname", "con-troller"),
        ("zonename", SPEC.uuid),
        ("owner_uuid", SPEC.owner),
        ("server_uuid", SPEC.server_uuid),
        ("image_uuid", SPEC.image_uuid),
        ("datacenter_name", "localdc"),
        ("dns_domain", "local"),
        ("max_physical_memory", "512"),
        ("maintain_resolvers", "true"),
        ("nics.0.ip", "100.64.0.5"),
        ("nics.1.ips.0", "10.99.0.5/22"),
        ("nics.0.primary", "true"),
        ("resolvers.0", "100.64.0.1"),
        ("tags.role", "controller"),
        ("tags.paid", "true"),
        ("tags.weight", "7"),
        ("tags.none", None),
        ("cpu_cap", None),
        ("operator-script", None),
        ("customer_metadata.user-script", None),
        ("nics.2.ip", None),
    ],
)
def test_sdc_namespace(key: str, value: str | None) -> None:
    assert sdc_value(SPEC, key) == value


def test_no_hostname_unless_cloudapi_set_one() -> None:
    """CloudAPI, lib/machines.js: for accounts with CNS only; zoneinit falls back to the uuid."""
    assert sdc_value(replace(SPEC, hostname=None), "hostname") is None


def test_nics_are_json_with_the_fields_of_the_platform() -> None:
    text = sdc_value(SPEC, "nics")
    assert text is not None
    first, second = json.loads(text)
    assert first["interface"] == "net0"
    assert first["ips"] == ["100.64.0.5/22"]
    assert (first["gateway"], first["gateways"]) == ("100.64.0.1", ["100.64.0.1"])
    assert first["primary"] is True
    assert "gateway" not in second
    assert "primary" not in second


def test_get_tells_customer_from_internal_metadata() -> None:
    agent = MetadataAgent(SPEC, Events())
    assert ask(agent, op="get", key="ipython.url") == {"status": "ok", "value": "tcp://x"}
    assert ask(agent, op="get", key="root_pw") == {"status": "ok", "value": "secret"}
    assert ask(agent, op="get", key="nothing") == {"status": "notfound"}


def test_half_a_surrogate_pair_is_no_text() -> None:
    """JSON can hold it, a file of the zone cannot."""
    spec = replace(SPEC, customer_metadata={"user-script": "echo \ud800 \U0001f600\n"})
    answer = ask(MetadataAgent(spec, Events()), op="get", key="user-script")
    assert answer == {"status": "ok", "value": "echo \ufffd \U0001f600\n"}


def test_list_shows_no_sdc_keys() -> None:
    agent = MetadataAgent(SPEC, Events())
    assert ask(agent, op="list")["keys"] == ["ipython.url", "root_pw", "user-script"]


def test_sdc_namespace_is_read_only() -> None:
    agent = MetadataAgent(SPEC, Events())
    for request in (
        {"op": "put", "key": "sdc:alias", "value": "x"},
        {"op": "delete", "key": "sdc:x"},
    ):
        reply = ask(agent, **request)
        assert reply == {"status": "error", "message": 'Cannot update the "sdc" Namespace.'}


def test_put_is_stored_and_seen_at_once() -> None:
    events = Events()
    agent = MetadataAgent(SPEC, events)
    assert ask(agent, op="put", key="state", value="ready") == {"status": "ok"}
    assert events.puts == [(SPEC.uuid, "state", "ready")]
    assert ask(agent, op="get", key="state")["value"] == "ready"


@pytest.mark.parametrize("request_", [{"op": "delete"}, {"op": "put", "value": ""}])
def test_delete_and_empty_value_remove(request_: dict[str, str]) -> None:
    events = Events()
    agent = MetadataAgent(SPEC, events)
    assert ask(agent, key="ipython.url", **request_) == {"status": "ok"}
    assert events.puts == [(SPEC.uuid, "ipython.url", None)]
    assert ask(agent, op="get", key="ipython.url") == {"status": "notfound"}


def test_refused_key_is_reported() -> None:
    reply = ask(MetadataAgent(SPEC, Events()), op="put", key="bad key", value="x")
    assert reply == {"status": "error", "message": "bad key: no spaces"}


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b'{"op":"format"}\n', b'{"op":"get"}\n'])
def test_garbage_gets_an_error_line(line: bytes) -> None:
    reply = json.loads(asyncio.run(MetadataAgent(SPEC, Events()).answer(line)))
    assert reply["status"] == "error"


def test_socket_below_a_long_path_serves_the_real_client(tmp_path: Path) -> None:
    root = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 4)
    root.mkdir(parents=True)

    async def scenario() -> dict[str, object]:
        agent = MetadataAgent(SPEC, Events())
        await agent.listen(root)
        await agent.close()
        await agent.listen(root)
        try:
            return await asyncio.to_thread(question)
        finally:
            await agent.close()

    def question() -> dict[str, object]:
        import os

        directory = os.open(root / ".zonecontrol", os.O_PATH)
        client = protocol.Client(f"/proc/self/fd/{directory}/metadata.sock", timeout=5)
        try:
            return client.request("get", "sdc:alias")
        finally:
            client.close()
            os.close(directory)

    assert asyncio.run(scenario()) == {"status": "ok", "value": "con_troller"}


def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".zonecontrol").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="zonecontrol"):
        asyncio.run(MetadataAgent(SPEC, Events()).listen(tmp_path / "root"))
    assert list((tmp_path / "elsewhere").iterdir()) == []
