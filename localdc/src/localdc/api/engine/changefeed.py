"""The change feed: news of machines over a websocket (sdc-cloudapi, docs/index.md, Changefeed)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Send

from localdc.api.model import Machine
from localdc.api.store.machines import MachineChange

# What a client may ask to be told of, and what of a machine that is.
SUB_RESOURCES: dict[str, Callable[[Machine], object]] = {
    "alias": lambda machine: machine.name,
    "customer_metadata": lambda machine: machine.metadata,
    "destroyed": lambda machine: machine.state == "deleted",
    "nics": lambda machine: machine.nics,
    "owner_uuid": lambda machine: machine.account,
    "server_uuid": lambda machine: machine.allocated_to,
    "state": lambda machine: machine.state,
    "tags": lambda machine: machine.tags,
}
# A client that does not read is cut off rather than remembered for ever.
BACKLOG = 10_000
BAD_REQUEST = 1008


@dataclass(eq=False)
class Subscription:
    """What one client wants to hear; `vms` None = of every machine of its account."""

    account: str
    sub_resources: frozenset[str]
    vms: frozenset[str] | None
    news: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(BACKLOG))


class Feed:
    """Tells subscribers of every committed change."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def changed(self, change: MachineChange) -> None:
        """A machine was changed; for Store.listeners."""
        machine = change.after or change.before
        if not self._subscriptions or machine is None:
            return
        kinds = _kinds(change)
        for subscription in list(self._subscriptions):
            wanted = sorted(kinds & subscription.sub_resources)
            if subscription.account != machine.account or not wanted:
                continue
            if subscription.vms is not None and machine.uuid not in subscription.vms:
                continue
            try:
                subscription.news.put_nowait(_message(machine, wanted))
            except asyncio.QueueFull:
                self._subscriptions.discard(subscription)

    async def serve(self, account: str, receive: Receive, send: Send) -> None:
        """One accepted websocket, until its client goes; its first message subscribes."""
        first = await receive()
        if first["type"] != "websocket.receive":
            return
        try:
            subscription = _subscription(account, first.get("text") or "")
        except ValueError as error:
            await send({"type": "websocket.close", "code": BAD_REQUEST, "reason": str(error)})
            return
        self._subscriptions.add(subscription)
        sender = asyncio.create_task(_pass_on(subscription, send))
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self._subscriptions.discard(subscription)
            sender.cancel()


async def _pass_on(subscription: Subscription, send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "text": await subscription.news.get()})


def _subscription(account: str, text: str) -> Subscription:
    request: Any = json.loads(text)
    if not isinstance(request, dict) or request.get("resource") != "vm":
        raise ValueError("resource must be vm")
    wanted = request.get("subResources")
    known = isinstance(wanted, list) and all(name in list(SUB_RESOURCES) for name in wanted)
    if not known or not wanted:
        raise ValueError(f"subResources must be some of {', '.join(SUB_RESOURCES)}")
    vms = request.get("vms")
    if vms is not None and not (isinstance(vms, list) and all(isinstance(vm, str) for vm in vms)):
        raise ValueError("vms must be a list of ids")
    return Subscription(account, frozenset(wanted), None if vms is None else frozenset(vms))


def _kinds(change: MachineChange) -> set[str]:
    """The sub-resources in which the machine differs."""
    if change.after is None:
        return {"destroyed", "state"}
    if change.before is None:
        return set(SUB_RESOURCES) - {"destroyed"}
    before, after = change.before, change.after
    return {name for name, part in SUB_RESOURCES.items() if part(before) != part(after)}


def _message(machine: Machine, kinds: list[str]) -> str:
    return json.dumps(
        {
            "changedResourceId": machine.uuid,
            "published": str(int(time.time() * 1000)),
            "resourceState": machine.state,
            "changeKind": {"resource": "vm", "subResources": kinds},
            "resourceObject": machine.view(),
        }
    )
