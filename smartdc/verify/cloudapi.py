"""A table of probes, asked of a CloudAPI one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import Any

from ..client import Client
from ..errors import APIError, ProtocolError
from ..transport import Transport, decode
from .answers import Answer, Probe, Reply, kept

POLL_SECONDS = 1.0


class Missing(Exception):
    """A value that an earlier probe should have found."""


class Prober:
    """Asks, and remembers what later probes need.

    :param api: signs as the account whose data center it is
    :param values: what stands for `{NAME}` in paths and bodies
    """

    def __init__(self, api: Client, values: Mapping[str, Any]) -> None:
        self.api = api
        self.values = dict(values)
        self.seconds: dict[str, float] = {}
        """How long probes with `until` took from their question to the answer they wait for."""
        stranger = {name: api.default_headers[name] for name in ("Accept", "Accept-Version")}
        self._strangers = {
            "nobody": Transport(api.base_url, verify=api.verify, headers=stranger),
            "forger": Transport(
                api.base_url,
                verify=api.verify,
                headers={**stranger, "Authorization": _forged(values.get("login", "nobody"))},
            ),
        }

    def answers(self, probes: Iterable[Probe]) -> dict[str, Answer]:
        """Each probe's name -> what it keeps of its answer, in the order of the table."""
        return {probe["name"]: self._answer(probe) for probe in probes}

    def close(self) -> None:
        for transport in self._strangers.values():
            transport.close()

    def _answer(self, probe: Probe) -> Answer:
        try:
            method, _, path = self._filled(probe["ask"]).partition(" ")
            body = self._filled(probe.get("send"))
            until = self._filled(probe.get("until", {}))
        except Missing as missing:
            return {"not asked": f"no {missing}, which an earlier probe looks for"}
        ask = self._asking(probe, method, path, body)
        reply = self._awaited(probe, ask, until) if until else ask()
        for name, source in probe.get("remember", {}).items():
            found = _inside(reply.body, source)
            if found is not None:
                self.values[name] = found
        return kept(probe, reply)

    def _asking(self, probe: Probe, method: str, path: str, body: Any) -> Callable[[], Reply]:
        transport = self._strangers.get(probe.get("as", ""), self.api.transport)

        def ask() -> Reply:
            headers = {"Date": formatdate(usegmt=True), **probe.get("headers", {})}
            try:
                answer = transport.send(method, path, json=body, headers=headers)
            except APIError as error:
                found = error.response.headers if error.response is not None else {}
                return Reply(error.status, found, error.body)
            try:
                return Reply(answer.status_code, answer.headers, decode(answer))
            except ProtocolError:
                return Reply(answer.status_code, answer.headers, answer.text)

        return ask

    def _awaited(self, probe: Probe, ask: Callable[[], Reply], until: Mapping[str, Any]) -> Reply:
        """The first answer that has these fields (or this status), or the last one in time."""
        began = time.monotonic()
        while True:
            reply = ask()
            seen = {"status": reply.status, **_fields(reply.body)}
            waited = time.monotonic() - began
            if all(_same(seen.get(name), wanted) for name, wanted in until.items()):
                self.seconds[probe["name"]] = round(waited, 1)
                return reply
            if waited > probe.get("within", 120):
                return reply
            time.sleep(POLL_SECONDS)

    def _filled(self, value: Any) -> Any:
        """The value with `{NAME}` replaced; raises Missing."""
        if isinstance(value, Mapping):
            return {name: self._filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str) or "{" not in value:
            return value
        try:
            return value.format_map(self.values)
        except KeyError as error:
            raise Missing(error.args[0]) from None


def _fields(body: Any) -> Mapping[str, Any]:
    return body if isinstance(body, Mapping) else {}


def _same(seen: Any, wanted: Any) -> bool:
    return bool(seen == wanted or (isinstance(wanted, list) and seen in wanted))


def _inside(body: Any, source: str) -> Any:
    """What is at `a.b` in the body; in a list, of the first element that has it."""
    for item in body if isinstance(body, list) else [body]:
        for step in source.split("."):
            item = item.get(step) if isinstance(item, Mapping) else None
        if item is not None:
            return item
    return None


def _forged(login: object) -> str:
    fingerprint = ":".join(["00"] * 16)
    return (
        f'Signature keyId="/{login}/keys/{fingerprint}",algorithm="rsa-sha256",'
        'headers="date",signature="AAAA"'
    )
